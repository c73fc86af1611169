"""A bar for each long step, for people at a terminal."""

import contextlib
from collections.abc import Callable, Iterator

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


@contextlib.contextmanager
def bar(screen: Console, name: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """Show a bar until the block ends; what is yielded is called with what was done since."""
    count = [DownloadColumn()] if unit == "bytes" else [MofNCompleteColumn()] if total else []
    spinner = "dots" if screen.encoding.startswith("utf") else "line"
    columns = (SpinnerColumn(spinner), TextColumn("{task.description}"), BarColumn(), *count, TimeElapsedColumn())
    with Progress(*columns, console=screen, transient=True) as progress:
        task = progress.add_task(name, total=total)
        yield lambda advance: progress.advance(task, advance)
