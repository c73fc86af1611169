"""Write a new file and verify it on separate threads: read it back, and compute CRC-32 and SHA-256."""

import hashlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from verify.errors import OutputError
from verify.files.local import crc32

Release = Callable[[memoryview], None]  # takes a chunk's buffer back


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The end and the expected CRC-32 of a part of the file."""

    end: int
    crc: int
    blame: Callable[[], None]


_Items = queue.Queue[tuple[memoryview, Release] | _Part | None]  # None ends a thread


class ProvenFile:
    """A new file, written by a second thread that reads it back; a third takes its SHA-256 and the CRC-32 of each part.

    The hash covers what the file holds, not what was meant to be written.
    """

    def __init__(self, file: BinaryIO, back: BinaryIO) -> None:
        self.file, self.back, self.position = file, back, 0
        self._to_write: _Items = queue.Queue(maxsize=8)
        self._to_hash: _Items = queue.Queue(maxsize=8)
        self._error: OSError | None = None
        self._broken: list[tuple[_Part, int]] = []  # parts that hold something else, with their CRC-32
        self._sha256 = hashlib.sha256()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._write, self._hash)]
        for thread in self._threads:
            thread.start()

    def _write(self) -> None:
        while True:
            item = self._to_write.get()
            if isinstance(item, tuple) and not self._error:
                try:
                    self.write(item[0])
                    self.read_back(item[0])
                except OSError as error:
                    self._error = error  # raised on the caller's thread
            self._to_hash.put(item)
            if item is None:
                return

    def _hash(self) -> None:
        crc = 0
        while (item := self._to_hash.get()) is not None:
            if isinstance(item, _Part):
                if crc != item.crc:
                    self._broken.append((item, crc))
                crc = 0
            else:
                data, release = item
                crc = crc32(data, crc)
                self._sha256.update(data)
                release(data)

    def write(self, data: memoryview) -> None:
        """Write all of `data` at the end."""
        written = 0
        while written < len(data):  # an unbuffered file may take less than it was given
            written += self.file.write(data[written:])

    def read_back(self, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes that the file now holds in place of those just written."""
        filled = 0
        while filled < len(buffer) and (count := self.back.readinto(buffer[filled:])):  # type: ignore[attr-defined]
            filled += count
        buffer[filled:] = bytes(len(buffer) - filled)

    def prove(self, data: memoryview, release: Release = lambda _: None) -> None:
        """Write `data`, read it back into the same buffer, and hash that.

        The buffer is passed to `release` after hashing, and must not be changed before.

        Raises:
            OSError: what came before could not be written.
        """
        self.position += len(data)
        self._to_write.put((data, release))
        self._raise_error()

    def expect(self, crc: int, blame: Callable[[], None] = lambda: None) -> None:
        """Say that what was proven since the last call must have this CRC-32.

        Args:
            blame: called before the error, on the caller's thread; raises if something other than the disk is at fault.

        Raises:
            OutputError: this part, or one before it, reads back as something else (`read-back`). It may be found as late as
                by `finish`, as the other threads are behind.
            OSError: it could not be written.
        """
        self._to_write.put(_Part(end=self.position, crc=crc, blame=blame))
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error:
            raise self._error
        if self._broken:
            part, crc = self._broken[0]
            part.blame()
            raise OutputError(
                "read-back",
                f"{self.file.name}: what was written before byte {part.end:,} with CRC-32 {part.crc:08x} reads back with {crc:08x}",
                "The disk or the memory changes data: check both, or write elsewhere with -o DIR.",
            )

    def add(self, data: bytes) -> int:
        """Write a small piece of data, and return its CRC-32; raises as `expect`."""
        crc = crc32(data)
        self.prove(memoryview(bytearray(data)))
        self.expect(crc)
        return crc

    def finish(self) -> str:
        """Return the SHA-256 of everything written, in hexadecimal; raises as `expect`."""
        self.close()
        self._raise_error()
        return self._sha256.hexdigest()

    def close(self) -> None:
        """Stop the threads; may be called again."""
        if self._threads:
            self._to_write.put(None)
        while self._threads:
            self._threads.pop().join()
