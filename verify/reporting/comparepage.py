"""The comparison as one file to open in a browser: the same sentence by each model, equally loud, with names or blind."""

import base64
import hashlib
import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import soundfile

from verify.diagnosis.causes import summary
from verify.errors import counted
from verify.listening.loudness import matching_gains
from verify.reporting.comparison import ComparisonReport, changed_share, figures, rows
from verify.reporting.sidebyside import PAGE, facts, figure_in_words, layers_in_words, percent, value_in_words
from verify.reporting.terminal import printable

MOST_SECONDS = 600.0  # of sound in the page, which FLAC and base64 make about 25 MB of; the rest stays in its files
_TEMPLATES = Path(__file__).parent / "templates"


def write_page(report: ComparisonReport, folder: Path) -> Path:
    """Write compare.html beside the clips that it holds."""
    path = folder / PAGE
    path.write_text(render(report, folder), encoding="utf-8", newline="\n")
    return path


def render(report: ComparisonReport, folder: Path) -> str:
    """Return the page as HTML that needs nothing but itself; its style and its script are allowed by their hashes."""
    import jinja2  # only where a page is written

    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=_visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    engine.filters |= {"percent": percent, "folded": summary, "counted": counted, "value": value_in_words}
    engine.filters |= {"facts": facts, "layers": layers_in_words, "figure": figure_in_words}
    takes = _takes(report)
    reference = _put_sound(folder, [voice for take in takes for voice in take["voices"]]) if takes else None
    judged = [model for model in report.models if model.checks]
    style, script = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("compare.css", "compare.js"))
    return engine.get_template("compare.html.j2").render(
        report=report,
        style=style,
        script=script,
        policy=f"default-src 'none'; media-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
        changed_share=lambda part: changed_share(asdict(part)),
        takes=takes,
        reference=reference,
        judged=judged,
        figures=[(model, figures(model)) for model in judged],
        rows=rows(judged),
    )


def _visible(value: Any) -> Any:
    """Return text with control characters made visible: names of strangers' files move nothing about."""
    return printable(value).plain if isinstance(value, str) and not hasattr(value, "__html__") else value


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _takes(report: ComparisonReport) -> list[dict[str, Any]]:
    """Return each sentence and seed, with the models that said it."""
    takes: list[dict[str, Any]] = []
    for number in range(max((len(model.samples) for model in report.heard), default=0)):
        said = [(model, model.samples[number]) for model in report.heard if number < len(model.samples)]
        first = said[0][1]
        voices = [{"model": model, "sample": sample, "sound": None} for model, sample in said]
        takes.append({"text": first["text"], "seed": first["seed"], "voices": voices})
    return takes


def _put_sound(folder: Path, voices: list[dict[str, Any]]) -> str:
    """Give each voice that the page has room for its sound, and return the reference's, all of them equally loud."""
    left, chosen = MOST_SECONDS, []
    for voice in voices:
        left -= voice["sample"]["seconds"]
        if left >= 0:
            chosen.append(voice)
    paths = [folder / "reference.wav", *(folder / voice["sample"]["path"] for voice in chosen)]
    clips = [soundfile.read(path, dtype="float32") for path in paths]
    gains = matching_gains(clips)
    sounds = [_address(samples * gain, rate_hz) for (samples, rate_hz), gain in zip(clips, gains, strict=True)]
    for voice, sound in zip(chosen, sounds[1:], strict=True):
        voice["sound"] = sound
    return sounds[0]


def _address(samples: Any, rate_hz: int) -> str:
    """Return mono samples `(samples,)` as a `data:` address of FLAC, which loses nothing and every browser plays."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format="FLAC", subtype="PCM_16")
    return f"data:audio/flac;base64,{base64.b64encode(buffer.getvalue()).decode()}"
