"""Read tensors of one file in bounded chunks; CRC-32, NaN and Inf are looked at on the way."""

import os
import queue
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from verify.checkpoint.damage import crc_error
from verify.checkpoint.tensors import ITEM_BYTES, TensorRecord
from verify.errors import ArchiveError

CHUNK_BYTES = 2**20  # fits a core's cache, so that checks read what the copy has just brought in


_BUFFERS = 12


_FLOAT32_MAX = float(np.finfo(np.float32).max)


_BFLOAT16_EXPONENT = np.uint16(0x7F80)


Progress = Callable[[int], None]  # called with the number of bytes done since the last call


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What one pass over the tensors found, by source key."""

    bytes: int
    non_finite: tuple[str, ...]
    overflowing: tuple[tuple[str, float], ...]  # float64 values that float32 cannot hold


class TensorReader:
    """Reads tensors of one file in bounded chunks and keeps what it finds in them.

    Raises on exit:
        ArchiveError: the file changed while it was read.
    """

    def __init__(self, source: Path, progress: Progress) -> None:
        self.file = source.open("rb", buffering=0)
        self.source, self.progress = source, progress
        self.status = os.fstat(self.file.fileno())
        self.free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        for _ in range(_BUFFERS):
            self.free.put(bytearray(CHUNK_BYTES))
        self.done_bytes = 0
        self.non_finite: dict[str, None] = {}
        self.overflowing: dict[str, float] = {}
        self._checked: set[str] = set()

    def __enter__(self) -> "TensorReader":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.file.close()
        if kind is None:
            now = os.stat(self.source) if self.source.exists() else None
            if now is None or (now.st_size, now.st_mtime_ns, now.st_ino) != (
                self.status.st_size,
                self.status.st_mtime_ns,
                self.status.st_ino,
            ):
                raise ArchiveError(
                    "source-changed", f"{self.source} changed while it was read", "Wait until training has saved it."
                )

    def result(self) -> Scan:
        """Return what was found so far."""
        return Scan(
            bytes=self.done_bytes, non_finite=tuple(self.non_finite), overflowing=tuple(self.overflowing.items())
        )

    def chunks(self, record: TensorRecord) -> Iterator[memoryview]:
        """Yield the elements in row-major order; the taker hands each chunk to `release` when it is done with it."""
        if not record.fills_storage:
            self._check_storage(record)
        pieces = (
            self._read(record.storage_start + record.offset, record.bytes)
            if record.contiguous
            else self._gather(record)
        )
        for chunk in pieces:
            self._look(record, chunk)
            self.done_bytes += len(chunk)
            self.progress(len(chunk))
            yield chunk

    def release(self, chunk: memoryview) -> None:
        """Take the buffer of a chunk back for the next ones."""
        buffer = chunk.obj
        chunk.release()
        self.free.put(buffer)  # type: ignore[arg-type]

    def finish(self, record: TensorRecord, crc: int) -> None:
        """Hold the CRC-32 of a tensor that is a whole storage against the one in the container; 0 means none was stored."""
        if record.fills_storage and record.crc and crc != record.crc:
            raise crc_error(record.key, record.storage, record.crc, crc)

    def _read(self, start: int, size: int) -> Iterator[memoryview]:
        self.file.seek(start)
        while size:
            buffer = memoryview(self.free.get())[: min(size, CHUNK_BYTES)]
            filled = 0
            while filled < len(buffer):
                count = self.file.readinto(buffer[filled:])
                if not count:
                    raise ArchiveError(
                        "truncated", f"{self.source} ended at byte {self.file.tell():,} while it was read"
                    )
                filled += count
            size -= filled
            yield buffer

    def _check_storage(self, record: TensorRecord) -> None:
        """Check the CRC-32 of a storage that the tensor fills only in part, once."""
        if not record.crc or record.storage in self._checked:
            return
        crc = 0
        for chunk in self._read(record.storage_start, record.storage_bytes):
            crc = zlib.crc32(chunk, crc)
            self.release(chunk)
        if crc != record.crc:
            raise crc_error(record.key, record.storage, record.crc, crc)
        self._checked.add(record.storage)

    def _gather(self, record: TensorRecord) -> Iterator[memoryview]:
        """Yield a strided tensor as contiguous bytes; needs the memory of its storage and its own."""
        item = ITEM_BYTES[record.dtype]
        span = record.storage_bytes - record.offset
        data = np.concatenate([self._copy(chunk) for chunk in self._read(record.storage_start + record.offset, span)])
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

    def _look(self, record: TensorRecord, chunk: memoryview) -> None:
        """Note the tensor if the chunk holds NaN, Inf, or a float64 that float32 cannot hold."""
        if record.dtype == "bfloat16":
            bits = np.frombuffer(chunk, dtype=np.uint16)
            finite = bool(((bits & _BFLOAT16_EXPONENT) != _BFLOAT16_EXPONENT).all())
        elif record.dtype.startswith("float"):
            values = np.frombuffer(chunk, dtype=record.dtype)
            finite = bool(np.isfinite(values).all())
            if (
                finite
                and record.dtype == "float64"
                and len(values)
                and (peak := float(np.abs(values).max())) > _FLOAT32_MAX
            ):
                self.overflowing.setdefault(record.key, peak)
        else:
            return
        if not finite:
            self.non_finite.setdefault(record.key)


def read_tensors(
    source: Path, tensors: Mapping[str, TensorRecord], progress: Progress
) -> tuple[dict[str, np.ndarray], Scan]:
    """Read the tensors into memory as bytes `(bytes,)`, with the same checks as `write_model`.

    A copy, not a mapping: a mapped file that another process cuts short kills this one with SIGBUS.

    Raises:
        ArchiveError: the source is damaged or changed while it was read.
    """
    with TensorReader(source, progress) as reader:
        data = {}
        for key, record in tensors.items():
            data[key] = np.empty(record.bytes, np.uint8)
            position = crc = 0
            for chunk in reader.chunks(record):
                crc = zlib.crc32(chunk, crc)
                data[key][position : position + len(chunk)] = np.frombuffer(chunk, np.uint8)
                position += len(chunk)
                reader.release(chunk)
            reader.finish(record, crc)
        return data, reader.result()


def same_bytes(source: Path, a: TensorRecord, b: TensorRecord) -> bool:
    """Whether two tensors of one file have the same dtype, shape and data.

    Raises:
        ArchiveError: the source is damaged.
    """
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    if (a.storage, a.offset, a.stride) == (b.storage, b.offset, b.stride):
        return True
    with TensorReader(source, lambda _: None) as left, TensorReader(source, lambda _: None) as right:
        equal = True
        for one, other in zip(left.chunks(a), right.chunks(b), strict=True):
            equal = equal and one == other
            left.release(one)
            right.release(other)
        return equal
