"""Transcribe a sample with the user's Whisper model and compare it with the text: the extra `asr`. No torch."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verify import resources
from verify.checks import ERROR_RATE, Check
from verify.errors import EnvironmentFault, SourceError
from verify.findings import WordErrors
from verify.progress import Watch

if TYPE_CHECKING:
    from verify.audio.clips import Sample


WHISPER_RATE_HZ = 16000
UNSPACED = ("zh-cn", "ja")
FETCH = (
    "Pass the folder of a faster-whisper model, or download one by name first: "
    "python -c \"from faster_whisper import download_model; download_model('tiny')\"."
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transcriber:
    """A loaded Whisper model."""

    model: Any

    def check(self, sample: "Sample", language: str) -> tuple[dict[str, Any], Check]:
        """Return the fields `transcript`, `character_error_rate` and `word_errors` of a sample, and the check of its error rate."""
        transcript = self.transcribe(sample.samples, sample.rate_hz, language)
        rate = character_error_rate(sample.text, transcript, language)
        found = {"transcript": transcript, "character_error_rate": round(rate, 3)}
        return {**found, "word_errors": word_errors(sample.text, transcript, language)}, error_check(rate, transcript)

    def transcribe(self, samples: np.ndarray, rate_hz: int, language: str) -> str:
        """Return the transcript of mono samples `(samples,)`; empty for samples that are not finite."""
        import librosa

        if not np.isfinite(samples).all():
            return ""
        sound = librosa.resample(samples.astype(np.float32), orig_sr=rate_hz, target_sr=WHISPER_RATE_HZ)
        parts, _ = self.model.transcribe(
            sound, language=language.split("-")[0], beam_size=5, condition_on_previous_text=False
        )
        return " ".join(part.text.strip() for part in parts)


def locate(model: str) -> Path:
    """Return the folder of a faster-whisper model, given as a folder or as the name of a model that was downloaded before.

    Raises:
        EnvironmentFault: the packages of the extra `asr` are not installed.
        SourceError: there is no such model on this machine; nothing is downloaded.
    """
    for package in ("faster_whisper", "jiwer"):
        if find_spec(package) is None:
            raise EnvironmentFault(
                "missing-package",
                f"--transcribe needs {package}, which is not installed",
                'pip install "xtts-verify[asr]"',
            )
    if Path(model).is_dir():
        if not (Path(model) / "model.bin").is_file():
            raise SourceError("no-whisper", f"{model} holds no faster-whisper model: model.bin is missing", FETCH)
        return Path(model)
    from faster_whisper import download_model

    try:
        return Path(download_model(model, local_files_only=True))
    except (OSError, ValueError, RuntimeError) as error:
        raise SourceError("no-whisper", f"there is no Whisper {model[:100]!r} on this machine", FETCH) from error


def load(folder: Path, watch: Watch) -> Transcriber:
    """Load a faster-whisper model onto the CPU.

    Raises:
        SourceError: the folder holds no model that faster-whisper can load.
    """
    from faster_whisper import WhisperModel

    try:
        with watch.step("loading Whisper"):
            return Transcriber(
                model=WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True)
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise SourceError("no-whisper", f"{folder} cannot be loaded: {str(error)[:200]}", FETCH) from error


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


def error_check(rate: float, transcript: str) -> Check:
    """Return the check of a character error rate."""
    limit = resources.load("limits")["words"]["error_rate"]
    return Check(
        name=ERROR_RATE,
        ok=rate <= limit,
        measured=rate,
        high=limit,
        unit="of the text",
        hint=f"Whisper heard “{transcript[:80]}”: other words, or words that nobody understands.",
    )
