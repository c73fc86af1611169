"""Statistics of tensor values: finite, all zero, constant, and their scale."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from verify.checkpoint.tensors import TensorRecord

_SMALL = 4096  # elements: biases and norms, which are constant before training
_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(slots=True)
class Values:
    """Statistics of the elements of one float tensor that have been read so far."""

    elements: int = 0
    squares: float = 0.0  # their sum
    finite: bool = True
    zero: bool = True
    constant: float | None = None  # only for small tensors: the value of every element
    largest: float = 0.0  # only for float64, which may exceed float32

    @property
    def rms(self) -> float:
        """The root mean square of the elements."""
        return math.sqrt(self.squares / self.elements) if self.elements else 0.0

    def update(self, record: TensorRecord, chunk: memoryview) -> None:
        """Take the next chunk of the tensor into account.

        A sum of squares is finite only where every value is, and BLAS takes it three times as fast as `numpy.isfinite`.
        """
        data = as_floats(chunk, record.dtype)
        with np.errstate(over="ignore"):
            squares = float(np.dot(data, data))
        if not math.isfinite(squares):
            self.finite = self.finite and bool(np.isfinite(data).all())
        self.zero = self.zero and squares == 0 and not data.any()
        self.elements += len(data)
        self.squares += squares
        if record.elements <= _SMALL and len(data):
            self.constant = float(data[0]) if bool((data == data[0]).all()) else None
        if record.dtype == "float64" and len(data):
            self.largest = max(self.largest, float(np.abs(data).max()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What one pass over the tensors found."""

    bytes: int
    values: Mapping[TensorRecord, Values]  # of tensors of floats

    @property
    def non_finite(self) -> tuple[str, ...]:
        """Keys of tensors that hold NaN or Inf."""
        return tuple(record.key for record, values in self.values.items() if not values.finite)

    @property
    def overflowing(self) -> tuple[tuple[str, float], ...]:
        """Keys of float64 tensors whose largest value float32 cannot hold, with that value."""
        by_key = ((record.key, values) for record, values in self.values.items())
        return tuple((key, values.largest) for key, values in by_key if values.finite and values.largest > _FLOAT32_MAX)


def as_floats(chunk: memoryview, dtype: str) -> np.ndarray:
    """Return the elements of a chunk as float32, or float64 where they are that: `(elements,)`."""
    if dtype == "bfloat16":
        return (np.frombuffer(chunk, np.uint16).astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(chunk, dtype).astype(np.float32 if dtype == "float16" else dtype, copy=False)
