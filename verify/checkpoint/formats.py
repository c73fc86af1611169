"""Write the model in the format and the dtype that the user wants: streamed, hashed, read back, flushed to the disk."""

import json
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from verify.background import Background
from verify.checkpoint import cast, container, safetensors_header, writer
from verify.checkpoint.cast import KEEP, Loss
from verify.checkpoint.container import HashingFile, Member
from verify.checkpoint.reader import Progress, TensorReader
from verify.checkpoint.tensors import ITEM_BYTES, TensorRecord
from verify.checkpoint.writer import Written

PTH, SAFETENSORS = "pth", "safetensors"
FORMATS = (PTH, SAFETENSORS)
_SPELT = {dtype: name for name, (dtype, _) in safetensors_header.DTYPES.items()}
# The order in which the safetensors library lays tensors out, so that each is aligned: then by name.
_LAYOUT = ("I64", "F64", "F32", "I32", "BF16", "F16", "I16", "I8", "U8", "BOOL")

Body = Callable[[BinaryIO, TensorReader, dict[str, Loss]], tuple[str, list[Member]]]


def write_model(
    folder: Path,
    tensors: Mapping[str, TensorRecord],
    config: Mapping[str, Any],
    metadata: Mapping[str, str],
    progress: Progress,
    *,
    kind: str = PTH,
    dtype: str = KEEP,
) -> Written:
    """Write `model.pth` or `model.safetensors` into the folder; the second carries `metadata` in place of `config`.

    Raises:
        ArchiveError: the source is damaged or changed while it was read.
        OutputError: the disk is full or cannot be written.
    """
    if kind == SAFETENSORS:
        return write_safetensors(folder / "model.safetensors", tensors, metadata, progress, dtype)
    if not cast.changes(tensors, dtype):
        return writer.write_model(folder / "model.pth", tensors, config, progress)
    new = cast.recorded(tensors, dtype)
    index = container.index_pickle(new, config)

    def body(file: BinaryIO, reader: TensorReader, losses: dict[str, Loss]) -> tuple[str, list[Member]]:
        return _container(file, reader, losses, index, tensors, new)

    return _flushed(folder / "model.pth", tensors, progress, body)


def _container(
    file: BinaryIO,
    reader: TensorReader,
    losses: dict[str, Loss],
    index: bytes,
    tensors: Mapping[str, TensorRecord],
    new: Mapping[str, TensorRecord],
) -> tuple[str, list[Member]]:
    """Write the members of a container, and return its SHA-256 and what was written where."""
    out = container.ContainerWriter(file)
    try:
        out.add("data.pkl", index)
        out.add("byteorder", b"little")
        for number, (name, record) in enumerate(tensors.items()):
            out.begin(f"data/{number}", new[name].bytes)
            out.end(_copy(reader, name, record, new[name], out.out, losses))
        out.add("version", b"3\n")
        return out.finish(), out.members
    finally:
        out.out.close()


def write_safetensors(
    path: Path,
    tensors: Mapping[str, TensorRecord],
    metadata: Mapping[str, str],
    progress: Progress,
    dtype: str = KEEP,
) -> Written:
    """Write tensors and text about them as a safetensors file.

    Raises:
        ArchiveError, OutputError: as `write_model`.
    """
    return write_recorded(path, tensors, cast.recorded(tensors, dtype), metadata, progress)


def write_recorded(
    path: Path,
    tensors: Mapping[str, TensorRecord],
    new: Mapping[str, TensorRecord],
    metadata: Mapping[str, str],
    progress: Progress,
) -> Written:
    """Write a safetensors file, laid out as the safetensors library does it.

    Args:
        new: each tensor as it is to be in the new file.
    """
    order = sorted(new, key=lambda name: (_LAYOUT.index(_SPELT[new[name].dtype]), name))
    head = header({name: new[name] for name in order}, metadata)

    def body(file: BinaryIO, reader: TensorReader, losses: dict[str, Loss]) -> tuple[str, list[Member]]:
        out, members = HashingFile(file), []
        try:
            out.write(head)
            for name in order:
                start = out.position
                crc = _copy(reader, name, tensors[name], new[name], out, losses)
                members.append(Member(name=name, header=0, start=start, bytes=new[name].bytes, crc=crc))
            return out.close(), members
        finally:
            out.close()

    return _flushed(path, tensors, progress, body)


def header(tensors: Mapping[str, TensorRecord], metadata: Mapping[str, str]) -> bytes:
    """Return the length and the JSON with which a safetensors file of these tensors, in this order, begins."""
    described: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    position = 0
    for name, record in tensors.items():
        size = record.elements * ITEM_BYTES[record.dtype]
        described[name] = {
            "dtype": _SPELT[record.dtype],
            "shape": list(record.shape),
            "data_offsets": [position, position + size],
        }
        position += size
    text = json.dumps(described, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _copy(
    reader: TensorReader,
    name: str,
    record: TensorRecord,
    new: TensorRecord,
    out: HashingFile,
    losses: dict[str, Loss],
) -> int:
    """Write one tensor, cast where its dtype changes, and return the CRC-32 of what was written."""
    if new.dtype != record.dtype:
        return cast.copy(reader, record, new.dtype, out, losses.setdefault(name, Loss()))
    crc = 0
    for chunk in reader.chunks(record):
        crc = zlib.crc32(chunk, crc)
        out.write(chunk, reader.release)
    reader.finish(record, crc)
    return crc


def write_state(path: Path, tensors: Mapping[str, TensorRecord]) -> Written:
    """Write a bare state dict, such as `dvae.pth`.

    Raises:
        ArchiveError, OutputError: as `write_model`.
    """
    return _plain(path, container.state_pickle(tensors), tensors)


def write_tensor(path: Path, record: TensorRecord) -> Written:
    """Write one tensor by itself, such as `mel_stats.pth`.

    Raises:
        ArchiveError, OutputError: as `write_model`.
    """
    return _plain(path, container.tensor_pickle(record), {record.key: record})


def _plain(path: Path, index: bytes, tensors: Mapping[str, TensorRecord]) -> Written:
    def body(file: BinaryIO, reader: TensorReader, losses: dict[str, Loss]) -> tuple[str, list[Member]]:
        return _container(file, reader, losses, index, tensors, tensors)

    return _flushed(path, tensors, lambda _: None, body)


def _flushed(path: Path, tensors: Mapping[str, TensorRecord], progress: Progress, body: Body) -> Written:
    """Let `body` write a new file, read back what it wrote, and return when it is on the disk."""
    losses: dict[str, Loss] = {}
    try:
        with path.open("xb", buffering=0) as file, TensorReader(progress) as reader:
            sha256, members = body(file, reader, losses)
            flushed = Background(os.fsync, file.fileno())
            try:
                writer.read_back(path, members)
            finally:
                flushed.wait()
            return Written(path=path, bytes=file.tell(), sha256=sha256, scan=reader.result(), losses=losses)
    except OSError as error:
        raise writer.output_error(path, list(tensors.values()), error) from error
