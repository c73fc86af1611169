"""One tensor of a file: its dtype, shape and stride, and where its bytes lie."""

import math
from dataclasses import dataclass

from verify.checkpoint.zip_directory import Member
from verify.files.local import Stamp
from verify.files.location import Location

# torch storage class -> (dtype, bytes an element)
STORAGES = {
    "Double": ("float64", 8),
    "Float": ("float32", 4),
    "Half": ("float16", 2),
    "BFloat16": ("bfloat16", 2),
    "Long": ("int64", 8),
    "Int": ("int32", 4),
    "Short": ("int16", 2),
    "Char": ("int8", 1),
    "Byte": ("uint8", 1),
    "Bool": ("bool", 1),
}


ITEM_BYTES = dict(STORAGES.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRecord:
    """One tensor of a file. Shape and stride count elements; `offset` is its first element in the storage, in bytes."""

    path: Location  # the file
    key: str
    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    storage: str  # name of the zip member, or the key in a safetensors file
    storage_start: int  # byte in the file where the storage's data begins
    storage_bytes: int
    crc: int | None  # CRC-32 that the container states for the storage
    stamp: Stamp | None = None  # of the file when its index was read
    unread_header: Member | None = None  # of a remote file: `storage_start` holds if the member's header says so too

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.elements * ITEM_BYTES[self.dtype]

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie in row-major order without gaps."""
        expected = 1
        for size, stride in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if size != 1 and stride != expected:
                return self.elements == 0
            expected *= size
        return True

    @property
    def fills_storage(self) -> bool:
        return self.contiguous and self.offset == 0 and self.bytes == self.storage_bytes


def countable(shape: tuple[int, ...]) -> bool:
    """Whether torch, which takes an axis of 0 as 1 for the strides, can count the elements in 63 bits."""
    return math.prod(max(size, 1) for size in shape) < 2**63


def row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides, in elements, of a contiguous tensor of this shape."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def is_float(dtype: str) -> bool:
    """Whether tensors of this dtype hold floats that `values.as_floats` takes."""
    return dtype.endswith(("float16", "float32", "float64"))
