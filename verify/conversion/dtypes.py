"""The dtypes that a new file can have, and the dtype of each tensor in it. No tensor is read here."""

from collections.abc import Mapping
from dataclasses import replace

from verify.checkpoint.tensors import TensorRecord, is_float
from verify.conversion import key_map

KEEP = "keep"


def recorded(tensors: Mapping[str, TensorRecord], dtype: str) -> dict[str, TensorRecord]:
    """Return the tensors with the dtype that each has in the new file.

    Whole numbers stay what they are. Buffers, which are statistics and filter banks of 0.1 MB in all, become float32
    under any cast: coqui computes them in it, and a mel filter or a variance rounded to 11 bits saves nothing.
    """
    return {name: replace(record, dtype=_dtype_of(name, record, dtype)) for name, record in tensors.items()}


def _dtype_of(name: str, record: TensorRecord, dtype: str) -> str:
    if dtype == KEEP or not is_float(record.dtype):
        return record.dtype
    return "float32" if key_map.is_buffer(name) else dtype


def changes(tensors: Mapping[str, TensorRecord], dtype: str) -> bool:
    """Whether the cast changes any of the tensors."""
    return any(_dtype_of(name, record, dtype) != record.dtype for name, record in tensors.items())
