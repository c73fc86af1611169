"""Run a function, such as an import or a hash, on a background thread."""

import contextlib
import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from verify.errors import ConversionError

_POLL_SECONDS = 0.2  # a short wait, as Windows delivers Ctrl-C only between waits
_NAME = "xtts-verify background: "  # prefix of the thread names


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

    def is_done_in(self, seconds: float) -> bool:
        """Wait for the function to end, but no longer than this."""
        end = time.monotonic() + seconds
        while self._thread.is_alive() and (left := end - time.monotonic()) > 0:
            self._thread.join(min(left, _POLL_SECONDS))
        return not self._thread.is_alive()

    def wait(self, progress: Callable[[int], object] = lambda _: None) -> Any:
        """Wait for the function to end, and return its result.

        Args:
            progress: is called with 0 now and then, so that who watches can stop the work.

        Raises:
            ConversionError, OSError: what the function raised.
        """
        while self._thread.is_alive():
            self._thread.join(_POLL_SECONDS)
            progress(0)
        if self._error:
            raise self._error
        return self._result


def is_busy() -> bool:
    """Whether a background function is still running."""
    return any(thread.name.startswith(_NAME) for thread in threading.enumerate())


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Switch the garbage collector off until the block ends, and then move all objects into its oldest generation.

    Importing coqui-tts makes a million objects: collections took a tenth of its time, and each later one takes 0.2 s.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # or what another package froze would be unfrozen
            gc.freeze()
            gc.unfreeze()  # unfreezing moves objects into the oldest generation
        if was_enabled:
            gc.enable()
