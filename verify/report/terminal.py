"""The report for people: the verdict, its one cause, what was said and the next step; with `--details` all that was found."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from verify.audio.causes import SoundCause, evidence
from verify.checks import SCALE, TRAINED, WORD_CHECKS, ZEROED, Check
from verify.errors import counted
from verify.report import beside
from verify.report.details import checks_table, heard, ledger_table, show_samples, source_table
from verify.report.screen import bar, say, show_cause, show_verdict
from verify.report.words import (
    PAGE,
    UNCHECKED_WORDS,
    check_state,
    loss_words,
    opened,
    printable,
    size,
    streamed,
)
from verify.result import Result

VALUE_CHECKS = (ZEROED, TRAINED, SCALE)  # their hints name tensors, so they are told beside what is heard
MOST_NAMES, MOST_TEXTS = 6, 2  # of failed checks and of sentences; the rest is counted


class TerminalWatch:
    """Says what was found at once, then shows a bar for each long step where stderr is a terminal."""

    def __init__(self, screen: Console, has_details: bool = False) -> None:
        self.screen = screen
        self.has_details = has_details
        self.has_found = False

    def found(self, report: Result) -> None:
        """Print what is in the source; with details, also what will happen to it."""
        self.has_found = True
        with contextlib.suppress(OSError):  # a stderr that cannot be written must not cost the work
            if not self.has_details:
                say(_found(report), self.screen)
                return
            self.screen.print(source_table(report))
            self.screen.print(ledger_table(report))

    def announce(self, line: str) -> None:
        """Print what the long work that follows will take."""
        with contextlib.suppress(OSError):
            say(line, self.screen)

    @contextlib.contextmanager
    def step(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Callable[[int], None]]:
        """Show the step until the block ends."""
        if not self.screen.is_terminal or self.screen.is_dumb_terminal:  # which gets an empty line for each bar
            yield lambda _: None
            return

        with bar(self.screen, name, total, unit) as advance:
            yield advance


def show(report: Result, watch: TerminalWatch) -> None:
    """Print the report, less what was said while the work went on: about eight lines, or all with details."""
    screen = watch.screen
    if not watch.has_found:
        watch.found(report)
    if watch.has_details:
        _show_details(report, screen)
    elif report.load:
        screen.print(_load_line(report, "loaded strictly: {} tensors"))
    screen.print()
    show_verdict(report.verdict, _about(report), screen)
    show_reasons(report, screen, MOST_NAMES)
    if not watch.has_details:
        _show_said(report, screen)
    if report.held_out:
        beside.show(report.held_out, report.demanded, screen, watch.has_details)
    if report.samples and not any(check.name in WORD_CHECKS for check in report.checks or ()):
        say(UNCHECKED_WORDS, screen)
    _show_places(report, screen)
    _show_notes(report, screen)
    _show_where(report, screen)
    _show_use(report, screen)


def show_outcome(report: Result, screen: Console) -> None:
    """Print what decides: the verdict, its causes and failed checks, and where to listen."""
    show_verdict(report.verdict, _about(report), screen)
    show_reasons(report, screen)
    _show_places(report, screen)
    _show_notes(report, screen)
    _show_where(report, screen)


def show_reasons(report: Result, screen: Console, most_names: int | None = None) -> None:
    """Print errors, then why checks failed, the one cause of what is heard before the others, then warnings."""
    errors = [cause for cause in report.causes if cause.severity == "error"]
    for cause in errors:
        show_cause(cause, screen)
    show_failures(report, screen, most_names)
    for cause in report.causes:
        if cause.severity == "warning":
            show_cause(cause, screen)


def show_failures(report: Result, screen: Console, most_names: int | None = None) -> None:
    """Print why the checks failed: the one cause of what is heard, with the names of its checks, then the others."""
    cause, failed = report.sound_cause, report.failed_checks
    if cause:
        show_sound_cause(cause, screen)
        say(failed_names(failed, most_names or len(failed)), screen)
    for check in failed:
        if not cause or check.name in VALUE_CHECKS or check.name not in evidence():
            show_failed(check, screen)


def show_sound_cause(cause: SoundCause, screen: Console, before: str = "") -> None:
    """Print what is heard in a person's words, and the next step."""
    say(Text.assemble(printable(before), ("heard: ", "bold red"), cause.says, (f"  [{cause.code}]", "dim")), screen)
    say(f"  → {cause.next}", screen)


def failed_names(failed: tuple[Check, ...], most: int) -> str:
    """Return the names of the failed checks in a line; of many, the first and how many more."""
    names = ", ".join(check.name for check in failed[:most])
    more = f" and {len(failed) - most} more" if len(failed) > most else ""
    return f"  failed: {names}{more}"


def show_failed(check: Check, screen: Console) -> None:
    """Print a check that decided the verdict by failing."""
    line = f"check failed: {check.name}: {check.hint}"
    say(Text(line, check_state(ok=False, demanded=True).colour), screen)


def passing(report: Result) -> str:
    """Return how many of the checks pass, and whether those that fail are asked for; nothing where none was made."""
    checks = report.checks or ()
    if not checks:
        return ""
    passed, excused = sum(check.ok for check in checks), sum(check.excused for check in checks)
    if passed == len(checks):
        return f"all {counted(passed, 'check')} pass" if passed > 1 else "the one check passes"
    counts = f"{passed} of {len(checks)} checks pass"
    counts += (
        f", {excused} more {'fails' if excused == 1 else 'fail'} no further from the recordings than is asked"
        if excused
        else ""
    )
    if passed + len(report.failed_checks) + excused == len(checks):
        return counts
    asked = "--expect sound asks for" if report.samples else "is asked for without a sample"
    return f"{counts}, {'but not ' if report.failed_checks else ''}all that {asked}"


def _show_notes(report: Result, screen: Console) -> None:
    for cause in report.causes:
        if cause.severity == "note":
            show_cause(cause, screen)


def _found(report: Result) -> Text:
    """Return the source in one line: the file, the model, its size, and how long it was trained."""
    archive, version = report.archive, report.architecture.version
    known = [f"XTTS {version}"] if version else []
    known += [size(archive.bytes)]
    known += [f"step {archive.step:,}"] if archive.step is not None else []
    known += [loss_words(archive.loss)] if loss_words(archive.loss) else []
    return printable(f"{archive.path.name}: {', '.join(known)}")


def _about(report: Result) -> str:
    """Return what goes with the verdict: how many checks pass, whether it was loaded at all, and the time it took."""
    if not (report.load or report.places):
        return f", by what is in the file: nothing was loaded or heard ({sum(report.seconds.values()):.1f} s)"
    told = "".join(f", {words}" for words in (passing(report), _elsewhere(report)) if words)
    return f"{told}{',' if told else ''} in {sum(report.seconds.values()):.1f} s"


def _elsewhere(report: Result) -> str:
    """Return in how many other Pythons it works; nothing where none was tried."""
    if not report.places:
        return ""
    return f"works in {sum(place.ok for place in report.places)} of {counted(len(report.places), 'other Python')}"


def _show_details(report: Result, screen: Console) -> None:
    if report.load:
        screen.print()
        how = "load_state_dict(strict=True): {} tensors, none missing, none unexpected"
        screen.print(_load_line(report, how))
    if report.cast:
        from verify.report.profiles import cast_table

        screen.print(cast_table(report.cast))
    show_samples(report, screen)
    if report.checks:
        screen.print(checks_table(report.checks, report.demanded))


def _load_line(report: Result, how: str) -> Text:
    """Return whether it loaded, and whether what was loaded is the source."""
    load = report.load
    if load is None or not load.strict:
        counts = ", ".join(f"{len(getattr(load, name)):,} {name}" for name in ("missing", "unexpected", "mismatched"))
        return Text.assemble(("✗", "red"), f" not loaded: {load.matched if load else 0:,} tensors match, {counts}")
    line = f" {how.format(f'{load.matched:,}')}"
    if report.identical:
        all_or_not = "all" if report.identical.ok else "NOT all"
        cast = f" cast to {report.cast.dtype}" if report.cast else ""
        line += f"; {all_or_not} {size(report.identical.bytes)} identical to the source{cast}"
    return Text.assemble(("✓", "green"), line)


def _show_said(report: Result, screen: Console) -> None:
    """Print each sentence with its length and voice, and what a Whisper heard; of many sentences the first ones."""
    texts = list(dict.fromkeys(sample.text for sample in report.samples))
    for text in texts[:MOST_TEXTS]:
        samples = [sample for sample in report.samples if sample.text == text]
        times = f"{len(samples)} times, the first " if len(samples) > 1 else ""
        voice = f" in the voice of {samples[0].reference}" if text == texts[0] else ""
        say(printable(f"said: “{text}” ({samples[0].language}, {times}{samples[0].seconds:.1f} s){voice}"), screen)
        if samples[0].transcript is not None:
            say(printable(heard(samples[0])), screen)
        if samples[0].stream:
            say(f"streamed: {streamed(asdict(samples[0].stream))}", screen)
    if len(texts) > MOST_TEXTS:
        say(f"and {counted(len(texts) - MOST_TEXTS, 'more sentence')}", screen)


def _show_places(report: Result, screen: Console) -> None:
    if report.places:
        from verify.report.profiles import show_places

        show_places(report.places, screen)


def _show_where(report: Result, screen: Console) -> None:
    """Print where to listen, or to read where nothing was said."""
    has_page = any(file.name == PAGE for file in report.files)
    if not report.output:
        return
    if report.failed_checks and report.samples:
        where = printable(f"{report.output}/{PAGE if has_page else 'sample.wav'}")
        say(Text("It loads but sounds wrong: listen to ") + where + Text(" before you use it."), screen, whole=True)
    elif has_page:
        verb = "listen" if report.samples else "read"
        say(Text(f"{verb}: ") + printable(f"{report.output}/{PAGE}"), screen, whole=True)


def _show_use(report: Result, screen: Console) -> None:
    """Print what to do with a folder that may be used: what the profile's program wants, else how Python opens it."""
    if report.profile and report.profile.ok:
        from verify.report.profiles import lines

        first, *rest = lines(report.profile, report.output or str(report.archive.path.parent))
        say(Text("✓ ", "green") + printable(first), screen)
        for line in rest:
            say(printable(f"  {line}"), screen, whole=True)
        return
    line = opened(report.output or "", {file.name for file in report.files})
    if report.load and not line and report.source.config_origin.endswith("beside the checkpoint"):  # of `verify`
        line = opened(str(report.archive.path.parent), {report.archive.path.name})
    if line and report.verdict != "fail":
        say(printable(f"use: {line}"), screen, whole=True)
