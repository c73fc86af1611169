"""The sweep as JSON and as one file to open in a browser: each sentence by each checkpoint, the best first, what the runs do, and the ranks."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from verify.report import templating
from verify.report.several import answers, curve, listen_page, sweep_words
from verify.report.words import number
from verify.results.sweep import SweepReport
from verify.results.swept import SweptCheckpoint

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
    return templating.render(
        "sweep.html.j2",
        **listen_page.listening(folder, _takes(report, folder), report.reference),
        report=report,
        answers=answers,
        title=sweep_words.headline(report),
        tally=sweep_words.tally(report),
        lead=sweep_words.lead(report),
        standing=partial(sweep_words.standing_in_column, report),
        next=sweep_words.next_steps(report),
        chosen=next((checkpoint for checkpoint in report.speaking if checkpoint.command), None),
        failed=[checkpoint for checkpoint in report.heard if checkpoint.failed],
        questions=_questions(report),
        curve=_curve(report),
    )


def _questions(report: SweepReport) -> dict[str, Any] | None:
    """Return the curves that answer what a person asks; None where a single point would be all."""
    shown = _shown(report)
    panel = curve.quality(report.measured)
    if not shown or not panel:
        return None
    names = [panel.name, *(["losses"] if report.measured[-1].name.endswith("loss") else [])]
    drawn = {
        f"{width}{theme}": curve.draw_questions(shown, report.measured, report.trends, theme, is_narrow=width != "")
        for theme in curve.INKS
        for width in ("", "narrow_")
    }
    return _picture(drawn, curve.words(shown, names))


def _curve(report: SweepReport) -> dict[str, Any] | None:
    """Return the curve of every figure; None where a single point would be all."""
    shown = _shown(report)
    if not shown:
        return None
    drawn = {theme: curve.draw(shown, report.measured, theme) for theme in curve.INKS}
    return _picture(drawn, curve.words(shown, [criterion.name for criterion in report.measured]))


def _shown(report: SweepReport) -> list[SweptCheckpoint]:
    shown = curve.drawable(report.checkpoints)
    return shown if len({checkpoint.step for checkpoint in shown}) > 1 else []


def _picture(drawn: dict[str, bytes], words: str) -> dict[str, Any]:
    """Return a picture for light and for dark pages, and in words."""
    return {**{theme: templating.data_uri("image/svg+xml", data) for theme, data in drawn.items()}, "words": words}


def _takes(report: SweepReport, folder: Path) -> list[dict[str, Any]]:
    """Return each sentence and seed with those that said it, the best first."""
    takes = []
    for place in range(max((len(checkpoint.samples) for checkpoint in report.heard), default=0)):
        said = [
            (checkpoint, checkpoint.samples[place]) for checkpoint in report.heard if place < len(checkpoint.samples)
        ]
        voices = [
            listen_page.voice(checkpoint.name, checkpoint.path, _about(checkpoint), sample, folder / path, path)
            for checkpoint, sample in said
            for path in [f"{checkpoint.folder}/{sample['path']}"]
        ]
        takes.append(listen_page.take(said[0][1], voices))
    return takes


def _about(checkpoint: SweptCheckpoint) -> str:
    """Return in words what ranks a checkpoint first, and its loss."""
    names = [name for name, value in checkpoint.figures.items() if value is not None]
    first = [*names[:MOST_TOLD], *(name for name in names[MOST_TOLD:] if name.endswith("loss"))]
    known = [f"rank {checkpoint.rank}"]
    known += [f"step {checkpoint.step:,}"] if checkpoint.step is not None else []
    known += [f"{name} {number(checkpoint.figures[name])}" for name in first]
    return ", ".join(known)
