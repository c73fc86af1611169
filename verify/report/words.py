"""Words and numbers as people read them: sizes, losses, values, verdicts."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from verify.errors import counted


def percent(change: float | None) -> str:
    """Return a relative change as people read it."""
    return "–" if change is None else f"{change * 100:.3g} %"


def number(value: float | None, digits: int = 3) -> str:
    """Return a measurement as people read it; a dash where there was nothing to measure."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}g}"


def signed(value: float) -> str:
    """Return a difference with its sign, as people read it."""
    text = number(abs(value), 2)
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"


def gap_limit(low: float | None, high: float | None) -> str:
    """Return how far a figure may be from the recording's; empty where nothing is asked of it."""
    if low is None or high is None:
        return f">= {signed(low)}" if low is not None else f"<= {signed(high)}" if high is not None else ""
    return f"{signed(low)} to {signed(high)}"


PAGE = "report.html"
UNCHECKED_WORDS = "words not checked: add --transcribe to hold what was said against the text"
VERDICTS = {"pass": "bold green", "warn": "bold yellow", "fail": "bold red", "error": "bold red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckState:
    """How a check that passed or failed is shown, everywhere: a mark, words, the class on a page, the terminal's colour."""

    mark: str
    words: str
    name: str
    colour: str


PASSED = CheckState(mark="✓", words="passed", name="pass", colour="green")
FAILED = CheckState(mark="✗", words="failed", name="fail", colour="red")
NOT_DEMANDED = CheckState(
    mark="(✗)", words="failed, not demanded", name="warn", colour="yellow"
)  # "–" is "not measured"


def check_state(ok: bool, demanded: bool) -> CheckState:
    """Return how a check is shown; where the verdict does not depend on it, its failure is no alarm."""
    return PASSED if ok else FAILED if demanded else NOT_DEMANDED


def word_errors(found: Mapping[str, Any] | None) -> str:
    """Return in words how what a Whisper heard differs from the text, to stand behind the error rate; empty where it does not."""
    if found is None:
        return ""
    counts = (("other", "substitutions"), ("lost", "deletions"), ("added", "insertions"))
    wrong = [f"{found[name]} {what}" for what, name in counts if found[name]]
    last = "" if found["last_word_heard"] else "; the last word was not heard"
    return f"; of {found['words']} words {', '.join(wrong)}{last}" if wrong else ""


def printable(text: str, style: str = "") -> Text:
    """Return text with control characters made visible: a name in a file must not move a terminal's cursor."""
    return Text("".join(char if char.isprintable() else "\ufffd" for char in text), style)


def size(number: float) -> str:
    """Return bytes in decimal units, as disks and download pages count."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.2f} {unit}"
        number /= 1000
    return f"{number:.2f} GB"


def loss_words(loss: Any) -> str:
    """Return the training loss in words; the trainer saves a number or a dictionary."""
    values = loss if isinstance(loss, dict) else {"loss": loss}
    shown = list(values.items())[:4]
    words = {name: f"{value:.4g}" if isinstance(value, (int, float)) else value for name, value in shown}
    return ", ".join(
        f"{str(name)[:40].replace('_', ' ')} {value[:40]}" for name, value in words.items() if isinstance(value, str)
    )


def settings(sampling: Mapping[str, float]) -> str:
    """Return the settings of the sampling by coqui's names: `temperature 0.85, top_k 50`."""
    return ", ".join(f"{name} {value:g}" for name, value in sampling.items())


def streamed(stream: Mapping[str, Any]) -> str:
    """Return how the first sentence came through the stream, of its part of report.json."""
    told = "the same tokens as without" if stream["same_tokens"] else "other tokens than without"
    first = f"first chunk after {stream['first_chunk_seconds']:.2f} s"
    return f"{first}, {counted(stream['chunks'], 'chunk')}, {stream['seconds']:.2f} s of audio, {told}"


def opened(folder: str, files: Collection[str]) -> str:
    """Return the Python that opens a model folder; nothing where there is none, or it lies at a URL.

    coqui-tts reads model.pth alone, this project model.safetensors too.
    """
    if not folder or "://" in folder:
        return ""
    if "model.pth" in files:
        return f"TTS(model_path={folder!r}, config_path={folder + '/config.json'!r})"
    return f"verify.load_xtts({folder!r})" if "model.safetensors" in files else ""


STAGES = {
    "start": "does not start",
    "import": "coqui does not import",
    "load": "does not load",
    "condition": "hears no reference",
    "speak": "loads, does not speak",
}


def place_words(stage: str | None, spoke: bool, ok: bool) -> str:
    """Return how the model fares in another Python; `stage` is where it ended, None where it did all that was asked."""
    if stage:
        return STAGES[stage]
    return "loads" if not spoke else "loads and speaks" if ok else "speaks, sounds wrong"


def token_words(same: bool | None) -> str:
    """Return whether the audio tokens are those that were spoken here; nothing where that is not known."""
    return {True: "token for token as here", False: "with other tokens than here", None: ""}[same]


def place_packages(packages: Mapping[str, str | None]) -> str:
    """Return the versions that decide whether a model runs, in one line."""
    names = {"python": "Python"}
    shown = ("python", "coqui-tts", "TTS", "torch", "transformers")
    return ", ".join(f"{names.get(name, name)} {packages[name]}" for name in shown if packages.get(name))
