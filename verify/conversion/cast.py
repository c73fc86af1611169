"""Cast floats while a new file is written, rounded as torch rounds them, and record the loss. No torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from verify.checkpoint.reader import TensorReader
from verify.checkpoint.tensor_stats import as_floats
from verify.checkpoint.tensors import ITEM_BYTES, TensorRecord
from verify.conversion.proven_file import ProvenFile
from verify.files.local import CHUNK_BYTES, crc32

_SMALLEST_NORMAL = {"float32": 2.0**-126, "float16": 2.0**-14, "bfloat16": 2.0**-126}


@dataclass(frozen=True, slots=True)
class _Half:
    """How a normal float32 becomes a number of 16 bits: by its bits, rounded to nearest and to even."""

    dropped: int  # bits at the end of the fraction
    bias: int  # what is taken off the exponent, in its place in the result
    first: float  # the smallest normal number in it
    end: float  # the smallest float32 that would round to Inf


_HALVES = {
    "float16": _Half(13, (112 << 10) % 2**16, _SMALLEST_NORMAL["float16"], 65520.0),
    "bfloat16": _Half(16, 0, _SMALLEST_NORMAL["bfloat16"], float.fromhex("0x1.ffp+127")),
}


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

    def update(self, old: np.ndarray, new: np.ndarray, dtype: str, scratch: "Scratch") -> None:
        """Add elements before and after the cast, both as floats."""
        kept = np.isfinite(new)
        if not kept.all():
            lost = old[np.isfinite(old) & ~kept]
            if len(lost):
                self.overflow = max(float(lost[np.abs(lost).argmax()]), self.overflow or 0.0, key=abs)
            old, new = old[kept], new[kept]
        mask = scratch.mask[: len(old)]  # of bools: counted four times as fast as floats
        was, stayed = (int(np.count_nonzero(np.not_equal(values, 0, out=mask))) for values in (old, new))
        self.to_zero += was - stayed
        size = np.abs(old, out=scratch.size[: len(old)])
        small = np.flatnonzero(np.less(size, _SMALLEST_NORMAL[dtype], out=mask))
        difference = np.subtract(new, old, out=scratch.difference[: len(old)])
        self.squares += float(np.dot(size, size))
        self.lost_squares += float(np.dot(difference, difference))
        self._relate(difference, size, small)

    def update_normal(self, size: np.ndarray, old: np.ndarray, new: np.ndarray, excluded: np.ndarray) -> None:
        """Add elements, except those at the indices `excluded`, that are normal numbers before and after the cast.

        Args:
            size: the absolute values of `old`; it and `new` hold something else afterwards.
        """
        difference = np.subtract(new, old, out=new)
        difference[excluded] = size[excluded] = 0
        self.squares += float(np.dot(size, size))
        self.lost_squares += float(np.dot(difference, difference))
        self._relate(difference, size, excluded)

    def _relate(self, difference: np.ndarray, size: np.ndarray, excluded: np.ndarray) -> None:
        """Look for the largest relative error among elements, except those at the indices `excluded`."""
        difference[excluded], size[excluded] = 0, 1
        relative = np.divide(difference, size, out=difference)
        self.worst = max(self.worst, float(relative.max(initial=0)), -float(relative.min(initial=0)))


class Scratch:
    """Arrays in which the chunks of one tensor are worked on in turn: new ones would cost a page fault every 4 KiB."""

    def __init__(self, elements: int, dtype: str) -> None:
        floats = np.float64 if dtype == "float64" else np.float32
        self.difference, self.size = np.empty(elements, floats), np.empty(elements, floats)
        self.back, self.bits = np.empty(elements, np.float32), np.empty(elements, np.uint32)
        self.mask = np.empty(elements, bool)


Losses = Mapping[str, Loss]  # by the name of the tensor in the new file; of those alone that were cast


def cast(floats: np.ndarray, dtype: str) -> np.ndarray:
    """Return float32 or float64 elements as those of another dtype, bfloat16 as its bits `uint16`.

    Half precision goes through float32 and rounds to nearest, ties to even, as torch does.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        single = floats.astype(np.float32, copy=False)
        if dtype == "float32":
            return single
        if dtype == "float16":
            return _as_float16(single)
        bits = single.view(np.uint32)
        rounded = _rounded(bits, 16, np.empty_like(bits)) >> 16
        np.putmask(rounded, np.isnan(single), 0x7FC0)
        return rounded.astype(np.uint16)


def _rounded(bits: np.ndarray, dropped: int, out: np.ndarray) -> np.ndarray:
    """Return the bits of float32 elements, rounded to nearest and to even at the last that is not dropped.

    Those that are dropped hold something.
    """
    np.bitwise_and(np.right_shift(bits, dropped, out=out), 1, out=out)
    out += (1 << (dropped - 1)) - 1
    out += bits
    return out


def _as_float16(single: np.ndarray) -> np.ndarray:
    """Return float32 elements as float16.

    Small ones are added to 0.5, whose last bit is the step of float16's subnormal numbers, so that the addition rounds
    them: NumPy takes 80 ns for each, as it raises the processor's flag of an underflow.
    """
    size, bits = np.abs(single), single.view(np.uint32)
    is_small = size < _SMALLEST_NORMAL["float16"]
    new = np.empty(len(single), np.float16)
    new[~is_small] = single[~is_small]
    steps = (size[is_small] + np.float32(0.5)).view(np.uint32) - 0x3F000000
    new.view(np.uint16)[is_small] = steps | (bits[is_small] >> 16 & 0x8000)
    return new


def move(reader: TensorReader, record: TensorRecord, dtype: str, out: ProvenFile, loss: Loss) -> int:
    """Write one tensor in another dtype, chunk by chunk, and return the CRC-32 that the file must hold.

    Raises:
        ArchiveError: the source is damaged or changed while it was read.
        OutputError: the disk does not hold what was written to it.
    """
    source = crc = 0
    scratch = Scratch(min(record.elements, CHUNK_BYTES // ITEM_BYTES[record.dtype]), record.dtype)
    for chunk in reader.chunks(record):
        source = crc32(chunk, source)
        data = _cast_chunk(chunk, record.dtype, dtype, scratch, loss)
        reader.release(chunk)
        crc = crc32(data, crc)
        out.prove(data)
    reader.finish(record, source)
    out.expect(crc)
    return crc


def _cast_chunk(chunk: memoryview, old: str, dtype: str, scratch: Scratch, loss: Loss) -> memoryview:
    """Return the elements in another dtype, as bytes; on the same thread, because a second one would mostly wait."""
    floats = as_floats(chunk, old)
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype in _HALVES and floats.dtype == np.float32:
            new = _halve(floats, dtype, scratch, loss)
        else:
            new = cast(floats, dtype)
            loss.update(floats, _widen(new, dtype), dtype, scratch)
    return new.view(np.uint8).data


def _widen(new: np.ndarray, dtype: str) -> np.ndarray:
    """Return what `cast` returned as float32."""
    if dtype == "bfloat16":
        return (new.astype(np.uint32) << 16).view(np.float32)
    return _every_float16()[new.view(np.uint16)] if dtype == "float16" else new


@cache
def _every_float16() -> np.ndarray:
    """Return all float16 numbers as float32, in the order of their bits: NumPy is slow with subnormal ones here too."""
    return np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)


def _halve(floats: np.ndarray, dtype: str, scratch: Scratch, loss: Loss) -> np.ndarray:
    """Return float32 elements as those of 16 bits, and record the loss.

    NumPy casts to float16 one by one, in three times as long; by their bits, many are cast at once, where both dtypes
    hold them as normal numbers. `cast` does the others.
    """
    half, bits, count = _HALVES[dtype], floats.view(np.uint32), len(floats)
    size = np.abs(floats, out=scratch.size[:count])
    odd = _not_normal(size, half, scratch.mask[:count])
    rounded, back = scratch.bits[:count], scratch.back[:count]
    np.bitwise_and(_rounded(bits, half.dropped, rounded), -1 << half.dropped & 0xFFFFFFFF, out=back.view(np.uint32))
    new = np.right_shift(rounded, half.dropped, out=rounded).astype(np.uint16)
    if half.bias:
        new -= half.bias
        new |= np.right_shift(bits, 16, out=rounded).astype(np.uint16) & 0x8000  # the sign
    loss.update_normal(size, floats, back, odd)
    if len(odd):
        few = cast(floats[odd], dtype)
        new[odd] = few.view(np.uint16)
        loss.update(floats[odd], _widen(few, dtype), dtype, scratch)
    return new


def _not_normal(size: np.ndarray, half: _Half, mask: np.ndarray) -> np.ndarray:
    """Return the indices of absolute values that are not both before and after the cast normal numbers."""
    odd = np.less(size, half.first, out=mask)
    if not size.max(initial=0) < half.end:  # or one is NaN
        odd |= ~(size < half.end)
    return np.flatnonzero(odd)
