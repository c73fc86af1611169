"""Cast floats on their way into a new file, rounded as torch rounds them, and keep what that costs. No torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from verify.checkpoint import keytable
from verify.checkpoint.container import ProvenFile
from verify.checkpoint.reader import TensorReader
from verify.checkpoint.sums import crc32
from verify.checkpoint.tensors import TensorRecord
from verify.checkpoint.values import as_floats, is_float

KEEP = "keep"
DTYPES = (KEEP, "float32", "float16", "bfloat16")
_SMALLEST_NORMAL = {"float32": 2.0**-126, "float16": 2.0**-14, "bfloat16": 2.0**-126}


@dataclass(slots=True)
class Loss:
    """What casting cost one tensor, as far as it has been written."""

    worst: float = 0.0  # largest |new - old| / |old| of the elements that the new dtype holds as normal numbers
    squares: float = 0.0  # sum of |old|^2
    lost_squares: float = 0.0  # sum of |new - old|^2
    to_zero: int = 0  # elements that were not zero and are
    overflow: float | None = None  # a finite value that became infinite

    @property
    def relative(self) -> float:
        """The norm of the difference over the norm of the tensor."""
        return math.sqrt(self.lost_squares / self.squares) if 0 < self.squares < math.inf else 0.0

    def look(self, old: np.ndarray, new: np.ndarray, dtype: str) -> None:
        """Take some elements before and after, both as floats, into account."""
        kept = np.isfinite(new)
        if not kept.all():
            lost = old[np.isfinite(old) & ~kept]
            if len(lost):
                self.overflow = max(float(lost[np.abs(lost).argmax()]), self.overflow or 0.0, key=abs)
            old, new = old[kept], new[kept]
        difference, size = np.abs(new - old), np.abs(old)
        normal = size >= _SMALLEST_NORMAL[dtype]
        if normal.any():
            self.worst = max(self.worst, float((difference[normal] / size[normal]).max()))
        self.to_zero += int(np.count_nonzero(old) - np.count_nonzero(new))
        self.squares += float(np.dot(size, size))
        self.lost_squares += float(np.dot(difference, difference))


Losses = Mapping[str, Loss]  # by the name of the tensor in the new file; of those alone that were cast


def recorded(tensors: Mapping[str, TensorRecord], dtype: str) -> dict[str, TensorRecord]:
    """Return the tensors with the dtype that each has in the new file.

    Whole numbers stay what they are. Buffers, which are statistics and filter banks of 0.1 MB in all, become float32
    under any cast: coqui computes them in it, and a mel filter or a variance rounded to 11 bits saves nothing.
    """
    return {name: replace(record, dtype=_dtype_of(name, record, dtype)) for name, record in tensors.items()}


def _dtype_of(name: str, record: TensorRecord, dtype: str) -> str:
    if dtype == KEEP or not is_float(record.dtype):
        return record.dtype
    return "float32" if keytable.is_buffer(name) else dtype


def changes(tensors: Mapping[str, TensorRecord], dtype: str) -> bool:
    """Whether the cast changes any of the tensors."""
    return any(_dtype_of(name, record, dtype) != record.dtype for name, record in tensors.items())


def cast(floats: np.ndarray, dtype: str) -> np.ndarray:
    """Return float32 or float64 elements as those of another dtype, bfloat16 as its bits `uint16`.

    Half precision is reached by way of float32, to nearest and to even, as torch does it.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        single = floats.astype(np.float32, copy=False)
        if dtype == "float32":
            return single
        if dtype == "float16":
            return single.astype(np.float16)
        bits = single.view(np.uint32)
        rounded = ((bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
        return np.where(np.isnan(single), np.uint16(0x7FC0), rounded)


def move(reader: TensorReader, record: TensorRecord, dtype: str, out: ProvenFile, loss: Loss) -> int:
    """Write one tensor in another dtype, chunk by chunk, and return the CRC-32 that the file must hold.

    Raises:
        ArchiveError: the source is damaged or changed while it was read.
        OutputError: the disk does not hold what was written to it.
    """
    source = crc = 0
    for chunk in reader.chunks(record):
        source = crc32(chunk, source)
        data = _cast_chunk(chunk, record.dtype, dtype, loss)
        reader.release(chunk)
        crc = crc32(data, crc)
        out.prove(data)
    reader.finish(record, source)
    out.expect(crc)
    return crc


def _cast_chunk(chunk: memoryview, old: str, dtype: str, loss: Loss) -> memoryview:
    floats = as_floats(chunk, old)
    new = np.ascontiguousarray(cast(floats, dtype))
    data = new.view(np.uint8).data
    with np.errstate(over="ignore", invalid="ignore"):
        loss.look(floats, as_floats(data, dtype), dtype)
    return data
