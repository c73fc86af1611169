"""Hold what a Whisper wrote down against the text: the extra `asr`. No torch."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from verify import resources
from verify.checks import ERROR_RATE, Check
from verify.findings import WordErrors

UNSPACED = ("zh-cn", "ja")


def against(text: str, transcript: str, language: str, unasked: bool = False) -> tuple[dict[str, Any], Check]:
    """Return the fields `transcript`, `character_error_rate` and `word_errors`, and the check of the error rate."""
    rate = character_error_rate(text, transcript, language)
    found = {"transcript": transcript, "character_error_rate": round(rate, 3)}
    return {**found, "word_errors": word_errors(text, transcript, language)}, error_check(rate, transcript, unasked)


def character_error_rate(text: str, transcript: str, language: str) -> float:
    """Return the edit distance in characters as a share of the text; case, punctuation and digit spelling do not count."""
    import jiwer

    expected, actual = plain(text, language), plain(transcript, language)
    return float(jiwer.cer(expected, actual)) if expected else float(bool(actual))


def word_errors(text: str, transcript: str, language: str) -> WordErrors:
    """Return how the words of a transcript differ from those of the text, by their alignment with the fewest errors.

    Chinese and Japanese are written without spaces: their characters count as words.
    """
    import jiwer

    expected, actual = plain(text, language), plain(transcript, language)
    if language in UNSPACED:
        expected, actual = " ".join(expected.replace(" ", "")), " ".join(actual.replace(" ", ""))
    found = jiwer.process_words(expected, actual)
    return WordErrors(
        words=len(found.references[0]),
        substitutions=found.substitutions,
        deletions=found.deletions,
        insertions=found.insertions,
        last_word_heard=_last_is_equal(found.alignments[0], len(found.references[0])),
    )


def _last_is_equal(alignment: Sequence[Any], words: int) -> bool:
    """Whether the last word of the text stands in the transcript, in its place; what is said after it is no matter."""
    return any(chunk.type == "equal" and chunk.ref_end_idx == words for chunk in alignment)


def plain(text: str, language: str) -> str:
    """Return the text normalized for the comparison: lower-case letters and single spaces, numbers in words."""
    folded = unicodedata.normalize("NFKC", text).lower()
    folded = numbers_in_words(folded, language)
    return re.sub(r"\s+", " ", "".join(char if char.isalnum() else " " for char in folded)).strip()


def numbers_in_words(text: str, language: str) -> str:
    """Return the text with its numbers in words."""
    return re.sub(r"[0-9]{1,15}", lambda digits: f" {_in_words(int(digits[0]), language)} ", text)


def _in_words(number: int, language: str) -> str:
    """Return the number in words, with the package that coqui-tts uses; in digits where it does not know the language."""
    from num2words import num2words

    try:
        return num2words(number, lang=language.split("-")[0]).lower()
    except NotImplementedError:
        return str(number)


def error_check(rate: float, transcript: str, unasked: bool = False) -> Check:
    """Return the check of a character error rate; of a Whisper that nobody asked for, only another text fails it."""
    limit = resources.load("limits")["whisper" if unasked else "words"]["error_rate"]
    return Check(
        name=ERROR_RATE,
        ok=rate <= limit,
        measured=rate,
        high=limit,
        unit="of the text",
        hint=f"Whisper heard “{transcript[:80]}”: other words, or words that nobody understands.",
    )
