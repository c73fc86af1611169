"""Compare the vocabulary with the embedding, the base's vocabulary, and the languages that coqui-tts can clean."""

from collections.abc import Sequence

from verify.diagnosis import causes
from verify.diagnosis.architecture import Architecture
from verify.errors import Cause, SourceError, counted
from verify.files.location import Location
from verify.source.companions import Found
from verify.source.vocabulary import Vocabulary, is_language, published

SHOWN = 3  # tokens named in a message
ERRORS = frozenset({"vocab-rows", "vocab-special", "vocab-order"})  # what the vocabulary alone can make impossible
TENSORS = ("gpt.text_embedding.weight", "gpt.text_head.weight", "gpt.text_head.bias")  # with a row for each token


def vocabulary_causes(architecture: Architecture, vocabulary: Vocabulary, vocab: Found) -> list[Cause]:
    """Return what is wrong with the vocabulary, alone or compared with the weights (`vocab-rows`, `vocab-ids`, `vocab-languages`)."""
    name = f"{vocab.path.name} ({vocab.origin})"
    return [
        *_rows(architecture, vocabulary, name),
        *(_special(vocabulary, name) or _ids(vocabulary, name)),
        *_languages(vocabulary, name),
    ]


def _rows(architecture: Architecture, vocabulary: Vocabulary, name: str) -> list[Cause]:
    rows = architecture.fields.get("gpt_number_text_tokens")
    if rows is None or rows == vocabulary.size:
        return []
    beyond = sorted((number, token) for token, number in vocabulary.ids.items() if number >= rows)
    return [causes.vocab_rows(rows, vocabulary.size, vocab=name, beyond=_named(beyond))]


def _named(tokens: list[tuple[int, str]]) -> str:
    """Return the special tokens among them, languages included, and then the first others, with their ids, and a count of the rest; "" for none."""
    if not tokens:
        return ""
    ordered = sorted(tokens, key=lambda pair: (pair[1] not in ("[START]", "[STOP]"), not is_language(pair[1])))
    shown = ", ".join(f"{token[:40]} ({number})" for number, token in ordered[:SHOWN])
    return shown + (f" and {len(tokens) - SHOWN:,} more" if len(tokens) > SHOWN else "")


def _special(vocabulary: Vocabulary, name: str) -> list[Cause]:
    """Return an error where `[START]`, `[STOP]` or a language cannot be distinguished (`vocab-special`)."""
    special = ["[START]", "[STOP]", *(f"[{language}]" for language in vocabulary.languages)]
    by_id: dict[int, list[str]] = {}
    for token in special:
        by_id.setdefault(vocabulary.ids[token], []).append(token)
    same = [f"{' and '.join(tokens)} both have id {number}" for number, tokens in by_id.items() if len(tokens) > 1]
    if not same:
        return []
    return [
        Cause(
            code="vocab-special",
            severity="error",
            message=f"{name}: {'; '.join(same[:SHOWN])}, so the model cannot tell them apart",
            hint="A token that model.vocab lacks is numbered anew when the file is read: pass the vocab.json of the run.",
        )
    ]


def _ids(vocabulary: Vocabulary, name: str) -> list[Cause]:
    problems, taken, first_token = [], set(vocabulary.ids.values()), dict[int, str]()
    if vocabulary.holes:
        first = next(number for number in range(vocabulary.size) if number not in taken)
        problems.append(f"leaves {counted(vocabulary.holes, 'id')} below {vocabulary.size:,} unused, {first} first")
    if vocabulary.shared:
        token, number = next((t, n) for t, n in vocabulary.ids.items() if first_token.setdefault(n, t) != t)
        problems.append(
            f"gives {counted(vocabulary.shared, 'token')} the id of another, {number} to {first_token[number][:40]} and {token[:40]} first"
        )
    if not problems:
        return []
    message = f"{name} {' and '.join(problems)}"
    return [Cause(code="vocab-ids", severity="warning", message=message, hint="Check that it was not edited by hand.")]


def _languages(vocabulary: Vocabulary, name: str) -> list[Cause]:
    unclean = vocabulary.added_languages
    if not unclean:
        return []
    return [
        Cause(
            code="vocab-languages",
            severity="note",
            message=f"{name} has [{'], ['.join(unclean[:10])}], which stock coqui-tts cannot clean (NotImplementedError); "
            "here such a text is read in lower case with single spaces, its numbers as digits",
            hint="The program that is to speak it needs a cleaner: ebook2audiobook has one for Vietnamese, the fork "
            "XTTSv2-Finetuning-for-New-Languages for any language. Or replace VoiceBpeTokenizer.preprocess_text.",
        )
    ]


def order_causes(vocabulary: Vocabulary, vocab: Found, base: Vocabulary, base_path: Location) -> list[Cause]:
    """Return a cause where tokens of the base have other ids here (`vocab-order`): it loads, and speaks gibberish.

    A vocabulary that extends the base's must keep the base's ids; one that is smaller is another vocabulary.
    """
    if vocabulary.size < base.size:
        return []
    moved = sorted((number, token) for token, number in base.ids.items() if vocabulary.ids.get(token) != number)
    if not moved:
        return []
    number, token = moved[0]
    own_id = vocabulary.ids.get(token)
    where = f"id {own_id:,}" if own_id is not None else "not"
    return [
        Cause(
            code="vocab-order",
            severity="error" if vocabulary.size == base.size else "warning",
            message=f"{len(moved):,} of the {len(base.ids):,} tokens of the base ({base_path}) have another id in "
            f"{vocab.path.name} ({vocab.origin}): {token[:40]} has id {number:,} there and {where} here",
            hint="The embedding's rows keep the order of training: pass the vocab.json of the run, or the base's.",
        )
    ]


def no_vocab(architecture: Architecture, searched: Sequence[str]) -> SourceError:
    """Return the error for a run whose vocabulary was not found: where it was looked for, and which one would fit."""
    rows, base = architecture.fields.get("gpt_number_text_tokens"), architecture.base
    fits = f"; the weights have {rows:,} text rows" if rows else ""
    fits += f", those of the {base} vocabulary" if rows and base.startswith("v") else ""
    return SourceError(
        "no-vocab",
        f"no vocab.json was found{fits}. Looked at: {'; '.join(searched)}",
        f"Pass the vocab.json that the run was trained with, --vocab FILE; {', '.join(published(base))}",
    )
