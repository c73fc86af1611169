"""Open a file without ever waiting for it, and know it again: what was a regular file may be another thing by now."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from verify.errors import SourceError

Stamp = tuple[int, int, int]  # size, time of change in ns, inode: what tells one version of a file from the next


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading, unbuffered.

    Raises:
        SourceError: it has become a FIFO, a device or a folder since it was looked at; none of them is waited for.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SourceError("not-a-file", f"{path} is not a regular file any more", "Wait until it is, or pass another.")
    return os.fdopen(descriptor, "rb", buffering=0)


def stamp_of(file: BinaryIO) -> Stamp:
    """Return the stamp of an open file."""
    return _stamp(os.fstat(file.fileno()))


def stamp_at(path: Path) -> Stamp | None:
    """Return the stamp of what stands at the path now, or None where nothing does."""
    try:
        return _stamp(os.stat(path))
    except OSError:
        return None


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ino
