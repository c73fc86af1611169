"""Write down what a sample says with a Whisper of the user's, and hold it against the text: the extra `asr`. No torch."""

import re
import unicodedata
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verify import resources
from verify.checks import Check
from verify.errors import EnvironmentFault, SourceError
from verify.progress import Watch

if TYPE_CHECKING:
    from verify.audio.clips import Sample


WHISPER_RATE_HZ = 16000
FETCH = (
    "Pass the folder of a faster-whisper model, or download one by name first: "
    "python -c \"from faster_whisper import download_model; download_model('tiny')\"."
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Listener:
    """A Whisper that is ready to listen."""

    model: Any

    def hear(self, sample: "Sample", language: str) -> tuple[dict[str, Any], Check]:
        """Return `transcript` and `character_error_rate` of the sample, and the check of it."""
        said = self.transcribe(sample.samples, sample.rate_hz, language)
        rate = character_error_rate(sample.text, said, language)
        return {"transcript": said, "character_error_rate": round(rate, 3)}, error_check(rate, said)

    def transcribe(self, samples: np.ndarray, rate_hz: int, language: str) -> str:
        """Return what mono samples `(samples,)` say."""
        import librosa

        if not np.isfinite(samples).all():
            return ""  # nobody can hear that
        sound = librosa.resample(samples.astype(np.float32), orig_sr=rate_hz, target_sr=WHISPER_RATE_HZ)
        parts, _ = self.model.transcribe(
            sound, language=language.split("-")[0], beam_size=5, condition_on_previous_text=False
        )
        return " ".join(part.text.strip() for part in parts)


def locate(model: str) -> Path:
    """Return the folder of a faster-whisper model: the one that is named, or one of that name that was downloaded before.

    Raises:
        EnvironmentFault: the packages of the extra `asr` are not installed.
        SourceError: there is no such model on this machine; none is downloaded.
    """
    for package in ("faster_whisper", "jiwer"):
        if find_spec(package) is None:
            raise EnvironmentFault(
                "missing-package",
                f"--transcribe needs {package}, which is not installed",
                "pip install 'xtts-verify[asr]'",
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


def listener(folder: Path, watch: Watch) -> Listener:
    """Load a faster-whisper model onto the CPU.

    Raises:
        SourceError: the folder's files are no such model.
    """
    from faster_whisper import WhisperModel

    try:
        with watch.step("loading Whisper"):
            return Listener(model=WhisperModel(str(folder), device="cpu", compute_type="int8", local_files_only=True))
    except (OSError, ValueError, RuntimeError) as error:
        raise SourceError("no-whisper", f"{folder} cannot be loaded: {str(error)[:200]}", FETCH) from error


def character_error_rate(text: str, said: str, language: str) -> float:
    """Return the edit distance of the two in characters as a share of the text's; case, signs and digits do not count."""
    import jiwer

    wanted, heard = plain(text, language), plain(said, language)
    return float(jiwer.cer(wanted, heard)) if wanted else float(bool(heard))


def plain(text: str, language: str) -> str:
    """Return letters and single spaces in lower case, numbers in words: what a transcript can be right or wrong about."""
    folded = unicodedata.normalize("NFKC", text).lower()
    folded = re.sub(r"[0-9]{1,15}", lambda digits: f" {_in_words(int(digits[0]), language)} ", folded)
    return re.sub(r"\s+", " ", "".join(char if char.isalnum() else " " for char in folded)).strip()


def _in_words(number: int, language: str) -> str:
    """Return the number as it is spoken, as coqui-tts has it said; its digits where the language is not known."""
    from num2words import num2words

    try:
        return num2words(number, lang=language.split("-")[0]).lower()
    except NotImplementedError:
        return str(number)


def error_check(rate: float, said: str) -> Check:
    """Return the check of a character error rate."""
    limit = resources.load("limits")["words"]["error_rate"]
    return Check(
        name="character error rate",
        ok=rate <= limit,
        measured=rate,
        high=limit,
        unit="of the text",
        hint=f"Whisper heard “{said[:80]}”: other words, or words that nobody understands.",
    )
