"""Do one thing on a second thread while the first works on: an import, a hash."""

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

from verify.errors import ConversionError

_PATIENCE_SECONDS = 0.2  # waits are short, so that Ctrl-C is heard on Windows too
_NAME = "xtts-verify background: "  # with which the names of these threads begin


class Background:
    """Calls a function on a daemon thread; `wait` gives its result."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._function, self._arguments = function, arguments
        self._result: Any = None
        self._error: ConversionError | OSError | None = None
        self._thread = threading.Thread(target=self._run, name=_NAME + function.__name__, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._function(*self._arguments)
        except (ConversionError, OSError) as error:
            self._error = error

    def wait(self) -> Any:
        """Return what the function returned, when it has.

        Raises:
            ConversionError, OSError: what the function raised.
        """
        while self._thread.is_alive():
            self._thread.join(_PATIENCE_SECONDS)
        if self._error:
            raise self._error
        return self._result


def is_busy() -> bool:
    """Whether something begun in the background has not ended yet."""
    return any(thread.name.startswith(_NAME) for thread in threading.enumerate())


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Do without the search until the block ends, and have it take what was made for old, which it looks at seldom.

    Importing coqui-tts makes a million objects: a tenth of the time was the search in them, and every one later takes 0.2 s.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # what somebody else has frozen stays so
            gc.freeze()
            gc.unfreeze()  # into the oldest generation, not the youngest where it was
        if was_enabled:
            gc.enable()
