"""Keep two runs with one output apart, by a lock that the kernel holds for as long as the process lives."""

import contextlib
import hashlib
import os
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from verify.errors import OutputError

CASE_BLIND = sys.platform in ("win32", "darwin")  # as these systems come; a volume may be formatted otherwise


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the lock file beside the target, which every run on every machine that sees the folder shares.

    filelock checks after locking that the file still has its name, so that removing it before the release is safe.
    """
    path = target.parent / f".{short_name(target)}.lock"
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise OutputError(
            "busy", f"another run is writing {target}", "Wait for it, or write elsewhere with -o DIR."
        ) from error
    try:
        yield
    finally:
        if os.name != "nt":
            path.unlink(missing_ok=True)
        lock.release()
        if os.name == "nt":  # where an open file cannot be removed
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def short_name(target: Path) -> str:
    """Return the target's name, or a hash of it where a few characters more would be too long for a file name.

    Where the system takes `Out` and `out` for one folder, and an accent for one however it is written, they share a lock.
    """
    text = composed(target.name).casefold() if CASE_BLIND else target.name
    name = os.fsencode(text)
    return text if len(name) <= 200 else hashlib.sha256(name).hexdigest()[:40]


def composed(name: str) -> str:
    """Return the name with its accents composed, where the system takes an accent for one however it is written."""
    return unicodedata.normalize("NFC", name) if CASE_BLIND else name
