"""What asks the program to end, and how it ends: as after Ctrl-C, with nothing left behind."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

from verify.errors import EXIT_INTERRUPTED

# Ctrl-C, `docker stop` and `kill`, a terminal that closes. Windows knows the first alone.
_ENDING = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]
_came: list[int] = []


def listen() -> None:
    """Take the signals that ask for an end; what whoever started us has switched off, as nohup does, stays off."""
    for number in _ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, _: Any) -> None:
    """End as Ctrl-C does, which removes the staging folder; while that goes on, only Ctrl-C is heard again."""
    _came.append(number)
    if len(_came) == 1 or number == signal.SIGINT:
        raise KeyboardInterrupt


def exit_status() -> int:
    """Return the status of a program that was interrupted: 128 and the number of the first signal, as shells have it."""
    return 128 + _came[0] if _came else EXIT_INTERRUPTED


def was_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is what is behind the error: torch.save, cut short, raises a RuntimeError in its place."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


class Attentive:
    """Passes on what it hears of the work, and an interrupt that some package swallowed while it was imported."""

    def __init__(self, watch: Any) -> None:
        self.watch, self.found = watch, watch.found
        self.announce = getattr(watch, "announce", lambda _: None)

    @contextlib.contextmanager
    def step(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Any]:
        """Do the step, then ask whether a signal came."""
        with self.watch.step(name, total, unit) as progress:
            yield progress
        if _came:
            raise KeyboardInterrupt
