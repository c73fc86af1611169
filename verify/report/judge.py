"""The verdict on sound files, for a terminal."""

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verify.checks import Check
from verify.report.terminal import show_cause
from verify.report.words import VERDICTS, printable
from verify.results.clips import ClipsReport, JudgedClip

SIDE_BY_SIDE = 4  # more clips than this get one line each


def show(report: ClipsReport, screen: Console, is_quiet: bool) -> None:
    """Print the checks of each clip, side by side for a few, one line each for many; quiet, only what is wrong."""
    heard = [clip for clip in report.clips if not clip.cause]
    if heard and not is_quiet:
        screen.print(_table(report, heard) if len(heard) <= SIDE_BY_SIDE else _lines(report, heard))
    if not is_quiet or report.verdict != "pass":
        show_outcome(report, screen)


def show_outcome(report: ClipsReport, screen: Console) -> None:
    """Print what decides: files that could not be read, failed checks with their hints, the verdict."""
    for clip in report.clips:
        if clip.cause:
            show_cause(clip.cause, screen)
        for check in report.failed(clip):
            line = f": {check.name} {_value(check)} ({check.limit} {check.unit}): {check.hint}"
            screen.print(printable(str(clip.path), "red") + Text(line, "red"), soft_wrap=not screen.is_terminal)
    failed = sum(bool(clip.cause or report.failed(clip)) for clip in report.clips)
    count = f"{len(report.clips) - failed} of {len(report.clips)} pass"
    screen.print(Text.assemble((f"verdict: {report.verdict}", VERDICTS[report.verdict]), f", {count}"))


def _table(report: ClipsReport, clips: Sequence[JudgedClip]) -> Table:
    """Return checks as rows, clips as columns."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("check", overflow="fold")
    for clip in clips:
        table.add_column(printable(clip.path.name), justify="right", overflow="fold")
    table.add_column("limit", justify="right", overflow="fold")
    table.add_column("unit", overflow="fold")
    length = [Text(f"{clip.seconds:.2f}") for clip in clips]
    table.add_row("length", *length, "", "s")
    for row in zip(*(clip.checks for clip in clips), strict=True):
        name = row[0].name
        note = "" if report.demands(row[0]) else "  (not demanded by --expect sound)"
        limits = dict.fromkeys(check.limit for check in row)
        table.add_row(name, *(_cell(report, check) for check in row), " or ".join(limits), row[0].unit + note)
    return table


def _lines(report: ClipsReport, clips: Sequence[JudgedClip]) -> Table:
    """Return a row for each clip: the figures that say most, and which checks it failed."""
    shown = ("level", "speech share", "DNSMOS overall", "DNSMOS P.808")
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("clip", overflow="fold")
    for name in ("length", *shown):
        table.add_column(name, justify="right")
    table.add_column("failed", overflow="fold")
    for clip in clips:
        checks, failed = {check.name: check for check in clip.checks}, report.failed(clip)
        mark = Text("✗", "red") if failed else Text("✓", "green")
        figures = (Text(_value(checks[name])) for name in shown)
        names = Text(", ".join(check.name for check in failed), "red")
        table.add_row(mark, printable(str(clip.path)), Text(f"{clip.seconds:.2f} s"), *figures, names)
    return table


def _cell(report: ClipsReport, check: Check) -> Text:
    if check.ok:
        return Text.assemble(_value(check), (" ✓", "green"))
    return Text.assemble(_value(check), (" ✗", "red") if report.demands(check) else (" –", "yellow"))


def _value(check: Check) -> str:
    return "–" if check.measured is None or not math.isfinite(check.measured) else f"{check.measured:.3g}"
