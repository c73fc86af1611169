"""The verdict on sound files, for a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verify.report.terminal import check_cell, show_cause, show_sound_cause, show_verdict, table
from verify.report.words import check_state, number, printable
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
        if cause := report.sound_cause(clip):
            show_sound_cause(cause, screen, before=f"{clip.path}: ")
        for check in report.failed(clip):
            line = f": {check.name} {number(check.measured)} ({check.limit} {check.unit}): {check.hint}"
            screen.print(printable(str(clip.path), "red") + Text(line, "red"), soft_wrap=not screen.is_terminal)
    failed = sum(bool(clip.cause or report.failed(clip)) for clip in report.clips)
    count = f"{len(report.clips) - failed} of {len(report.clips)} pass"
    show_verdict(report.verdict, f", {count}", screen)


def _table(report: ClipsReport, clips: Sequence[JudgedClip]) -> Table:
    """Return checks as rows, clips as columns."""
    names = [clip.path.name for clip in clips]
    rows = table("check", *names, "limit", "unit", right=(*names, "limit"))
    length = [Text(f"{clip.seconds:.2f}") for clip in clips]
    rows.add_row("length", *length, "", "s")
    for row in zip(*(clip.checks for clip in clips), strict=True):
        name = row[0].name
        note = "" if report.demands(row[0]) else "  (not demanded by --expect sound)"
        limits = dict.fromkeys(check.limit for check in row)
        rows.add_row(
            name, *(check_cell(check, report.demands(check)) for check in row), " or ".join(limits), row[0].unit + note
        )
    return rows


def _lines(report: ClipsReport, clips: Sequence[JudgedClip]) -> Table:
    """Return a row for each clip: the figures that say most, and which checks it failed."""
    shown = ("level", "speech share", "DNSMOS overall", "DNSMOS P.808")
    rows = table("", "clip", "length", *shown, "failed", right=("length", *shown))
    for clip in clips:
        checks, failed = {check.name: check for check in clip.checks}, report.failed(clip)
        state = check_state(not failed, demanded=True)
        figures = (Text(number(checks[name].measured)) for name in shown)
        names = Text(", ".join(check.name for check in failed), "red")
        rows.add_row(
            Text(state.mark, state.colour), printable(str(clip.path)), Text(f"{clip.seconds:.2f} s"), *figures, names
        )
    return rows
