"""What the pages to listen through have in common: clips that are equally loud, and nothing that comes from elsewhere."""

import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import soundfile

from verify.audio.loudness import matching_gains
from verify.diagnosis.attribution import summary
from verify.errors import counted
from verify.report import templating
from verify.report.words import printable, value_in_words

MOST_SECONDS = 600.0  # of sound in a page, which FLAC and base64 make about 25 MB of; the rest stays in its files


def render(template: str, filters: dict[str, Any], **values: Any) -> str:
    """Return a page as HTML that needs nothing but itself; its style and its script are allowed by their hashes."""
    known: dict[str, Any] = {"folded": summary, "counted": counted, "value": value_in_words}
    engine = templating.engine(_visible, {**known, **filters})
    style, script = (
        (templating.TEMPLATES / name).read_text(encoding="utf-8") for name in ("compare.css", "compare.js")
    )
    policy = (
        f"default-src 'none'; media-src data:; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    return engine.get_template(template).render(style=style, script=script, policy=policy, **values)


def _visible(value: Any) -> Any:
    """Return text with control characters made visible: names of strangers' files move nothing about."""
    return printable(value).plain if isinstance(value, str) and not hasattr(value, "__html__") else value


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def voice(name: str, about: str, sample: dict[str, Any], file: Path, shown: str) -> dict[str, Any]:
    """Return one who speaks a sentence: by which name, what is told of it beside, and the clip, `shown` as its path."""
    return {"name": name, "about": about, "sample": sample, "file": file, "shown": shown, "sound": None}


def take(sample: dict[str, Any], voices: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a sentence with a seed, and who said it."""
    return {"text": sample["text"], "language": sample["language"], "seed": sample["seed"], "voices": voices}


def put_sound(folder: Path, voices: list[dict[str, Any]]) -> str:
    """Give each voice that the page has room for its sound, and return the reference's, all of them equally loud.

    Args:
        folder: where reference.wav is.
        voices: those that come first are served first.
    """
    left, chosen = MOST_SECONDS, []
    for one in voices:
        left -= one["sample"]["seconds"]
        if left >= 0:
            chosen.append(one)
    paths = [folder / "reference.wav", *(one["file"] for one in chosen)]
    clips = [soundfile.read(path, dtype="float32") for path in paths]
    gains = matching_gains(clips)
    sounds = [_address(samples * gain, rate_hz) for (samples, rate_hz), gain in zip(clips, gains, strict=True)]
    for one, sound in zip(chosen, sounds[1:], strict=True):
        one["sound"] = sound
    return sounds[0]


def _address(samples: Any, rate_hz: int) -> str:
    """Return mono samples `(samples,)` as a `data:` address of FLAC, which loses nothing and every browser plays."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format="FLAC", subtype="PCM_16")
    return data_address("audio/flac", buffer.getvalue())


def data_address(kind: str, data: bytes) -> str:
    """Return bytes as a `data:` address."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
