"""Stream the kept tensors from the source: CRC-32 checked, NaN and Inf looked for, written and hashed, in one pass."""

import errno
import os
import shutil
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from verify.background import Background
from verify.checkpoint import container
from verify.checkpoint.container import Member
from verify.checkpoint.reader import CHUNK_BYTES, Progress, TensorReader
from verify.checkpoint.tensors import TensorRecord
from verify.checkpoint.values import Scan
from verify.errors import OutputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The new file."""

    path: Path
    bytes: int
    sha256: str
    scan: Scan


def write_model(
    path: Path, tensors: Mapping[str, TensorRecord], config: Mapping[str, Any], progress: Progress
) -> Written:
    """Write `{"model": tensors, "config": config}` as a file that `torch.load` opens, flushed to the disk.

    Args:
        path: a new file.
        tensors: name in the new file to record in the file that holds it.
        config: plain values only.
        progress: told of the tensor bytes done.

    Raises:
        ArchiveError: the source is damaged (`crc-mismatch`, `truncated`) or changed while it was read.
        OutputError: the disk is full or cannot be written.
    """
    return _write(path, container.index_pickle(tensors, config), list(tensors.values()), progress)


def write_voices(path: Path, voices: Mapping[str, Mapping[str, TensorRecord]]) -> Written:
    """Write `{voice: {part: tensor}}` anew, so that nothing but the tensors of a stranger's file is passed on.

    Raises:
        ArchiveError, OutputError: as `write_model`.
    """
    records = [record for parts in voices.values() for record in parts.values()]
    return _write(path, container.voices_pickle(voices), records, lambda _: None)


def _write(path: Path, index: bytes, records: list[TensorRecord], progress: Progress) -> Written:
    try:
        with path.open("xb", buffering=0) as file, TensorReader(progress) as reader:
            writer = container.ContainerWriter(file)
            try:
                sha256 = _write_members(writer, reader, index, records)
            finally:
                writer.out.close()
            flushed = Background(os.fsync, file.fileno())
            try:
                read_back(path, writer.members)
            finally:
                flushed.wait()
            return Written(path=path, bytes=file.tell(), sha256=sha256, scan=reader.result())
    except OSError as error:
        raise _output_error(path, records, error) from error


def _write_members(
    writer: container.ContainerWriter, reader: TensorReader, index: bytes, records: list[TensorRecord]
) -> str:
    reader.announce(records)
    writer.add("data.pkl", index)
    writer.add("byteorder", b"little")
    for number, record in enumerate(records):
        writer.begin(f"data/{number}", record.bytes)
        crc = 0
        for chunk in reader.chunks(record):
            crc = zlib.crc32(chunk, crc)
            writer.out.write(chunk, reader.release)
        reader.finish(record, crc)
        writer.end(crc)
    writer.add("version", b"3\n")
    return writer.finish()


def read_back(path: Path, members: Iterable[Member]) -> None:
    """Read the new file again, and hold each member's CRC-32 against that of the data that was meant for it.

    Raises:
        OutputError: the file does not hold what was written to it (`read-back`).
    """
    with path.open("rb", buffering=0) as file:
        for member in members:
            if (found := _crc_at(file, member)) != member.crc:
                raise OutputError(
                    "read-back",
                    f"{path}: {member.name} was written with CRC-32 {member.crc:08x} and reads back with {found:08x}",
                    "The disk or the memory changes data: check both, or write elsewhere with -o DIR.",
                )


def _crc_at(file: BinaryIO, member: Member) -> int:
    file.seek(member.start)
    crc, left = 0, member.bytes
    while left and (chunk := file.read(min(left, CHUNK_BYTES))):
        crc, left = zlib.crc32(chunk, crc), left - len(chunk)
    return crc


def _output_error(path: Path, records: list[TensorRecord], error: OSError) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return disk_full(path.parent, container.estimate_bytes(records), f" ({error.strerror})")
    return OutputError("cannot-write", f"{path}: {error.strerror}", "Write elsewhere with -o DIR.")


def require_room(folder: Path, records: Iterable[TensorRecord]) -> None:
    """Check before the first byte that the disk of `folder` has room for the new file.

    Raises:
        OutputError: it has not.
    """
    needed = container.estimate_bytes(records)
    if shutil.disk_usage(folder).free < needed:
        raise disk_full(folder, needed)


def disk_full(folder: Path, needed_bytes: int, detail: str = "") -> OutputError:
    """Return the error that says what is needed and what is free."""
    return OutputError(
        "disk-full",
        f"no room in {folder}: {needed_bytes:,} bytes are needed, {shutil.disk_usage(folder).free:,} are free{detail}",
        "Free some space, or write elsewhere with -o DIR.",
    )
