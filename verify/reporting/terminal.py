"""The report for people: everything to stderr, in colour where the terminal has any."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from verify.errors import Cause
from verify.reporting.report import Report, layout

_STYLES = {"pass": "bold green", "warn": "bold yellow", "fail": "bold red", "error": "bold red"}
_SEVERITIES = {"error": "red", "warning": "yellow", "note": "cyan"}
_BAR_FROM_SECONDS = 1.0  # work shorter than this shows no bar


class TerminalWatch:
    """Shows a bar for each long step where stderr is a terminal."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextlib.contextmanager
    def step(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Callable[[int], None]]:
        if not self.console.is_terminal:
            yield lambda _: None
            return
        count = [DownloadColumn()] if unit == "bytes" else [MofNCompleteColumn()] if total else []
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), *count, TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(name, total=total)
            yield lambda advance: progress.advance(task, advance)


def size(number: float) -> str:
    """Return bytes in decimal units, as disks and download pages count."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.2f} {unit}"
        number /= 1000
    raise ValueError(number)


def show(report: Report, console: Console) -> None:
    """Print the whole report."""
    _show_source(report, console)
    _show_ledger(report, console)
    _show_load(report, console)
    _show_sample(report, console)
    for cause in report.causes:
        show_cause(cause, console)
    _show_verdict(report, console)


def _show_source(report: Report, console: Console) -> None:
    archive, source = report.archive, report.source
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    facts = [f"{layout(archive, report.ledger)} layout", size(archive.bytes)]
    facts += [f"step {archive.step:,}"] if archive.step is not None else []
    facts += [f"epoch {archive.epoch:,}"] if archive.epoch is not None else []
    facts += [_loss(archive.loss)] if _loss(archive.loss) else []
    facts += [archive.date] if archive.date else []
    grid.add_row("checkpoint", str(archive.path))
    grid.add_row("", ", ".join(facts))
    fields = report.architecture.fields
    if report.architecture.version:
        shape = f"XTTS {report.architecture.version}, {fields.get('gpt_layers', '?')} GPT layers of width {fields.get('gpt_n_model_channels', '?')}"
        rows = fields.get("gpt_number_text_tokens")
        base = f" ({report.architecture.base})" if report.architecture.base != "unknown" else ""
        grid.add_row("model", shape + (f", {rows:,} text tokens{base}" if rows else ""))
    grid.add_row("config", source.config_origin)
    grid.add_row("vocabulary", f"{source.vocab.path} ({source.vocab.origin})" if source.vocab else "not found")
    if source.speakers:
        grid.add_row("speakers", f"{source.speakers.path} ({source.speakers.origin})")
    if report.sample:
        grid.add_row("reference", report.sample["reference"])
    console.print(grid, highlight=False)


def _loss(loss: Any) -> str:
    """Return the training loss in words; the trainer saves a number or a dictionary."""
    values = loss if isinstance(loss, dict) else {"loss": loss}
    return ", ".join(
        f"{str(name).replace('_', ' ')} {value:.4g}"
        for name, value in values.items()
        if isinstance(value, (int, float))
    )


def _show_ledger(report: Report, console: Console) -> None:
    table = Table(
        title=f"{len(report.ledger.entries):,} tensors",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
        title_style="bold",
    )
    for name in ("fate", "what"):
        table.add_column(name)
    for name in ("tensors", "size"):
        table.add_column(name, justify="right")
    styles = {"kept": "green", "renamed": "cyan", "alias": "cyan", "dropped": "dim", "unknown": "red"}
    for group in report.ledger.groups():
        table.add_row(Text(group.fate, styles[group.fate]), group.reason, f"{group.tensors:,}", size(group.bytes))
    console.print(table)


def _show_load(report: Report, console: Console) -> None:
    load = report.load
    if load is None:
        return
    if load["strict"]:
        line = f"[green]✓[/] load_state_dict(strict=True): {load['matched']:,} tensors, none missing, none unexpected"
        if report.identical:
            line += f"; {'all' if report.identical['ok'] else '[red]not all[/]'} {size(report.identical['bytes'])} identical to the source"
        console.print(line, highlight=False)
        return
    counts = ", ".join(f"{len(load[name]):,} {name}" for name in ("missing", "unexpected", "mismatched"))
    console.print(f"[red]✗[/] not loaded: {load['matched']:,} tensors match, {counts}", highlight=False)


def _show_sample(report: Report, console: Console) -> None:
    sample = report.sample
    if sample is None:
        return
    end = (
        "the stop token came"
        if sample["stopped"]
        else f"stopped at the bound of {sample['token_bound']}, no stop token"
    )
    console.print(
        f"[green]✓[/] spoke on {(report.environment or sample)['device']}: {sample['seconds']:.2f} s of audio in "
        f"{sample['synthesis_seconds']:.1f} s (real-time factor {sample['real_time_factor']:.2f}), {sample['tokens']} tokens, {end}",
        highlight=False,
    )
    console.print(Text(f"  {sample['language']}: “{sample['text']}”", "italic"))
    table = Table(box=None, padding=(0, 2, 0, 2))
    for name in ("", "check", "measured", "limit", "unit"):
        table.add_column(name, justify="right" if name in ("measured", "limit") else "left")
    for check in report.checks or ():
        demanded = check["name"] in report.demanded
        mark = Text("✓", "green") if check["ok"] else Text("✗", "red") if demanded else Text("–", "yellow")
        measured = check["measured"]
        value = "–" if measured is None or not math.isfinite(measured) else f"{measured:.3g}"
        note = "" if demanded or check["ok"] else "  (not demanded by --expect sound)"
        table.add_row(mark, check["name"], value, check["limit"], check["unit"] + note)
    console.print(table)


def show_cause(cause: Cause, console: Console) -> None:
    """Print one cause and its hint."""
    line = Text(f"{cause.severity}: ", style=f"bold {_SEVERITIES[cause.severity]}")
    console.print(line + Text(cause.message, style="not bold") + Text(f"  [{cause.code}]", style="dim"), soft_wrap=True)
    if cause.hint:
        console.print(Text(f"  → {cause.hint}"), soft_wrap=True)


def _show_verdict(report: Report, console: Console) -> None:
    for check in report.failed_checks:
        console.print(Text(f"check failed: {check['name']}: {check['hint']}", "red"), soft_wrap=True)
    console.print(Text(f"verdict: {report.verdict}", _STYLES[report.verdict]), end="")
    total = sum(report.seconds.values())
    console.print(f" in {total:.1f} s" if total else "", highlight=False)
    if report.output and report.failed_checks and report.sample:
        console.print(
            f"It loads but sounds wrong: listen to {report.output}/sample.wav before you use it.",
            soft_wrap=True,
            highlight=False,
        )
