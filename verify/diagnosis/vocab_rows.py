"""Check the rows of the text embedding that stand for added languages: one that was never trained says nothing.

A strict load cannot tell: the row is there. Torch and numpy are not needed, as bytes are compared.
"""

from collections.abc import Mapping, Sequence

from verify.checkpoint.archive import TEXT_EMBEDDING, Archive
from verify.checkpoint.tensors import ITEM_BYTES, TensorRecord
from verify.errors import Cause
from verify.files.local import open_regular
from verify.files.location import local_path
from verify.source.vocabulary import Vocabulary

_ZERO = "was never trained: it is all zero"
_COPY = "was never trained: it equals that of {}, byte for byte, of which it was made a copy"
_NO_BATCH = "was not trained in this run: no batch held the token, as Adam's moments of the row are all zero"


def untrained_languages(
    archive: Archive, tensors: Mapping[str, TensorRecord], vocabulary: Vocabulary
) -> tuple[Cause, ...]:
    """Return a cause for the added languages whose row of the embedding was never trained (`language-untrained`).

    Args:
        tensors: those that are written, by canonical name.
    """
    embedding, ids = tensors.get(TEXT_EMBEDDING), vocabulary.ids
    added = [
        language for language in vocabulary.added_languages if embedding and _has_row(embedding, ids[f"[{language}]"])
    ]
    if embedding is None or not added:
        return ()
    numbers = {language: ids[f"[{language}]"] for language in added}
    rows = _rows(embedding)
    reasons = {language: _reason(number, rows, vocabulary) for language, number in numbers.items()}
    unseen = _without_gradient([moments for moments in archive.moments if moments.shape == embedding.shape], numbers)
    reasons = {language: reason or (_NO_BATCH if language in unseen else "") for language, reason in reasons.items()}
    return tuple(_cause(language, reason) for language, reason in reasons.items() if reason)


def _has_row(embedding: TensorRecord, number: int) -> bool:
    return embedding.contiguous and len(embedding.shape) == 2 and number < embedding.shape[0]


def _rows(embedding: TensorRecord) -> list[bytes]:
    """Return the rows as bytes; none of a tensor at a URL, which would be downloaded twice for it."""
    if not local_path(embedding.path):
        return []
    size = embedding.shape[1] * ITEM_BYTES[embedding.dtype]
    data = _read(embedding)
    return [data[start : start + size] for start in range(0, len(data), size)] if size else []


def _read(record: TensorRecord) -> bytes:
    with open_regular(record.path) as file:
        file.seek(record.storage_start + record.offset)
        return file.read(record.bytes)


def _reason(number: int, rows: Sequence[bytes], vocabulary: Vocabulary) -> str:
    """Return why the row cannot have been trained, by its bytes; empty where they say nothing."""
    if number >= len(rows):
        return ""
    if not any(rows[number]):
        return _ZERO
    twin = next((other for other, row in enumerate(rows) if other != number and row == rows[number]), None)
    if twin is None:
        return ""
    token = next((token for token, other in vocabulary.ids.items() if other == twin), f"id {twin}")
    return _COPY.format(f"{token[:40]} ({twin})")


def _without_gradient(moments: Sequence[TensorRecord], numbers: Mapping[str, int]) -> set[str]:
    """Return the languages in whose row one of the tensors of that shape never had a gradient.

    Two tensors have it: the text head, whose every row gets a gradient with each batch, and the embedding, of which only
    the rows of tokens in the batch do. So one of the two with a row of zeros is the embedding.
    """
    unseen = set()
    for record in moments:
        row = record.shape[1] * ITEM_BYTES[record.dtype]
        if record.contiguous and local_path(record.path) and any(data := _read(record)):
            rows = {language: data[number * row : (number + 1) * row] for language, number in numbers.items()}
            unseen |= {language for language, values in rows.items() if not any(values)}
    return unseen


def _cause(language: str, reason: str) -> Cause:
    return Cause(
        code="language-untrained",
        severity="warning",
        message=f"the row of [{language}] in the text embedding {reason}",
        hint=f'Train with language="{language}" in the BaseDatasetConfig of its clips. If an earlier run did, listen whether '
        "it speaks the language.",
    )
