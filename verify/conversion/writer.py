"""Stream the kept tensors in one pass: check CRC-32, look for NaN and Inf, write, read back and hash."""

import errno
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from verify.background import Background
from verify.checkpoint.reader import Progress, TensorReader
from verify.checkpoint.tensor_stats import Scan
from verify.checkpoint.tensors import TensorRecord
from verify.conversion import cast, dtypes, torch_zip
from verify.conversion.cast import Loss
from verify.conversion.proven_file import ProvenFile
from verify.errors import OutputError
from verify.files.local import crc32

FLUSH_SECONDS = 0.1  # between two flushes


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The new file."""

    path: Path
    bytes: int
    sha256: str
    scan: Scan
    losses: Mapping[str, Loss] = field(default_factory=dict)  # of the tensors that were cast, by name


def write_model(
    path: Path,
    tensors: Mapping[str, TensorRecord],
    config: Mapping[str, Any],
    progress: Progress,
    dtype: str = dtypes.KEEP,
) -> Written:
    """Write `{"model": tensors, "config": config}` as a file that `torch.load` opens, flushed to the disk.

    Args:
        path: a new file.
        tensors: name in the new file to record in the file that holds it.
        config: plain values only.
        progress: called with the number of tensor bytes done.
        dtype: what the floats are cast to.

    Raises:
        ArchiveError: the source is damaged (`crc-mismatch`, `truncated`) or changed while it was read.
        OutputError: the disk is full or cannot be written.
    """
    new = dtypes.recorded(tensors, dtype)
    return write_container(path, torch_zip.index_pickle(new, config), tensors, new, progress)


def write_voices(path: Path, voices: Mapping[str, Mapping[str, TensorRecord]]) -> Written:
    """Write `{voice: {part: tensor}}` anew, so that nothing but the tensors of a stranger's file is passed on.

    Raises:
        ArchiveError, OutputError: as `write_model`.
    """
    records = [record for parts in voices.values() for record in parts.values()]
    numbered = {str(number): record for number, record in enumerate(records)}
    return write_container(path, torch_zip.voices_pickle(voices), numbered, numbered)


def write_container(
    path: Path,
    index: bytes,
    tensors: Mapping[str, TensorRecord],
    new: Mapping[str, TensorRecord],
    progress: Progress = lambda _: None,
) -> Written:
    """Write a container of tensors, in the order that its index numbers them.

    Args:
        new: each tensor as it is to be in the new file, cast where that has another dtype.

    Raises:
        ArchiveError, OutputError: as `write_model`.
    """
    losses: dict[str, Loss] = {}
    with opened(path, list(new.values()), progress) as (file, back, reader):
        out = torch_zip.ContainerWriter(ProvenFile(file, back))
        try:
            reader.announce(tensors.values())
            out.add("data.pkl", index)
            out.add("byteorder", b"little")
            for number, (name, record) in enumerate(tensors.items()):
                out.begin(f"data/{number}", new[name].bytes)
                out.end(move_as(reader, name, record, new[name], out.out, losses))
            out.add("version", b"3\n")
            sha256 = out.finish()
        finally:
            out.out.close()
        return Written(path=path, bytes=file.tell(), sha256=sha256, scan=reader.result(), losses=losses)


def move_as(
    reader: TensorReader,
    name: str,
    record: TensorRecord,
    new: TensorRecord,
    out: ProvenFile,
    losses: dict[str, Loss],
) -> int:
    """Write one tensor, cast where its dtype changes, and return the CRC-32 that the file must hold."""
    if new.dtype != record.dtype:
        return cast.move(reader, record, new.dtype, out, losses.setdefault(name, Loss()))
    return move(record, reader, out)


@contextmanager
def opened(
    path: Path, records: list[TensorRecord], progress: Progress
) -> Iterator[tuple[BinaryIO, BinaryIO, TensorReader]]:
    """Open a new file for tensors, once to write and once to read back, and a reader of them; flush it at the end.

    Raises:
        OutputError: the disk is full or cannot be written.
    """
    try:
        with (
            path.open("xb", buffering=0) as file,
            path.open("rb", buffering=0) as back,
            TensorReader(progress) as reader,
            _flushed_on_the_way(file),
        ):
            yield file, back, reader
    except OSError as error:
        raise _output_error(path, records, error) from error


def move(record: TensorRecord, reader: TensorReader, out: ProvenFile) -> int:
    """Write a tensor, and return its expected CRC-32: the one that the source states, where it does."""
    stored_crc = record.crc if record.fills_storage else 0
    crc = stored_crc or 0
    for chunk in reader.chunks(record):
        crc = stored_crc or crc32(chunk, crc)
        out.prove(chunk, reader.release)
    # If the new file differs from the stated CRC-32, the source itself may be damaged: then the error says so.
    out.expect(crc, partial(reader.check_storage, record))
    return crc


@contextmanager
def _flushed_on_the_way(file: BinaryIO) -> Iterator[None]:
    """Flush regularly while the file is written, so that the final flush is short.

    Raises:
        OSError: the disk could not take it.
    """
    done = threading.Event()
    flushing = Background(_flush_until, done, file.fileno())
    try:
        yield
        os.fsync(file.fileno())
    finally:
        done.set()
        flushing.wait()


def _flush_until(done: threading.Event, descriptor: int) -> None:
    while hasattr(os, "fdatasync") and not done.wait(FLUSH_SECONDS):
        os.fdatasync(descriptor)


def _output_error(path: Path, records: list[TensorRecord], error: OSError) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)):
        needed = torch_zip.estimate_bytes(records)
        return disk_full(f"for {path.name}", path.parent, needed, f" ({error.strerror})")
    return OutputError("cannot-write", f"{path}: {error.strerror}", "Write elsewhere with -o DIR.")


def require_room(folder: Path, records: Iterable[TensorRecord]) -> None:
    """Check before the first byte that the disk of `folder` has room for the new file.

    Raises:
        OutputError: it has not.
    """
    needed = torch_zip.estimate_bytes(records)
    if shutil.disk_usage(folder).free < needed:
        raise disk_full(f"in {folder}", folder, needed)


def disk_full(what: str, folder: Path, needed_bytes: int, detail: str = "") -> OutputError:
    """Return the error that says what is needed and what is free on the disk of the folder."""
    return OutputError(
        "disk-full",
        f"no room {what}: {needed_bytes:,} bytes are needed, {shutil.disk_usage(folder).free:,} are free{detail}",
        "Free some space, or write elsewhere with -o DIR.",
    )
