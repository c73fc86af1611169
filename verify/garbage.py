"""Keep Python's search for cycles of garbage out of work that makes many objects, all of which stay."""

import contextlib
import gc
from collections.abc import Iterator


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
