"""The sweep for a terminal: the checkpoints by rank, those without one and why, and where to listen."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verify.errors import Cause, counted
from verify.report.screen import show_cause, show_verdict, table
from verify.report.sweep_page import PAGE
from verify.report.words import VERDICTS, number, printable
from verify.results.sweep import SweepReport


def show(report: SweepReport, screen: Console, is_quiet: bool) -> None:
    """Print the ranks and what is wrong; quiet, only what is wrong."""
    if not is_quiet:
        for text in report.settings.get("texts", ()):
            script = f"{report.settings['language']}, seed {', '.join(map(str, report.settings['seeds']))}: “{text}”"
            screen.print(printable(script, "italic"), soft_wrap=True)
        if report.reference:
            screen.print(Text("in the voice of ") + printable(report.reference), soft_wrap=True)
        if report.heard:
            screen.print(_ranks(report))
        for checkpoint in report.checkpoints:
            if checkpoint.copy_of:
                same = f"{checkpoint.name} holds the same tensors as {checkpoint.copy_of}: not spoken twice"
                screen.print(printable(same), soft_wrap=True)
        screen.print()
    if not is_quiet or report.verdict not in ("pass", "warn"):
        show_outcome(report, screen)


def show_outcome(report: SweepReport, screen: Console) -> None:
    """Print what decides: why checkpoints have no rank, the verdict, the first in rank, and where to listen."""
    for checkpoint in report.checkpoints:
        if checkpoint.rank or checkpoint.copy_of:
            continue
        screen.print(printable(checkpoint.name, "bold"), soft_wrap=True)
        for cause in checkpoint.causes:
            show_cause(Cause(**{**cause, "keys": tuple(cause["keys"])}), screen)
    before = sum(checkpoint.resumed for checkpoint in report.checkpoints)
    known = f", {before} known from before" if before else ""
    spoke = f"{len(report.heard)} of {counted(len(report.checkpoints), 'checkpoint')} spoke{known}"
    show_verdict(report.verdict, f" ({spoke}) in {report.seconds:.1f} s", screen)
    if report.heard:
        screen.print(Text("ranked first: ") + printable(report.heard[0].path), soft_wrap=True)
    if report.output:
        screen.print(Text("listen: ") + printable(f"{report.output}/{PAGE}"), soft_wrap=True)


def _ranks(report: SweepReport) -> Table:
    names = [criterion.name for criterion in report.ranking]
    rows = table("rank", "checkpoint", "step", *names, "verdict", right=("rank", "step", *names))
    for checkpoint in report.heard:
        step = "–" if checkpoint.found["step"] is None else f"{checkpoint.found['step']:,}"
        values = [number(checkpoint.figures[name]) for name in names]
        verdict = Text(checkpoint.verdict, VERDICTS[checkpoint.verdict])
        rows.add_row(str(checkpoint.rank), printable(checkpoint.name), step, *values, verdict)
    return rows
