"""Report progress: the library calls a `Watch`, and never prints."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol


class Watch(Protocol):
    """Receives the progress of long steps."""

    def step(
        self, name: str, total: int | None = None, unit: str = ""
    ) -> contextlib.AbstractContextManager[Callable[[int], None]]:
        """Begin a step of `total` units; it gives a function to call with each advance."""

    def found(self, report: Any) -> None:
        """Receive what is in the source and what will happen to it, before the long work begins."""


def announce(watch: Watch, line: str) -> None:
    """Tell a watch, before the long work, what it will take; one without `announce` is not told, and an empty line says nothing."""
    tell = getattr(watch, "announce", None)
    if tell and line:
        tell(line)


class Silent:
    """Ignores all progress."""

    @contextlib.contextmanager
    def step(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Callable[[int], None]]:
        """Do the step."""
        yield lambda _: None

    def found(self, report: Any) -> None:
        """Do nothing."""


class PrefixedProgress:
    """Passes on the progress of one of several models, each step with the model's letter before its name."""

    def __init__(self, letter: str, watch: Watch) -> None:
        self.letter, self.watch = letter, watch

    @contextlib.contextmanager
    def step(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Callable[[int], None]]:
        """Do the step."""
        with self.watch.step(f"{self.letter}: {name}", total, unit) as progress:
            yield progress

    def found(self, report: Any) -> None:
        """Do nothing: several models are shown side by side."""


class Stopwatch:
    """Passes the steps of a run on to a watch, and adds up the seconds that each part of the work takes."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def step(self, part: str, name: str, total: int | None = None, unit: str = "") -> Iterator[Callable[[int], None]]:
        """Do a step, as `Watch.step`, and add its time to that part of the work."""
        with self.watch.step(name, total, unit) as progress, timed(self.seconds, part):
            yield progress

    def timed(self, part: str) -> contextlib.AbstractContextManager[None]:
        """Add the time that the block takes to that part of the work, without a step of the watch."""
        return timed(self.seconds, part)


@contextlib.contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the time that the block takes to `seconds[name]`."""
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began
