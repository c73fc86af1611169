"""Find a short sentence of a run in a language: its test sentences, else a line of its dataset's metadata."""

from collections.abc import Iterator
from typing import Any, TypeGuard

from verify import resources
from verify.source.dataset import datasets, metadata_for_training, read_lines, rows

_READ_BYTES = 2**18  # of a metadata file: its first lines
_MOST_LINES = 2000
# A default sentence has a few words; a longer one takes long to speak, and coqui cuts at 250 characters.
FEWEST_CHARACTERS, MOST_CHARACTERS = 8, 120


def of_run(config: dict[str, Any], follow: bool) -> dict[str, str]:
    """Return a sentence for each language that the run has one in, by the code that the run writes.

    Args:
        follow: whether to read the metadata files that the config names.
    """
    found, shipped = dict[str, str](), resources.load("sentences")
    tests = config.get("test_sentences")
    for test in tests[:20] if isinstance(tests, list) else ():
        text, language = (test.get("text"), test.get("language")) if isinstance(test, dict) else (None, None)
        if isinstance(language, str) and _is_short(text):
            found.setdefault(language, text.strip())
    for dataset in datasets(config) if follow else ():
        language = dataset.get("language")
        if isinstance(language, str) and language and language not in found and language not in shipped:
            line = next(_short_lines(dataset), None)
            found |= {language: line} if line else {}
    return found


def _is_short(text: Any) -> TypeGuard[str]:
    return isinstance(text, str) and FEWEST_CHARACTERS <= len(text.strip()) <= MOST_CHARACTERS


def _short_lines(dataset: dict[str, Any]) -> Iterator[str]:
    """Yield the short sentences of a metadata file whose lines are `file|text|...`, those with digits last.

    Nobody cleans the text of such a language, so a number would be read digit by digit.
    """
    path = metadata_for_training(dataset)
    lines = read_lines(path, _READ_BYTES) if path else []
    texts = [row.text for row in rows(lines, str(dataset.get("formatter")), _MOST_LINES) if _is_short(row.text)]
    yield from sorted(texts, key=lambda text: any(char.isdigit() for char in text))
