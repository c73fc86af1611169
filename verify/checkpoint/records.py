"""Hold what the index of a container declares of a tensor against the member that stores it."""

import math
from typing import Any, BinaryIO

from verify.checkpoint import allowlist, zip_directory
from verify.checkpoint.tensors import STORAGES, TensorRecord
from verify.errors import TRUNCATED_HINT, ArchiveError
from verify.files.local import stamp_of
from verify.files.location import Location, local_path


def record_of(
    path: Location, file: BinaryIO, directory: zip_directory.Directory, prefix: str, key: str, spec: Any
) -> TensorRecord:
    """Return the record of one tensor, after checking its shape against its storage and its storage against its member.

    Args:
        prefix: the folder of all members, with its slash.
        spec: what the index says of the tensor, a `TensorSpec` or an `OddTensor`.

    Raises:
        ArchiveError: the tensor is of an unusual kind, or index and container contradict each other.
    """
    dtype, item_bytes = _dtype_of(key, spec)
    member = _member_of(directory, prefix, key, spec.storage, item_bytes)
    usual = None if local_path(path) else zip_directory.usual_offset(member)
    _require_inside(key, spec)
    return TensorRecord(
        path=path,
        key=key,
        dtype=dtype,
        shape=spec.shape,
        stride=spec.stride,
        offset=spec.offset * item_bytes,
        storage=member.name,
        storage_start=usual or zip_directory.data_offset(file, member),
        unread_header=member if usual else None,
        storage_bytes=member.bytes,
        crc=member.crc,
        stamp=stamp_of(file),
    )


def _dtype_of(key: str, spec: Any) -> tuple[str, int]:
    """Return the dtype of a dense tensor and the bytes of an element; refuse any other tensor."""
    kind = spec.kind if isinstance(spec, allowlist.OddTensor) else spec.storage.kind
    if isinstance(spec, allowlist.OddTensor) or kind not in STORAGES:
        raise ArchiveError(
            "tensor-kind",
            f"{key} is a {kind} tensor; only dense tensors of the usual dtypes are read",
            "Convert it where it was made: tensor.dequantize(), .to_dense() or .float() before saving.",
            (key,),
        )
    return STORAGES[kind]


def _require_inside(key: str, spec: allowlist.TensorSpec) -> None:
    """Refuse a tensor that reaches out of its storage, or has more elements than the storage."""
    elements = math.prod(spec.shape)
    last = spec.offset + sum((size - 1) * stride for size, stride in zip(spec.shape, spec.stride, strict=True))
    if max(elements, spec.offset, last + 1 if elements else 0) > spec.storage.elements:
        raise ArchiveError(
            "tensor-shape",
            f"{key} has shape {list(spec.shape)} ({elements:,} elements) from element {spec.offset:,} on, "
            f"its storage holds {spec.storage.elements:,}",
            keys=(key,),
        )


def _member_of(
    directory: zip_directory.Directory, prefix: str, key: str, storage: allowlist.Storage, item_bytes: int
) -> zip_directory.Member:
    """Return the member that holds a tensor's storage, after checking its size against the index."""
    name = f"{prefix}data/{storage.member}"
    member = directory.members.get(name)
    if member is None:
        raise ArchiveError("missing-member", f"{key}: member {name} is missing", TRUNCATED_HINT, (key,))
    declared = storage.elements * item_bytes
    if declared != member.bytes:
        raise ArchiveError(
            "member-size",
            f"{key}: the index declares {declared:,} bytes, member {name} stores {member.bytes:,}",
            "torch.load would read a neighbour's bytes here. Get the file again.",
            (key,),
        )
    return member
