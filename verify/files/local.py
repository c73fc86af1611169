"""Open a regular file without blocking, and detect whether it was replaced or changed since."""

import contextlib
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from verify.errors import MissingError, SourceError, source_changed
from verify.files import protocols
from verify.files.location import Location, refresh
from verify.files.remote import RemotePath

CHUNK_BYTES = 2**19  # read at a time

Stamp = tuple[int, int, int]  # size, time of change in ns, inode: they identify one version of a file


def open_regular(path: Location) -> BinaryIO:
    """Open a regular file for reading, unbuffered; one at a URL is read by ranges.

    Raises:
        SourceError: it is no longer a regular file but a FIFO, a device or a folder; opening it does not block.
    """
    if isinstance(path, RemotePath):
        from verify.files.remote_file import RemoteFile

        return cast(BinaryIO, RemoteFile(path))
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SourceError("not-a-file", f"{path} is not a regular file any more", "Wait until it is, or pass another.")
    return os.fdopen(descriptor, "rb", buffering=0)


@contextlib.contextmanager
def local_copy(path: Location) -> Iterator[Path]:
    """Yield a local path of a small file, for packages that open files by name.

    Raises:
        SourceError: it is at a URL and cannot be read.
    """
    if isinstance(path, Path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="xtts-verify-") as folder, open_regular(path) as file:
        copy = Path(folder) / "copy"
        copy.write_bytes(file.read(path.stat().st_size))
        yield copy


def stamp_of(file: BinaryIO) -> Stamp:
    """Return the stamp of an open file."""
    return _stamp(getattr(file, "status", None) or os.fstat(file.fileno()))  # the status of a file at a URL


def stamp_at(path: Location) -> Stamp | None:
    """Return the stamp of the file now at the path, or None if there is none."""
    refresh(path)
    try:
        return _stamp(path.stat())
    except (OSError, MissingError):  # MissingError: of a file at a URL
        return None


def missing(path: Location) -> SourceError:
    """Return the error for a path that does not exist, with similar names from its folder."""
    if isinstance(path, RemotePath):
        return protocols.missing(path)
    if path.is_symlink():
        return MissingError("missing", f"{path} is a link to {os.readlink(path)}, which is not there")
    text = str(path)
    if re.match(r"[a-z][a-z0-9+.-]+:/", text):
        url = text.replace(":/", "://", 1)[:300]  # a path collapses the two slashes
        return MissingError(
            "missing", f"{url} is a URL; here only files on this machine are read", "Download it first."
        )
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    import difflib  # needed only for this error

    similar = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(str(folder / name) for name in similar)}?" if similar else "Check the path."
    if not folder.is_dir():
        hint = f"Its folder {folder} is not there either."
    return MissingError("missing", f"{text[:300]} is not there", hint)


def _stamp(status: Any) -> Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ino


def file_bytes(path: Location) -> int:
    """Return the size of a regular file, or -1: a path taken from a config may be unreadable or too long."""
    try:
        return path.stat().st_size if path.is_file() else -1
    except (OSError, ValueError):
        return -1


def require_regular_file(path: Location) -> int:
    """Return the size of the file in bytes; refuse anything but a regular file before it is opened.

    Raises:
        SourceError: the path is a FIFO, a device, a socket or a folder, or the file is empty.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        file_types = (
            (stat.S_ISFIFO, "a FIFO"),
            (stat.S_ISCHR, "a device"),
            (stat.S_ISBLK, "a device"),
            (stat.S_ISSOCK, "a socket"),
        )
        file_type = next((name for test, name in file_types if test(status.st_mode)), "a folder")
        raise SourceError(
            "not-a-file", f"{path} is {file_type}, not a regular file", "Pass a .pth, a .safetensors or a run folder."
        )
    if status.st_size == 0:
        raise SourceError("empty-file", f"{path} is empty (0 bytes)", "Copy or download it again.")
    return status.st_size


try:
    from zlib_ng.zlib_ng import crc32
except ImportError:  # no wheel for this processor
    from zlib import crc32

__all__ = ["crc32"]


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON in ASCII, which holds any file name; NaN is refused, as no other reader takes it."""
    path.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8", newline="\n")


def sha256(path: Location, piece_bytes: int = CHUNK_BYTES) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Args:
        piece_bytes: read at a time. While another thread imports, each piece costs a wait for the interpreter of up to
            5 ms (`sys.getswitchinterval`), in which as much as 8 MB could be hashed.

    Raises:
        ArchiveError: the file changed while it was read.
    """
    digest, buffer = hashlib.sha256(), memoryview(bytearray(piece_bytes))
    with open_regular(path) as file:
        before = stamp_of(file)
        while count := file.readinto(buffer):  # type: ignore[attr-defined]
            digest.update(buffer[:count])
    if stamp_at(path) != before:
        raise source_changed(path)
    return digest.hexdigest()
