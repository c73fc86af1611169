"""Stream the kept tensors from the source: CRC-32 checked, NaN and Inf looked for, written and hashed, in one pass."""

import errno
import os
import queue
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from verify.checkpoint import container
from verify.checkpoint.archive import ITEM_BYTES, TensorRecord, crc_error
from verify.errors import ArchiveError, OutputError

CHUNK_BYTES = container.CHUNK_BYTES
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The new file."""

    path: Path
    bytes: int
    sha256: str
    scan: Scan


def write_model(
    path: Path, source: Path, tensors: Mapping[str, TensorRecord], config: Mapping[str, Any], progress: Progress
) -> Written:
    """Write `{"model": tensors, "config": config}` as a file that `torch.load` opens, flushed to the disk.

    Args:
        path: a new file.
        source: the checkpoint that holds the tensors.
        tensors: name in the new file to record in the source.
        config: plain values only.
        progress: told of the tensor bytes done.

    Raises:
        ArchiveError: the source is damaged (`crc-mismatch`, `truncated`) or changed while it was read.
        OutputError: the disk is full or cannot be written.
    """
    try:
        with path.open("xb", buffering=0) as file, TensorReader(source, progress) as reader:
            writer = container.ContainerWriter(file)
            try:
                sha256 = _write_members(writer, reader, tensors, config)
            finally:
                writer.out.close()
            os.fsync(file.fileno())
            return Written(path=path, bytes=file.tell(), sha256=sha256, scan=reader.result())
    except OSError as error:
        raise _output_error(path, tensors, error) from error


def _write_members(
    writer: container.ContainerWriter,
    reader: "TensorReader",
    tensors: Mapping[str, TensorRecord],
    config: Mapping[str, Any],
) -> str:
    writer.add("data.pkl", container.index_pickle(tensors, config))
    writer.add("byteorder", b"little")
    for number, record in enumerate(tensors.values()):
        writer.begin(f"data/{number}", record.bytes)
        crc = 0
        for chunk in reader.chunks(record):
            crc = zlib.crc32(chunk, crc)
            writer.out.write(chunk, reader.free)
        reader.finish(record, crc)
        writer.end(crc)
    writer.add("version", b"3\n")
    return writer.finish()


def _output_error(path: Path, tensors: Mapping[str, TensorRecord], error: OSError) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return disk_full(path.parent, container.estimate_bytes(tensors), f" ({error.strerror})")
    return OutputError("cannot-write", f"{path}: {error.strerror}", "Write elsewhere with -o DIR.")


def require_room(folder: Path, tensors: Mapping[str, TensorRecord]) -> None:
    """Check before the first byte that the disk of `folder` has room for the new file.

    Raises:
        OutputError: it has not.
    """
    needed = container.estimate_bytes(tensors)
    if shutil.disk_usage(folder).free < needed:
        raise disk_full(folder, needed)


def disk_full(folder: Path, needed_bytes: int, detail: str = "") -> OutputError:
    """Return the error that says what is needed and what is free."""
    return OutputError(
        "disk-full",
        f"no room in {folder}: {needed_bytes:,} bytes are needed, {shutil.disk_usage(folder).free:,} are free{detail}",
        "Free some space, or write elsewhere with -o DIR.",
    )


def scan_tensors(source: Path, tensors: Mapping[str, TensorRecord], progress: Progress) -> Scan:
    """Make the same checks as `write_model` without writing.

    Raises:
        ArchiveError: the source is damaged or changed while it was read.
    """
    with TensorReader(source, progress) as reader:
        for record in tensors.values():
            crc = 0
            for chunk in reader.chunks(record):
                crc = zlib.crc32(chunk, crc)
                reader.free.put(chunk.obj)
            reader.finish(record, crc)
        return reader.result()


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
            left.free.put(one.obj)
            right.free.put(other.obj)
        return equal


class TensorReader:
    """Reads tensors of one file in bounded chunks and keeps what it finds in them.

    Raises on exit:
        ArchiveError: the file changed while it was read.
    """

    def __init__(self, source: Path, progress: Progress) -> None:
        self.file: BinaryIO = source.open("rb", buffering=0)
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
        """Yield the elements in row-major order; the taker gives each chunk's buffer back to `free`."""
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
            self.free.put(chunk.obj)
        if crc != record.crc:
            raise crc_error(record.key, record.storage, record.crc, crc)
        self._checked.add(record.storage)

    def _gather(self, record: TensorRecord) -> Iterator[memoryview]:
        """Yield a strided tensor as contiguous bytes; needs the memory of its storage and its own."""
        item = ITEM_BYTES[record.dtype]
        self.file.seek(record.storage_start + record.offset)
        data = np.frombuffer(self.file.read(record.storage_bytes - record.offset), dtype=f"u{item}")
        view = np.lib.stride_tricks.as_strided(data, record.shape, [stride * item for stride in record.stride])
        flat = np.ascontiguousarray(view).reshape(-1).view(np.uint8)
        for start in range(0, len(flat), CHUNK_BYTES):
            piece = flat[start : start + CHUNK_BYTES]
            buffer = memoryview(self.free.get())[: len(piece)]
            buffer[:] = piece.tobytes()
            yield buffer

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
