"""Who wants to know how far a long step is: the library tells, and never prints."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol


class Watch(Protocol):
    """Who wants to know how far a long step is."""

    def step(
        self, name: str, total: int | None = None, unit: str = ""
    ) -> contextlib.AbstractContextManager[Callable[[int], None]]:
        """Begin a step of `total` units; the function that it gives is told of each advance."""


class Silent:
    """Nobody watches."""

    @contextlib.contextmanager
    def step(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Callable[[int], None]]:
        yield lambda _: None
