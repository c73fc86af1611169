"""The sweep for a terminal: the checkpoints by rank, those without one and why, what it says of the runs, and where to listen."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verify.errors import Cause
from verify.report.screen import say, show_cause, show_verdict, table
from verify.report.several import answers, sweep_words
from verify.report.several.sweep_page import PAGE
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
        for checkpoint in report.copies:
            same = f"{checkpoint.name} holds the same tensors as {checkpoint.copy_of}: not spoken twice"
            screen.print(printable(same), soft_wrap=True)
        screen.print()
    if not is_quiet or report.verdict not in ("pass", "warn"):
        show_outcome(report, screen)


def show_outcome(report: SweepReport, screen: Console) -> None:
    """Print what decides: why checkpoints have no rank, the verdict, which leads, what the runs do, and what to do next."""
    for checkpoint in report.mute:
        screen.print(printable(checkpoint.name, "bold"), soft_wrap=True)
        for cause in checkpoint.causes:
            show_cause(Cause(**{**cause, "keys": tuple(cause["keys"])}), screen)
    before = sum(checkpoint.resumed for checkpoint in report.checkpoints)
    known = f", {before} known from before" if before else ""
    show_verdict(report.verdict, f" ({sweep_words.tally(report)}{known}) in {report.seconds:.1f} s", screen)
    say(printable(sweep_words.headline(report), "bold"), screen)
    if lead := sweep_words.lead(report):
        say(printable(lead), screen)
    for trend in report.trends:
        run = f"{trend.run}: " if len(report.trends) > 1 else ""
        says = [answers.course_in_words(trend), answers.overfit_in_words(trend)]
        say(printable(f"{run}{'. '.join(filter(None, says))}."), screen)
    for step in sweep_words.next_steps(report):
        say(printable(f"  → {step}"), screen)
    if report.output:
        screen.print(Text("listen: ") + printable(f"{report.output}/{PAGE}"), soft_wrap=True)
    if report.speaking and report.speaking[0].command:
        screen.print(Text("take it: ") + printable(report.speaking[0].command), soft_wrap=True)


def _ranks(report: SweepReport) -> Table:
    names = [criterion.name for criterion in report.measured]
    rows = table("rank", "checkpoint", "step", *names, "verdict", "against the first", right=("rank", "step", *names))
    for checkpoint in report.heard:
        step = "–" if checkpoint.step is None else f"{checkpoint.step:,}"
        values = [number(checkpoint.figures[name]) for name in names]
        verdict = Text(checkpoint.verdict, VERDICTS[checkpoint.verdict])
        shown = sweep_words.standing_in_column(report, checkpoint)
        rows.add_row(str(checkpoint.rank), printable(checkpoint.name), step, *values, verdict, shown)
    return rows
