"""Write a safetensors file, laid out as the safetensors library does it: streamed, hashed, read back, flushed to the disk."""

import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verify.checkpoint import safetensors
from verify.checkpoint.archive import Archive
from verify.checkpoint.reader import Progress
from verify.checkpoint.tensors import ITEM_BYTES, TensorRecord
from verify.conversion import dtypes, writer
from verify.conversion.cast import Loss
from verify.conversion.dtypes import KEEP
from verify.conversion.proven_file import ProvenFile
from verify.conversion.writer import Written

SOURCE_SHA256, SOURCE_FINGERPRINT = "source_sha256", "source_fingerprint"
_PASSED_ON = (
    "format",
    SOURCE_SHA256,
    SOURCE_FINGERPRINT,
    "step",
    "epoch",
    "date",
    "xtts_verify_version",
    "coqui_tts_version",
)
_NAMES = {dtype: name for name, (dtype, _) in safetensors.DTYPES.items()}
# The order in which the safetensors library lays tensors out, so that each is aligned: then by name.
_LAYOUT = ("I64", "F64", "F32", "I32", "BF16", "F16", "I16", "I8", "U8", "BOOL")


def write_safetensors(
    path: Path,
    tensors: Mapping[str, TensorRecord],
    metadata: Mapping[str, str],
    progress: Progress,
    dtype: str = KEEP,
) -> Written:
    """Write tensors and text about them as a safetensors file.

    Raises:
        ArchiveError, OutputError: as `writer.write_model`.
    """
    return write_recorded(path, tensors, dtypes.recorded(tensors, dtype), metadata, progress)


def write_recorded(
    path: Path,
    tensors: Mapping[str, TensorRecord],
    new: Mapping[str, TensorRecord],
    metadata: Mapping[str, str],
    progress: Progress,
) -> Written:
    """Write a safetensors file of tensors that are described already.

    Args:
        new: each tensor as it is to be in the new file.
    """
    order = sorted(new, key=lambda name: (_LAYOUT.index(_NAMES[new[name].dtype]), name))
    losses: dict[str, Loss] = {}
    with writer.opened(path, list(new.values()), progress) as (file, back, reader):
        out = ProvenFile(file, back)
        try:
            reader.announce([tensors[name] for name in order])
            out.add(header({name: new[name] for name in order}, metadata))
            for name in order:
                writer.move_as(reader, name, tensors[name], new[name], out, losses)
            sha256 = out.finish()
        finally:
            out.close()
        return Written(path=path, bytes=file.tell(), sha256=sha256, scan=reader.result(), losses=losses)


def metadata(archive: Archive, sha256: str, versions: Mapping[str, str | None]) -> dict[str, str]:
    """Return the text that a safetensors file carries: which checkpoint it was made of, and by what.

    Args:
        sha256: of the whole source; empty where it is not known: then the fingerprint of its directory stands for it.

    A file that has it already passes it on, so that converting a result again changes nothing; nothing else is passed on.
    """
    if any(
        re.fullmatch("[0-9a-f]{64}", archive.metadata.get(name, "")) for name in (SOURCE_SHA256, SOURCE_FINGERPRINT)
    ):
        return {name: archive.metadata[name] for name in _PASSED_ON if name in archive.metadata}
    facts = {"step": archive.step, "epoch": archive.epoch, "date": archive.date}
    makers = {f"{name.replace('-', '_')}_version": versions.get(name) for name in ("xtts-verify", "coqui-tts")}
    stated = {name: str(value) for name, value in {**facts, **makers}.items() if value is not None}
    named = {SOURCE_SHA256: sha256, SOURCE_FINGERPRINT: archive.fingerprint}
    return {"format": "pt", **{name: value for name, value in named.items() if value}, **stated}


def header(tensors: Mapping[str, TensorRecord], metadata: Mapping[str, str]) -> bytes:
    """Return the length and the JSON with which a safetensors file of these tensors, in this order, begins."""
    described: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    position = 0
    for name, record in tensors.items():
        size = record.elements * ITEM_BYTES[record.dtype]
        described[name] = {
            "dtype": _NAMES[record.dtype],
            "shape": list(record.shape),
            "data_offsets": [position, position + size],
        }
        position += size
    text = json.dumps(described, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text
