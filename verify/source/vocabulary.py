"""Read vocab.json as an XTTS tokenizer: how many tokens, which languages, where start and stop are."""

import re
from dataclasses import dataclass
from typing import Any

from verify import resources
from verify.errors import SourceError
from verify.files.location import Location
from verify.source.companions import MAX_VOCAB_BYTES
from verify.source.config import read_json

_LANGUAGE = re.compile(r"\[([a-z]{2,3}(?:-[a-z]{2})?)\]")
_NO_LANGUAGES = {"bos", "eos", "pad", "sep", "cls", "unk"}  # what other tokenizers call their special tokens


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Vocabulary:
    """What Xtts takes from vocab.json; `size` is the highest id plus one, as coqui counts it."""

    ids: dict[str, int]
    size: int
    start: int
    stop: int
    holes: int  # ids below `size` that no token has
    shared: int  # tokens that share their id with another
    languages: tuple[str, ...]

    @property
    def added_languages(self) -> tuple[str, ...]:
        """The languages beyond the 17 of XTTS that can be spoken: coqui-tts cuts a region off, so `[pt-br]` cannot."""
        known = resources.load("sentences")
        return tuple(language for language in self.languages if language not in known and "-" not in language)


def read_vocabulary(path: Location) -> Vocabulary:
    """Read the tokenizer file.

    Raises:
        SourceError: it is not JSON, not a tokenizer, or lacks `[START]` or `[STOP]`.
    """
    tokens = _token_ids(
        path, read_json(path, MAX_VOCAB_BYTES, "Pass the vocab.json that the run was trained with: --vocab FILE.")
    )
    missing = [name for name in ("[START]", "[STOP]") if name not in tokens]
    if missing:
        raise SourceError(
            "bad-vocab",
            f"{path} has {len(tokens):,} tokens but no {' and no '.join(missing)}: it is not an XTTS vocabulary",
            "Pass the vocab.json that the run was trained with: --vocab FILE.",
        )
    languages = tuple(token[1:-1] for token in tokens if is_language(token))
    size = max(tokens.values()) + 1
    return Vocabulary(
        ids=tokens,
        size=size,
        start=tokens["[START]"],
        stop=tokens["[STOP]"],
        holes=size - len(set(tokens.values())),
        shared=len(tokens) - len(set(tokens.values())),
        languages=languages,
    )


def _token_ids(path: Location, tokenizer: dict[str, Any]) -> dict[str, int]:
    """Return token to id, added tokens included, as `Tokenizer.get_vocab()` does."""
    model = tokenizer.get("model")
    tokens = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(tokens, dict) or not tokens:
        raise SourceError(
            "bad-vocab",
            f"{path} is JSON, but no tokenizer: model.vocab is missing",
            "Pass the run's vocab.json: --vocab FILE.",
        )
    added = tokenizer.get("added_tokens")
    names = [item.get("content") for item in added if isinstance(item, dict)] if isinstance(added, list) else []
    tokens = _with_added(tokens, [name for name in names if isinstance(name, str)])
    if not all(type(number) is int and 0 <= number < 2**24 for number in tokens.values()):
        raise SourceError("bad-vocab", f"{path}: token ids must be integers from 0 to 16,777,215")
    return tokens


def _with_added(vocab: dict[str, Any], added: list[str]) -> dict[str, Any]:
    """Number the added tokens as the tokenizers library does on load: by its own count, whatever `id` the file states."""
    tokens, highest = dict(vocab), -1
    for name in added:
        if name not in tokens:
            tokens[name] = highest + 1 if highest >= len(vocab) else len(vocab)
        highest = max(highest, tokens[name]) if type(tokens[name]) is int else highest
    return tokens


def is_language(token: str) -> bool:
    """Whether the token names a language, such as `[vi]`."""
    match = _LANGUAGE.fullmatch(token)
    return match is not None and match[1] not in _NO_LANGUAGES


def base_version(text_rows: int) -> str:
    """Return the name of the base model with this number of text rows, `extended` above the largest, else `unknown`."""
    versions = resources.load("xtts")["base_versions"]
    names_by_rows = {item["text_rows"]: item["name"] for item in versions}
    return names_by_rows.get(text_rows, "extended" if text_rows > max(names_by_rows) else "unknown")


def published(name: str) -> tuple[str, ...]:
    """Return for the base model of that name, or for all where there is none, where its vocab.json is to be had."""
    versions = resources.load("xtts")["base_versions"]
    fitting = [version for version in versions if version["name"] == name] or versions
    return tuple(f"that of {version['name']} is at {version['vocab']}" for version in fitting)
