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
        unranked=[one for one in report.checkpoints if not one.rank],
        failed=[one for one in report.heard if one.failed],
        figures=report.ranking,
        curve=_curve(report),
        takes=takes,
        sound=listen_page.put_sound(folder, [voice for take in takes for voice in take["voices"]]) if takes else None,
        reference=report.reference,
    )


def _curve(report: SweepReport) -> dict[str, Any] | None:
    """Return the curve for light and for dark pages, and in words; None where a single point would be all."""
    shown = curve.drawable(report.checkpoints)
    if len({one.found["step"] for one in shown}) < 2:
        return None
    drawn = {
        theme: templating.data_uri("image/svg+xml", curve.draw(shown, report.ranking, theme)) for theme in curve.INKS
    }
    return {**drawn, "words": curve.words(shown, report.ranking)}


def _takes(heard: tuple[SweptCheckpoint, ...], folder: Path) -> list[dict[str, Any]]:
    """Return each sentence and seed with those that said it, the best first."""
    takes = []
    for place in range(max((len(one.samples) for one in heard), default=0)):
        said = [(one, one.samples[place]) for one in heard if place < len(one.samples)]
        voices = [
            listen_page.voice(one.name, _about(one), sample, folder / path, path)
            for one, sample in said
            for path in [f"{one.folder}/{sample['path']}"]
        ]
        takes.append(listen_page.take(said[0][1], voices))
    return takes


def _about(one: SweptCheckpoint) -> str:
    """Return in words what ranks a checkpoint first, and its loss."""
    names = list(one.figures)
    first = [*names[:MOST_TOLD], *(name for name in names[MOST_TOLD:] if name.endswith("loss"))]
    known = [f"rank {one.rank}"]
    known += [f"step {one.found['step']:,}"] if one.found["step"] is not None else []
    known += [f"{name} {number(one.figures[name])}" for name in first]
    return ", ".join(known)
