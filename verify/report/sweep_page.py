"""The sweep as JSON and as one file to open in a browser: ranks, curves, and each sentence by each checkpoint, the best first."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from verify.errors import counted
from verify.report import curve, listen_page, templating
from verify.report.words import number
from verify.results.sweep import SweepReport, SweptCheckpoint

JSON, PAGE = "sweep.json", "sweep.html"
MOST_TOLD = 2  # figures of a checkpoint beside its clip; the table has all


def write(report: SweepReport, folder: Path, write: Callable[[str, bytes], None]) -> None:
    """Write sweep.json and sweep.html.

    Args:
        folder: of the sweep, with the clips.
        write: writes a file of that name, whole or not at all.
    """
    write(PAGE, render(report, folder).encode("utf-8"))
    write(JSON, (json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n").encode("ascii"))


def render(report: SweepReport, folder: Path) -> str:
    """Return the page as HTML that needs nothing but itself."""
    takes = _takes(report.heard, folder)
    return templating.render(
        "sweep.html.j2",
        title=f"{counted(len(report.checkpoints), 'checkpoint')} by rank",
        best=next(iter(report.heard), None),
        ranked=report.heard,
        unranked=[checkpoint for checkpoint in report.checkpoints if not checkpoint.rank],
        failed=[checkpoint for checkpoint in report.heard if checkpoint.failed],
        figures=report.ranking,
        curve=_curve(report),
        takes=takes,
        sound=listen_page.put_sound(folder, [voice for take in takes for voice in take["voices"]]) if takes else None,
        reference=report.reference,
    )


def _curve(report: SweepReport) -> dict[str, Any] | None:
    """Return the curve for light and for dark pages, and in words; None where a single point would be all."""
    shown = curve.drawable(report.checkpoints)
    if len({checkpoint.found["step"] for checkpoint in shown}) < 2:
        return None
    drawn = {
        theme: templating.data_uri("image/svg+xml", curve.draw(shown, report.ranking, theme)) for theme in curve.INKS
    }
    return {**drawn, "words": curve.words(shown, report.ranking)}


def _takes(heard: tuple[SweptCheckpoint, ...], folder: Path) -> list[dict[str, Any]]:
    """Return each sentence and seed with those that said it, the best first."""
    takes = []
    for place in range(max((len(checkpoint.samples) for checkpoint in heard), default=0)):
        said = [(checkpoint, checkpoint.samples[place]) for checkpoint in heard if place < len(checkpoint.samples)]
        voices = [
            listen_page.voice(checkpoint.name, _about(checkpoint), sample, folder / path, path)
            for checkpoint, sample in said
            for path in [f"{checkpoint.folder}/{sample['path']}"]
        ]
        takes.append(listen_page.take(said[0][1], voices))
    return takes


def _about(checkpoint: SweptCheckpoint) -> str:
    """Return in words what ranks a checkpoint first, and its loss."""
    names = list(checkpoint.figures)
    first = [*names[:MOST_TOLD], *(name for name in names[MOST_TOLD:] if name.endswith("loss"))]
    known = [f"rank {checkpoint.rank}"]
    known += [f"step {checkpoint.found['step']:,}"] if checkpoint.found["step"] is not None else []
    known += [f"{name} {number(checkpoint.figures[name])}" for name in first]
    return ", ".join(known)
