"""Read a remote file by ranges: announced parts in large blocks ahead of the reader, anything else on demand."""

import io
import itertools
from collections import deque
from collections.abc import Iterable
from typing import Any

from verify.background import Background
from verify.errors import SourceError, source_changed
from verify.files import store, web
from verify.files.protocols import WEB, retried
from verify.files.remote import RemotePath

BLOCK_BYTES = 8 * 2**20  # of announced data; a request costs as much as some 100 kB of it
PAGE_BYTES = 2**18  # smallest request otherwise: about the size of a real index
AHEAD = 3  # blocks fetched at a time
_NEAR_BYTES = 2**16  # smaller gaps are read, not skipped
_KEPT = 4  # pages and blocks that stay in memory


class _Block:
    """A part of the file that may still be downloading."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        self.fetched: Background | None = None
        self.data = b""


class RemoteFile(io.RawIOBase):
    """A file at a URL, of the version that was there when it was opened.

    Reading raises:
        SourceError: the connection broke, and breaks each time.
        ArchiveError: there is another version of the file.
    """

    def __init__(self, path: RemotePath) -> None:
        super().__init__()
        self.path = path
        self.status = path.stat()
        self._version = path.version()
        self._position = 0
        self._kept: deque[_Block] = deque(maxlen=_KEPT)
        self._announced: deque[_Block] = deque()

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a byte of the file."""
        self._position = offset + (0, self._position, self.status.st_size)[whence]
        return self._position

    def tell(self) -> int:
        """Return the position of the next byte."""
        return self._position

    def announce(self, spans: Iterable[tuple[int, int]]) -> None:
        """Say which bytes, start and end, will be read in this order: they are fetched ahead, and nothing else is."""
        for start, end in _joined(spans):
            for block_start in range(start, end, BLOCK_BYTES):
                self._announced.append(_Block(block_start, min(end, block_start + BLOCK_BYTES)))

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, short only at the end of the file."""
        view = memoryview(buffer).cast("B")
        wanted, filled = min(len(view), max(0, self.status.st_size - self._position)), 0
        while filled < wanted:
            block = self._block_at(self._position, wanted - filled)
            offset = self._position - block.start
            piece = memoryview(block.data)[offset : offset + wanted - filled]
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
            self._position += len(piece)
        return filled

    def _block_at(self, position: int, wanted: int) -> _Block:
        """Return the block with this byte, fetched where it is not there yet."""
        for block in self._kept:
            if block.start <= position < block.end:
                return block
        while self._announced and self._announced[0].end <= position:
            self._announced.popleft()
        if self._announced and self._announced[0].start <= position:
            for block in itertools.islice(self._announced, AHEAD):
                block.fetched = block.fetched or Background(self._fetch, block.start, block.end)
            block = self._announced.popleft()
            block.data = block.fetched.wait() if block.fetched else b""
        else:
            size = min(max(wanted, PAGE_BYTES), BLOCK_BYTES)
            block = _Block(position, min(self.status.st_size, position + size))
            block.data = self._fetch(block.start, block.end)
        self._kept.append(block)
        return block

    def _fetch(self, start: int, end: int) -> bytes:
        return retried(self.path, lambda: self._fetch_once(start, end))

    def _fetch_once(self, start: int, end: int) -> bytes:
        try:
            if self.path.scheme in WEB:
                data, version = web.fetch(self.path, self.path.budget, start, end)
                if any(self._version.get(name, value) != value for name, value in version.items()):
                    raise source_changed(self.path)
                return data
            return store.fetch(self.path, self.path.budget, start, end)
        except SourceError:
            self.path.refresh()
            if self.path.stat() != self.status:  # a file that is shorter now gives no or too few bytes
                raise source_changed(self.path) from None
            raise


def _joined(spans: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """Yield the spans, with neighbours merged."""
    joined: tuple[int, int] | None = None
    for start, end in spans:
        if joined and 0 <= start - joined[1] <= _NEAR_BYTES:
            joined = joined[0], max(joined[1], end)
            continue
        if joined:
            yield joined
        joined = start, end
    if joined:
        yield joined
