"""What the pages to listen through have in common: each sentence with its voices, all clips equally loud."""

import io
from pathlib import Path
from typing import Any

import soundfile

from verify.audio.signal import matching_gains
from verify.report import templating

MOST_SECONDS = 600.0  # of sound in a page, which FLAC and base64 make about 25 MB of; the rest stays in its files


def voice(name: str, about: str, sample: dict[str, Any], file: Path, shown: str) -> dict[str, Any]:
    """Return one who speaks a sentence: by which name, what is told of it beside, and the clip, `shown` as its path."""
    return {"name": name, "about": about, "sample": sample, "file": file, "shown": shown, "sound": None}


def take(sample: dict[str, Any], voices: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a sentence with a seed, and who said it."""
    return {"text": sample["text"], "language": sample["language"], "seed": sample["seed"], "voices": voices}


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
