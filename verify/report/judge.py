"""The verdict on sound files, for a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verify.errors import counted
from verify.report.details import check_cell
from verify.report.screen import say, show_cause, show_verdict, table
from verify.report.terminal import show_sound_cause
from verify.report.words import check_state, number, printable
from verify.results.clips import ClipsReport, JudgedClip

SIDE_BY_SIDE = 4  # more clips than this get one line each


def show(report: ClipsReport, screen: Console, is_quiet: bool, has_details: bool = False) -> None:
    """Print the clips side by side for a few, one line each for many; quiet, only what is wrong.

    Args:
        has_details: show every check and hint, not only the checks that a clip failed and the one cause.
    """
    measured = [clip for clip in report.clips if not clip.cause]
    if measured and not is_quiet:
        if len(measured) > SIDE_BY_SIDE:
            screen.print(_lines(report, measured))
        elif has_details or any(not check.ok for clip in measured for check in clip.checks):
            screen.print(_table(report, measured, has_details))
    if not is_quiet or report.verdict != "pass":
        show_outcome(report, screen, has_hints=is_quiet or has_details)


def show_outcome(report: ClipsReport, screen: Console, has_hints: bool = True) -> None:
    """Print what decides: files that could not be read, the cause of what is heard or the failed checks, the verdict.

    Args:
        has_hints: tell each failed check with its hint also where a cause explains them.
    """
    for clip in report.clips:
        if clip.cause:
            show_cause(clip.cause, screen)
        cause = report.sound_cause(clip)
        if cause:
            show_sound_cause(cause, screen, before=f"{clip.path}: ")
        for check in report.failed(clip) if has_hints or not cause else ():
            line = f": {check.name} {number(check.measured)} ({check.limit} {check.unit}): {check.hint}"
            say(printable(str(clip.path), "red") + Text(line, "red"), screen)
    show_verdict(report.verdict, f", {_counts(report)}", screen)


def _counts(report: ClipsReport) -> str:
    """Return how many clips pass or, of a single one, how many of its checks."""
    clips = report.clips
    if len(clips) == 1 and clips[0].checks:
        passed, made = sum(check.ok for check in clips[0].checks), len(clips[0].checks)
        return f"all {made} checks pass" if passed == made else f"{passed} of {made} checks pass"
    failed = sum(bool(clip.cause or report.failed(clip)) for clip in clips)
    made = max((len(clip.checks) for clip in clips), default=0)
    return f"{len(clips) - failed} of {counted(len(clips), 'clip')} pass, {made} checks each"


def _table(report: ClipsReport, clips: Sequence[JudgedClip], has_details: bool) -> Table:
    """Return checks as rows, clips as columns; without details only what a clip failed."""
    names = [clip.path.name for clip in clips]
    rows = table("check", *names, "limit", "unit", right=(*names, "limit"))
    length = [Text(f"{clip.seconds:.2f}") for clip in clips]
    rows.add_row("length", *length, "", "s")
    for row in zip(*(clip.checks for clip in clips), strict=True):
        name = row[0].name
        if not has_details and all(check.ok for check in row):
            continue
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
