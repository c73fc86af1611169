"""The verdict on sound files: as a table for a terminal, and as JSON."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verify.checks import Check
from verify.errors import EXIT_CODES, Cause
from verify.report.terminal import show_cause
from verify.report.words import VERDICTS, printable
from verify.result import SCHEMA, cause_as_json, check_as_json

SIDE_BY_SIDE = 4  # more clips than this get one line each


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedClip:
    """A sound file and its checks, or why it could not be read."""

    path: Path
    seconds: float = 0.0
    rate_hz: int = 0
    checks: tuple[Check, ...] = ()
    cause: Cause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsReport:
    """What the judge found in sound files; under `--expect sound` only the basic checks decide."""

    clips: tuple[JudgedClip, ...]
    expect: str = "speech"
    output: None = None  # nothing is written

    def failed(self, clip: JudgedClip) -> tuple[Check, ...]:
        """Return the checks of a clip that decide the verdict and did not pass."""
        return tuple(check for check in clip.checks if not check.ok and self.demands(check))

    def demands(self, check: Check) -> bool:
        """Whether the check decides the verdict."""
        return self.expect == "speech" or check.basic

    @property
    def verdict(self) -> str:
        """`error` where a file could not be read, `fail` where a check failed, else `pass`."""
        if any(clip.cause for clip in self.clips):
            return "error"
        return "fail" if any(self.failed(clip) for clip in self.clips) else "pass"

    @property
    def exit_code(self) -> int:
        """0, 1 where a check failed, 2 where a file could not be read."""
        return EXIT_CODES[self.verdict]

    def to_json(self) -> dict[str, Any]:
        """Return the document of schema 1; a file that could not be read has no checks, and its reason in `causes`."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "causes": [cause_as_json(clip.cause) for clip in self.clips if clip.cause],
            "clips": [self._clip(clip) for clip in self.clips],
        }

    def _clip(self, clip: JudgedClip) -> dict[str, Any]:
        if clip.cause:
            return {"path": str(clip.path), "verdict": "error", "seconds": None, "rate_hz": None, "checks": None}
        return {
            "path": str(clip.path),
            "verdict": "fail" if self.failed(clip) else "pass",
            "seconds": round(clip.seconds, 3),
            "rate_hz": clip.rate_hz,
            "checks": [check_as_json(check, self.demands(check)) for check in clip.checks],
        }


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
