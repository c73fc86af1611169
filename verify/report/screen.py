"""What every report for a terminal is made of: the console on stderr, bars, tables, causes and verdicts."""

import contextlib
import os
import sys
from collections.abc import Callable, Collection, Iterator
from typing import Any

from rich.console import Console, ConsoleDimensions
from rich.table import Table
from rich.text import Text

from verify import shell
from verify.diagnosis.attribution import summary
from verify.errors import Cause, counted
from verify.report.words import VERDICTS, printable

LOG_COLUMNS = 140  # of a file or a pipe, which has no width of its own
_SEVERITIES = {"error": "red", "warning": "yellow", "note": "cyan"}


_INDENT = 4  # columns more than the first line's, of what does not fit into it
_NARROW = 40  # columns; a terminal that has no more has none to spare


def say(line: str | Text, screen: Console, *, whole: bool = False) -> None:
    """Print one line; in a log it stays one, however long it is, and on a terminal its further lines are indented.

    Args:
        whole: on a terminal too, for it holds a path or a command that somebody may copy.
    """
    text = Text(line) if isinstance(line, str) else line
    if whole or not screen.is_terminal:
        screen.print(text, soft_wrap=True)
        return
    for part in _hanging(text, screen):
        screen.print(part)


def _hanging(text: Text, screen: Console) -> list[Text]:
    """Return the text as lines of the terminal, all but the first indented."""
    first = text.wrap(screen, screen.width)[0]
    if len(first) >= len(text.plain.rstrip()) or screen.width <= _NARROW:
        return [text]
    rest = text[len(first) :]
    rest = rest[len(rest.plain) - len(rest.plain.lstrip()) :]
    indent = len(text.plain) - len(text.plain.lstrip()) + _INDENT
    return [first, *(Text(" " * indent) + line for line in rest.wrap(screen, screen.width - indent))]


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
    say(Text.assemble(severity, printable(cause.message), (f"  [{cause.code}]", "dim")), screen)
    if cause.keys and summary(cause.keys) not in cause.message:
        say(printable(f"  {counted(len(cause.keys), 'key')}: {summary(cause.keys)}", "dim"), screen)
    if cause.hint:
        is_command = shell.program() in cause.hint or "pip install" in cause.hint
        say(Text("  → ") + printable(cause.hint), screen, whole=is_command)


def show_verdict(verdict: str, about: str, screen: Console) -> None:
    """Print the verdict and what goes with it."""
    say(Text.assemble((f"verdict: {verdict}", VERDICTS[verdict]), about), screen)
