"""Compare two tensors: by their records where that suffices, else by their bytes."""

from verify.checkpoint.tensors import TensorRecord


def same_bytes(a: TensorRecord, b: TensorRecord) -> bool:
    """Whether two tensors have the same dtype, shape and data.

    Raises:
        ArchiveError: the source is damaged.
    """
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return False
    if (a.path, a.storage, a.offset, a.stride) == (b.path, b.storage, b.offset, b.stride):
        return True
    from verify.checkpoint.reader import equal_data  # NumPy, which few sources need before they are written

    return equal_data(a, b)
