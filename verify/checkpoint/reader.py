"""Read tensors in bounded chunks, and check CRC-32, NaN, Inf and the scale of the values on the way."""

import queue
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO

import numpy as np

from verify.checkpoint import zip_directory
from verify.checkpoint.tensor_stats import Scan, Values
from verify.checkpoint.tensors import ITEM_BYTES, TensorRecord, is_float
from verify.errors import TRUNCATED_HINT, ArchiveError, crc_error, source_changed
from verify.files.local import CHUNK_BYTES, Stamp, crc32, open_regular, stamp_at, stamp_of
from verify.files.location import Location, local_path

_BUFFERS = 8

Progress = Callable[[int], None]  # called with the number of bytes done since the last call


class TensorReader:
    """Reads tensors in bounded chunks, from the files that their records name, and collects statistics of their values.

    Args:
        has_values: whether to collect them: no, where the same values were seen before.

    Raises on exit:
        ArchiveError: a file changed while it was read.
    """

    def __init__(self, progress: Progress, has_values: bool = True) -> None:
        self.progress, self.has_values = progress, has_values
        self.files: dict[Location, tuple[BinaryIO, Stamp]] = {}
        self.free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        for _ in range(_BUFFERS):
            self.free.put(bytearray(CHUNK_BYTES))
        self.done_bytes = 0
        self.values: dict[TensorRecord, Values] = {}
        self._checked: set[tuple[Location, str]] = set()

    def __enter__(self) -> "TensorReader":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for path, (file, before) in self.files.items():
            file.close()
            if kind is None and stamp_at(path) != before:
                raise source_changed(path)

    def _file(self, record: TensorRecord) -> BinaryIO:
        """Return the open file of the record, which must be the one whose index named it."""
        if record.path not in self.files:
            file = open_regular(record.path)
            self.files[record.path] = file, stamp_of(file)
        file, stamp = self.files[record.path]
        if record.stamp not in (None, stamp):
            raise source_changed(record.path)
        return file

    def announce(self, records: Iterable[TensorRecord]) -> None:
        """Say which tensors will be read, in this order: remote files are then fetched in large blocks, ahead of the reader."""
        spans: dict[BinaryIO, list[tuple[int, int]]] = {}
        for record in records:
            if not local_path(record.path):
                header = record.unread_header
                start = header.header_offset if header else record.storage_start
                spans.setdefault(self._file(record), []).append((start, record.storage_start + record.storage_bytes))
        for file, file_spans in spans.items():
            file.announce(file_spans)  # type: ignore[attr-defined]

    def result(self) -> Scan:
        """Return what was found so far."""
        return Scan(bytes=self.done_bytes, values=self.values)

    def chunks(self, record: TensorRecord) -> Iterator[memoryview]:
        """Yield the elements in row-major order; the caller passes each chunk to `release` after use."""
        if (
            record.unread_header
            and zip_directory.data_offset(self._file(record), record.unread_header) != record.storage_start
        ):
            raise ArchiveError("bad-container", f"{record.key}: its data does not begin where torch puts it")
        if not record.fills_storage:
            self.check_storage(record)
        pieces = (
            self._read(record, record.storage_start + record.offset, record.bytes)
            if record.contiguous
            else self._gather(record)
        )
        for chunk in pieces:
            if self.has_values and is_float(record.dtype):
                self.values.setdefault(record, Values()).update(record, chunk)
            self.done_bytes += len(chunk)
            self.progress(len(chunk))
            yield chunk

    def release(self, chunk: memoryview) -> None:
        """Return the buffer of a chunk to the pool."""
        buffer = chunk.obj
        chunk.release()
        self.free.put(buffer)  # type: ignore[arg-type]

    def read(self, record: TensorRecord) -> np.ndarray:
        """Return a tensor as bytes `(bytes,)`, checked against the CRC-32 in the container."""
        data = np.empty(record.bytes, np.uint8)
        position = crc = 0
        for chunk in self.chunks(record):
            crc = crc32(chunk, crc)
            data[position : position + len(chunk)] = np.frombuffer(chunk, np.uint8)
            position += len(chunk)
            self.release(chunk)
        self.finish(record, crc)
        return data

    def finish(self, record: TensorRecord, crc: int) -> None:
        """Check the CRC-32 of a tensor that fills its storage against the one in the container; 0 means none was stored."""
        if record.fills_storage and record.crc and crc != record.crc:
            raise crc_error(record.key, record.storage, record.crc, crc)

    def holds(self, record: TensorRecord, data: np.ndarray) -> bool:
        """Whether the bytes `(bytes,)` are the tensor's; for a remote tensor by CRC-32, so that it is not downloaded twice."""
        if not local_path(record.path) and record.crc and record.fills_storage:
            return len(data) == record.bytes and crc32(data.data) == record.crc
        position, equal = 0, len(data) == record.bytes
        for chunk in self.chunks(record):
            piece = data[position : position + len(chunk)]
            equal = equal and np.array_equal(np.frombuffer(chunk, np.uint8), piece)
            position += len(chunk)
            self.release(chunk)
        return equal

    def _read(self, record: TensorRecord, start: int, size: int) -> Iterator[memoryview]:
        file = self._file(record)
        file.seek(start)
        while size:
            buffer = memoryview(self.free.get())[: min(size, CHUNK_BYTES)]
            filled = 0
            while filled < len(buffer):
                count = file.readinto(buffer[filled:])  # type: ignore[attr-defined]
                if not count:
                    message = f"{record.path} ended at byte {file.tell():,} while it was read"
                    raise ArchiveError("truncated", message, TRUNCATED_HINT)
                filled += count
            size -= filled
            yield buffer

    def check_storage(self, record: TensorRecord) -> None:
        """Check the CRC-32 of a whole storage against the one in the container, once.

        Raises:
            ArchiveError: they differ (`crc-mismatch`).
        """
        if not record.crc or (record.path, record.storage) in self._checked:
            return
        crc = 0
        for chunk in self._read(record, record.storage_start, record.storage_bytes):
            crc = crc32(chunk, crc)
            self.release(chunk)
        if crc != record.crc:
            raise crc_error(record.key, record.storage, record.crc, crc)
        self._checked.add((record.path, record.storage))

    def _gather(self, record: TensorRecord) -> Iterator[memoryview]:
        """Yield a strided tensor as contiguous bytes; needs the memory of its storage and its own."""
        item = ITEM_BYTES[record.dtype]
        span = record.storage_bytes - record.offset
        chunks = self._read(record, record.storage_start + record.offset, span)
        data = np.concatenate([self._copy(chunk) for chunk in chunks])
        data = data[: span - span % item].view(f"u{item}")
        view = np.lib.stride_tricks.as_strided(data, record.shape, [stride * item for stride in record.stride])
        flat = np.ascontiguousarray(view).reshape(-1).view(np.uint8)
        for start in range(0, len(flat), CHUNK_BYTES):
            piece = flat[start : start + CHUNK_BYTES]
            buffer = memoryview(self.free.get())[: len(piece)]
            buffer[:] = piece.tobytes()
            yield buffer

    def _copy(self, chunk: memoryview) -> np.ndarray:
        copy = np.frombuffer(chunk, np.uint8).copy()
        self.release(chunk)
        return copy


def read_tensors(tensors: Mapping[str, TensorRecord], progress: Progress) -> tuple[dict[str, np.ndarray], Scan]:
    """Read the tensors into memory as bytes `(bytes,)`, with the same checks as `write_model`.

    A copy, not a mapping: a mapped file that another process cuts short kills this one with SIGBUS.

    Raises:
        ArchiveError: the source is damaged or changed while it was read.
    """
    with TensorReader(progress) as reader:
        reader.announce(tensors.values())
        data = {key: reader.read(record) for key, record in tensors.items()}
        return data, reader.result()


def scan_tensors(records: Iterable[TensorRecord], progress: Progress) -> Scan:
    """Collect statistics of the tensors' values without keeping the values.

    Raises:
        ArchiveError: the file is cut short, or changed while it was read.
    """
    with TensorReader(progress) as reader:
        records = list(records)
        reader.announce(records)
        for record in records:
            for chunk in reader.chunks(record):
                reader.release(chunk)
        return reader.result()


def equal_data(a: TensorRecord, b: TensorRecord) -> bool:
    """Whether two tensors of equal size hold the same bytes.

    Raises:
        ArchiveError: the source is damaged.
    """
    with (
        TensorReader(lambda _: None, has_values=False) as reader_a,
        TensorReader(lambda _: None, has_values=False) as reader_b,
    ):
        reader_a.announce([a])
        reader_b.announce([b])
        equal = True
        for chunk_a, chunk_b in zip(reader_a.chunks(a), reader_b.chunks(b), strict=True):
            equal = equal and chunk_a == chunk_b
            reader_a.release(chunk_a)
            reader_b.release(chunk_b)
        return equal
