"""Read the header of a safetensors file: 8 bytes of length, then JSON (https://github.com/huggingface/safetensors#format)."""

import json
import math
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from verify.checkpoint.budget import Budget
from verify.checkpoint.tensors import countable
from verify.errors import ArchiveError
from verify.files.location import Location

MAX_HEADER_BYTES = 4 * 2**20  # a genuine XTTS has 0.15 MB; what JSON of this size asks for in Python stays below 200 MB
DTYPES = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I16": ("int16", 2),
    "I8": ("int8", 1),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One tensor of the header; `start` is the byte in the file where its data begins."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    bytes: int


def looks_like(head: bytes, size: int) -> bool:
    """Whether the first bytes are a header length that fits the file, and a JSON object."""
    return len(head) > 9 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] + 8 <= max(size, MAX_HEADER_BYTES)


def read(path: Location, file: BinaryIO, size: int, budget: Budget) -> tuple[dict[str, Entry], dict[str, str]]:
    """Return the tensors by key, and the text about them.

    Raises:
        ArchiveError: the header is too long, no JSON, or its tensors do not tile the file exactly.
    """
    file.seek(0)
    length = struct.unpack("<Q", file.read(8))[0]
    if length > MAX_HEADER_BYTES:
        raise ArchiveError(
            "bad-container", f"the safetensors header has {length:,} bytes; {MAX_HEADER_BYTES:,} is the limit"
        )
    data = file.read(length)
    if len(data) != length:
        raise ArchiveError(
            "truncated", f"{path} is truncated: {size:,} bytes are there, its header alone needs {length + 8:,}"
        )
    try:
        header = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ArchiveError("bad-container", f"{path}: the safetensors header is not valid JSON") from error
    if not isinstance(header, dict):
        raise ArchiveError("bad-container", f"{path}: the safetensors header is not an object")
    metadata = header.pop("__metadata__", None)
    if not header:
        raise ArchiveError("not-a-state-dict", f"{path} holds no tensors")
    budget.spend("tensors", len(header))
    for key in header:
        budget.spend_key(key)
    entries = {key: _entry(key, item, 8 + length) for key, item in header.items()}
    _require_tiling(path, entries, 8 + length, size)
    return entries, _text(metadata)


def _text(metadata: Any) -> dict[str, str]:
    """Return the entries of the metadata that are short printable text; a stranger may have written anything."""
    if not isinstance(metadata, dict) or len(metadata) > 100:
        return {}
    return {
        key: value
        for key, value in metadata.items()
        if isinstance(value, str) and max(len(key), len(value)) <= 200 and f"{key}{value}".isprintable()
    }


def _entry(key: str, item: Any, base: int) -> Entry:
    if not key.isprintable():
        raise ArchiveError("bad-container", f"a safetensors entry has the name {key!r:.100}")
    shape = _counts(item.get("shape") if isinstance(item, dict) else None)
    offsets = _counts(item.get("data_offsets") if isinstance(item, dict) else None)
    if shape is None or offsets is None or len(offsets) != 2 or len(shape) > 16 or not countable(shape):
        raise ArchiveError("bad-container", f"{key:.100}: the safetensors entry has no valid shape and data_offsets")
    dtype = item.get("dtype")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ArchiveError("tensor-kind", f"{key} has dtype {str(dtype)[:40]}, which is not read", keys=(key,))
    dtype, item_bytes = DTYPES[dtype]
    stored, declared = offsets[1] - offsets[0], math.prod(shape) * item_bytes
    if stored != declared:
        raise ArchiveError(
            "member-size",
            f"{key}: shape {list(shape)} of {dtype} needs {declared:,} bytes, {stored:,} are stored",
            keys=(key,),
        )
    return Entry(dtype=dtype, shape=shape, start=base + offsets[0], bytes=stored)


def _counts(value: Any) -> tuple[int, ...] | None:
    """Return a JSON list of counts as a tuple, or None where it is anything else."""
    if isinstance(value, list) and all(type(n) is int and 0 <= n < 2**48 for n in value):
        return tuple(value)
    return None


def _require_tiling(path: Location, entries: dict[str, Entry], base: int, size: int) -> None:
    position = base
    for key, entry in sorted(entries.items(), key=lambda pair: (pair[1].start, pair[1].bytes)):
        if entry.start != position:
            raise ArchiveError(
                "bad-container", f"{key}: its data begins at byte {entry.start:,}, expected {position:,}", keys=(key,)
            )
        position += entry.bytes
    if position > size:
        raise ArchiveError(
            "truncated",
            f"{path} is truncated: {size:,} bytes are there, {position:,} expected",
            "Copy or download it again.",
        )
    if position < size:
        raise ArchiveError("bad-container", f"{path}: {size - position:,} bytes belong to no tensor")
