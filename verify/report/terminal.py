"""The report for people: everything to stderr, in colour where the terminal has any."""

import contextlib
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from rich.console import Console, ConsoleDimensions
from rich.table import Table
from rich.text import Text

from verify.audio.causes import SoundCause, evidence
from verify.checks import SCALE, TRAINED, ZEROED, Check
from verify.diagnosis import config_check
from verify.diagnosis.attribution import summary
from verify.errors import Cause, counted
from verify.report.words import PAGE, VERDICTS, check_state, loss_words, number, printable, size
from verify.result import Result, dtypes, layout

VALUE_CHECKS = (ZEROED, TRAINED, SCALE)  # their hints name tensors, so they are told beside what is heard
LOG_COLUMNS = 140  # of a file or a pipe, which has no width of its own
_SEVERITIES = {"error": "red", "warning": "yellow", "note": "cyan"}
_FATES = {"kept": "green", "renamed": "cyan", "alias": "cyan", "dropped": "dim", "unknown": "red", "filled": "magenta"}


def console() -> Console:
    """Return a console on stderr that takes no text for markup, whatever stands in a file's names."""
    screen = Console(stderr=True, markup=False, emoji=False, highlight=False)
    if os.environ.get("COLUMNS", "").strip("0") == "":  # where it says 0, rich would print nothing at all
        if screen.width == 0:
            screen.width = LOG_COLUMNS
        if not screen.is_terminal:
            screen.width = LOG_COLUMNS
        elif screen.is_dumb_terminal:  # rich takes every such one for 80 columns wide
            with contextlib.suppress(OSError, ValueError, AttributeError):
                columns, lines = os.get_terminal_size(sys.stderr.fileno())
                screen.size = ConsoleDimensions(columns or screen.width, lines)
    return screen


class TerminalWatch:
    """Says what was found at once, then shows a bar for each long step where stderr is a terminal."""

    def __init__(self, screen: Console) -> None:
        self.screen = screen
        self.has_found = False

    def found(self, report: Result) -> None:
        """Print what is in the source and what will happen to it."""
        self.has_found = True
        with contextlib.suppress(OSError):  # a stderr that cannot be written must not cost the work
            self.screen.print(_source(report))
            self.screen.print(_ledger(report))

    @contextlib.contextmanager
    def step(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Callable[[int], None]]:
        """Show the step until the block ends."""
        if not self.screen.is_terminal:
            yield lambda _: None
            return

        with bar(self.screen, name, total, unit) as advance:
            yield advance


def show(report: Result, watch: TerminalWatch) -> None:
    """Print the whole report, less what was said while the work went on."""
    screen = watch.screen
    if not watch.has_found:
        watch.found(report)
    screen.print()
    _show_load(report, screen)
    if report.cast:
        from verify.report.profiles import cast_table

        screen.print(cast_table(report.cast))
    _show_samples(report, screen)
    _show_checks(report, screen)
    _show_profile(report, screen)
    screen.print()
    show_outcome(report, screen)


def show_outcome(report: Result, screen: Console) -> None:
    """Print what decides: causes, failed checks, the verdict, and where to listen."""
    for cause in report.causes:
        show_cause(cause, screen)
    show_failures(report, screen)
    total = sum(report.seconds.values())
    heard = "" if report.load else " by what is in the file; nothing was loaded or heard"
    show_verdict(report.verdict, f"{heard} in {total:.1f} s", screen)
    if report.output and report.failed_checks:
        where = printable(f"{report.output}/sample.wav")
        screen.print(
            Text("It loads but sounds wrong: listen to ") + where + Text(" before you use it."), soft_wrap=True
        )
    if report.output and any(file.name == PAGE for file in report.files):
        verb = "listen" if report.samples else "read"
        screen.print(Text(f"{verb}: ") + printable(f"{report.output}/{PAGE}"), soft_wrap=True)


def show_verdict(verdict: str, about: str, screen: Console) -> None:
    """Print the verdict and what goes with it."""
    screen.print(Text.assemble((f"verdict: {verdict}", VERDICTS[verdict]), about))


def show_failures(report: Result, screen: Console) -> None:
    """Print why the checks failed: the one cause of what is heard, with the names of its checks, then the others."""
    cause, failed = report.sound_cause, report.failed_checks
    if cause:
        show_sound_cause(cause, screen)
        names = ", ".join(check.name for check in failed)
        line = f"  {len(failed)} of {len(report.checks or ())} checks failed: {names}"
        screen.print(Text(line), soft_wrap=not screen.is_terminal)
    for check in failed:
        if not cause or check.name in VALUE_CHECKS or check.name not in evidence():
            show_failed(check, screen)


def show_sound_cause(cause: SoundCause, screen: Console, before: str = "") -> None:
    """Print what is heard in a person's words, and the next step."""
    line = Text.assemble(printable(before), ("heard: ", "bold red"), cause.says, (f"  [{cause.code}]", "dim"))
    screen.print(line, soft_wrap=not screen.is_terminal)
    screen.print(Text(f"  → {cause.next}"), soft_wrap=not screen.is_terminal)


def show_failed(check: Check, screen: Console) -> None:
    """Print a check that decided the verdict by failing."""
    line = f"check failed: {check.name}: {check.hint}"
    screen.print(Text(line, check_state(ok=False, demanded=True).colour), soft_wrap=not screen.is_terminal)


def check_cell(check: Check | None, demanded: bool) -> Text:
    """Return a check's figure with its mark, for a table that has a column for each model or clip."""
    if check is None:
        return Text("–  ")
    state = check_state(check.ok, demanded)
    return Text.assemble(number(check.measured), (f" {state.mark}", state.colour))


def table(*columns: str, right: Collection[str] = (), **options: Any) -> Table:
    """Return an empty table without lines.

    Args:
        columns: their heads.
        right: heads of the columns of numbers.
        options: of rich's Table.
    """
    made = Table(**{"box": None, "padding": (0, 2, 0, 0), "title_justify": "left", **options})
    for name in columns:
        made.add_column(printable(name), justify="right" if name in right else "left", overflow="fold")
    return made


def show_cause(cause: Cause, screen: Console) -> None:
    """Print one cause and its hint."""
    severity = (f"{cause.severity}: ", f"bold {_SEVERITIES[cause.severity]}")
    screen.print(
        Text.assemble(severity, printable(cause.message), (f"  [{cause.code}]", "dim")),
        soft_wrap=not screen.is_terminal,
    )
    if cause.keys and summary(cause.keys) not in cause.message:
        names = f"  {counted(len(cause.keys), 'key')}: {summary(cause.keys)}"
        screen.print(printable(names, "dim"), soft_wrap=not screen.is_terminal)
    if cause.hint:
        screen.print(Text("  → ") + printable(cause.hint), soft_wrap=not screen.is_terminal)


def facts(report: Result) -> str:
    """Return in words what the archive says of itself and of the training."""
    archive = report.archive
    known = [f"{layout(archive, report.ledger)} layout", size(archive.bytes), dtypes(report.ledger)]
    known += [f"step {archive.step:,}"] if archive.step is not None else []
    known += [f"epoch {archive.epoch:,}"] if archive.epoch is not None else []
    return ", ".join([*known, *(text for text in (loss_words(archive.loss), archive.date) if text)])


def _source(report: Result) -> Table:
    archive, source, found = report.archive, report.source, report.architecture
    rows = [("checkpoint", str(archive.path)), ("", facts(report))]
    if found.version:
        layers, width = (found.fields.get(name, "?") for name in ("gpt_layers", "gpt_n_model_channels"))
        rows.append(("model", f"XTTS {found.version}, {layers} GPT layers of width {width}{_rows(report)}"))
    rows.append(("config", source.config_origin))
    rows.append(("", f"no shape tells, so it is believed: {_believed(report)}"))
    rows.append(("vocabulary", f"{source.vocab.path} ({source.vocab.origin})" if source.vocab else "not found"))
    rows += [("speakers", f"{source.speakers.path} ({source.speakers.origin})")] if source.speakers else []
    rows += [("base", _likeness(report))] if report.plan.base else []
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in rows:
        grid.add_row(name, printable(text))
    return grid


def _believed(report: Result) -> str:
    """Return what only the config knows, in the words of its fields."""
    args = report.plan.config["model_args"]
    return ", ".join(f"{field} {config_check.value_of(args, field)}" for field in report.architecture.unknown)


def _likeness(report: Result) -> str:
    """Return how much of each part equals the base's."""
    equal = ", ".join(f"{part.part} {part.identical:,} of {part.tensors:,}" for part in report.plan.likeness)
    return f"{report.plan.base.path if report.plan.base else ''}; tensors equal to it: {equal}"


def _rows(report: Result) -> str:
    rows, base = report.architecture.fields.get("gpt_number_text_tokens"), report.architecture.base
    if not rows:
        return ""
    return f", {rows:,} text tokens" + (f" ({base})" if base != "unknown" else "")


def _ledger(report: Result) -> Table:
    title = Text(f"{len(report.ledger.entries):,} tensors", "bold")
    rows = table("fate", "what", "tensors", "size", right=("tensors", "size"), title=title)
    for group in report.ledger.groups():
        rows.add_row(Text(group.fate, _FATES[group.fate]), group.reason, f"{group.tensors:,}", size(group.bytes))
    return rows


def _show_load(report: Result, screen: Console) -> None:
    load = report.load
    if load is None:
        return
    if not load.strict:
        counts = ", ".join(f"{len(getattr(load, name)):,} {name}" for name in ("missing", "unexpected", "mismatched"))
        screen.print(Text.assemble(("✗", "red"), f" not loaded: {load.matched:,} tensors match, {counts}"))
        return
    line = f" load_state_dict(strict=True): {load.matched:,} tensors, none missing, none unexpected"
    if report.identical:
        all_or_not = "all" if report.identical.ok else "NOT all"
        cast = f" cast to {report.cast.dtype}" if report.cast else ""
        line += f"; {all_or_not} {size(report.identical.bytes)} identical to the source{cast}"
    screen.print(Text.assemble(("✓", "green"), line))


def _show_profile(report: Result, screen: Console) -> None:
    """Print whether the program of the profile finds all that it looks for, and what to do with it then."""
    if report.profile and report.profile.ok:
        from verify.report.profiles import lines

        first, *rest = lines(report.profile, report.output or str(report.archive.path.parent))
        screen.print(Text("✓ ", "green") + printable(first), soft_wrap=not screen.is_terminal)
        for line in rest:
            screen.print(printable(f"  {line}"), soft_wrap=not screen.is_terminal)


def _show_samples(report: Result, screen: Console) -> None:
    for sample in report.samples:
        end = (
            "the stop token came" if sample.stopped else f"stopped at the bound of {sample.token_bound}, no stop token"
        )
        line = (
            f" spoke on {(report.environment or {}).get('device', sample.device)}: {sample.seconds:.2f} s of audio in "
            f"{sample.synthesis_seconds:.1f} s (real-time factor {sample.real_time_factor:.2f}), {sample.tokens} tokens, {end}"
        )
        screen.print(Text.assemble(("✓", "green"), line))
        take = f", seed {sample.seed}: {sample.path}" if len(report.samples) > 1 and sample.path else ""
        screen.print(printable(f"  {sample.language}{take}: “{sample.text}”", "italic"))
        if sample.transcript is not None:
            heard = f"  heard: “{sample.transcript}”, character error rate {sample.character_error_rate or 0:.2f}"
            screen.print(printable(heard), soft_wrap=not screen.is_terminal)
    if report.sample:
        likeness = [sample.speaker_similarity for sample in report.samples if sample.speaker_similarity is not None]
        near = f"; speaker similarity {', '.join(f'{value:.2f}' for value in likeness)}" if likeness else ""
        of_base = report.sample.speaker_similarity_of_base
        near += f" (the base: {of_base:.2f})" if of_base is not None else ""
        voice = Text("  in the voice of ") + printable(report.sample.reference) + near
        screen.print(voice, soft_wrap=not screen.is_terminal)


def _show_checks(report: Result, screen: Console) -> None:
    if report.checks:
        screen.print(checks_table(report.checks, report.demanded))


def checks_table(checks: Iterable[Check], all_demanded: frozenset[str]) -> Table:
    """Return the table of checks: what was measured, the limit, and whether the verdict depends on it."""
    rows = table("", "check", "measured", "limit", "unit", right=("measured", "limit"), padding=(0, 2, 0, 2))
    for check in checks:
        demanded = check.name in all_demanded
        state = check_state(check.ok, demanded)
        notes = [check.note] if check.note else []
        notes += ["not demanded"] if not (demanded or check.ok) else []
        note = f"  ({', '.join(notes)})" if notes else ""
        rows.add_row(Text(state.mark, state.colour), check.name, number(check.measured), check.limit, check.unit + note)
    return rows


@contextlib.contextmanager
def bar(screen: Console, name: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """Show a bar until the block ends; what is yielded is called with what was done since."""
    # they take as long to import as all the rest of rich that is used here
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    count = [DownloadColumn()] if unit == "bytes" else [MofNCompleteColumn()] if total else []
    spinner = "dots" if screen.encoding.startswith("utf") else "line"
    columns = (SpinnerColumn(spinner), TextColumn("{task.description}"), BarColumn(), *count, TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True) as progress:
        task = progress.add_task(name, total=total)
        yield lambda advance: progress.advance(task, advance)
