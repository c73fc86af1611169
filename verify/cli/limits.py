"""Limits that stand on this process: too little memory is told before a library ends the process without a word."""

import contextlib
import os

from verify.errors import ConversionError

# Measured with --no-verify on a small file: 150 MB end in a MemoryError, 200 MB suffice.
LEAST_BYTES = 200 * 2**20
WITHOUT_NUMPY = frozenset({"inspect", "explain", "profiles"})


class MemoryLimitError(ConversionError):
    """The limit on this process leaves no room to begin."""


def require_memory(command: str) -> None:
    """Refuse a limit on the address space in which NumPy cannot be loaded.

    OpenBLAS, which comes with NumPy, takes 32 MB a thread; where they are not to be had it ends the process with status 1.

    Raises:
        MemoryLimitError: the limit is too low.
    """
    limit = _limit_bytes()
    if limit is None:
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if limit < LEAST_BYTES and command not in WITHOUT_NUMPY:
        message = f"this process may use {limit:,} bytes of memory; {LEAST_BYTES:,} are the least"
        raise MemoryLimitError("out-of-memory", message, "Raise the limit: ulimit -v unlimited.")


def _limit_bytes() -> int | None:
    """Return the limit on the address space, or None where there is none, or no such limits, as on Windows."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        return None if limit == resource.RLIM_INFINITY else limit
    return None
