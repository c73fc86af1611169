"""The report as a notebook shows it: the verdict, its reason, the sample to play, and the checks to unfold."""

from pathlib import Path
from typing import Any

import soundfile

from verify.report import page, templating

_COLOURS = {"pass": "#2e7d32", "warn": "#b26a00", "fail": "#c62828", "error": "#c62828"}


def render(document: dict[str, Any]) -> str:
    """Return the report of schema 1 as a piece of HTML that needs nothing but itself and runs nothing."""
    return templating.render(
        "notebook.html.j2",
        report=document,
        colour=_COLOURS[document["verdict"]],
        title=page.headline(document) if document["load"] else "Read, not loaded",
        reason=page.reason(document),
        audio=_sample(document),
    )


def _sample(document: dict[str, Any]) -> Any:
    """Return the first sample as data URI; None where none was written, or it is gone."""
    written = document["output"] and document["sample"] and document["sample"]["path"]
    path = Path(document["output"]["directory"]) / written if written else None
    if path is None or not path.is_file():
        return None
    with soundfile.SoundFile(path) as file:
        samples = file.read(int(page.LONGEST_SECONDS * file.samplerate), dtype="float32", always_2d=True).mean(axis=1)
        return page.sound_uri(samples, file.samplerate, "wav")
