"""What the pages to listen through have in common: each sentence with its voices, all clips equally loud."""

import hashlib
import io
from pathlib import Path
from typing import Any

import soundfile

from verify import shell
from verify.audio.signal import matching_gains
from verify.report import templating

MOST_SECONDS = 600.0  # of sound in a page, which FLAC and base64 make about 25 MB of; the rest stays in its files


def voice(name: str, path: str, about: str, sample: dict[str, Any], file: Path, shown: str) -> dict[str, Any]:
    """Return one who speaks a sentence: its name, its model's path, what is told of it beside, and the clip, `shown` as its path."""
    return {
        "name": name,
        "path": path,
        "about": about,
        "sample": sample,
        "file": file,
        "shown": shown,
        "sound": None,
    }


def take(sample: dict[str, Any], voices: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a sentence with a seed, and who said it."""
    return {"text": sample["text"], "language": sample["language"], "seed": sample["seed"], "voices": voices}


def listening(folder: Path, takes: list[dict[str, Any]], reference: str | None) -> dict[str, Any]:
    """Return what listen.html.j2 shows of the takes, with the sound of their voices."""
    return {
        "takes": takes,
        "sound": put_sound(folder, [voice for take in takes for voice in take["voices"]]) if takes else None,
        "reference": reference,
        "comparison": identity(takes),
        "count_command": shell.command("compare", "--votes", "FILE", "FILE"),
    }


def identity(takes: list[dict[str, Any]]) -> str:
    """Return a name of what is heard on a page, by which votes on it are told from those on another."""
    heard = [
        (take["text"], take["seed"], voice["name"], hashlib.sha256(voice["file"].read_bytes()).hexdigest())
        for take in takes
        for voice in take["voices"]
    ]
    return hashlib.sha256(repr(heard).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def put_sound(folder: Path, voices: list[dict[str, Any]]) -> Any:
    """Give each voice that the page has room for its sound, and return the reference's, all of them equally loud.

    Args:
        folder: where reference.wav is.
        voices: those that come first are served first.
    """
    left, chosen = MOST_SECONDS, []
    for entry in voices:
        left -= entry["sample"]["seconds"]
        if left >= 0:
            chosen.append(entry)
    reference = folder / "reference.wav"  # not there where a named voice speaks
    paths = [*([reference] if reference.is_file() else []), *(entry["file"] for entry in chosen)]
    clips = [soundfile.read(path, dtype="float32") for path in paths]
    gains = matching_gains(clips)
    sounds = [_flac(samples * gain, rate_hz) for (samples, rate_hz), gain in zip(clips, gains, strict=True)]
    for entry, sound in zip(chosen, sounds[-len(chosen) :] if chosen else [], strict=True):
        entry["sound"] = sound
    return sounds[0] if reference.is_file() else None


def _flac(samples: Any, rate_hz: int) -> Any:
    """Return mono samples `(samples,)` as a `data:` address of FLAC, which loses nothing and every browser plays."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format="FLAC", subtype="PCM_16")
    return templating.data_uri("audio/flac", buffer.getvalue())
