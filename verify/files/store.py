"""Ask a store (s3://, gs://, hf:// and whatever else fsspec knows), with the limits on time that web servers have.

The size of an answer is limited in `answers.py`, where the package of the store sends its requests.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from verify.background import Background
from verify.files.answers import LARGEST_LIST_BYTES
from verify.files.budget import Budget, allowed_seconds
from verify.files.protocols import Address, filesystem, translated_errors, unreachable


def info(path: Address, budget: Budget) -> dict[str, Any]:
    """Return what the store says of a file or folder, as fsspec's `info` has it.

    Raises:
        SourceError: there is nothing, or the store refuses, cannot be reached, or is too slow.
    """
    fs, name = filesystem(path)
    fs.invalidate_cache()
    return _ask(fs, path, budget, 1, "info", name)


def entries(path: Address, budget: Budget) -> Iterator[tuple[str, bool]]:
    """Yield the names in a folder, and whether each is a folder.

    Raises:
        SourceError: as `info`.
    """
    fs, name = filesystem(path)
    for entry in _ask(fs, path, budget, LARGEST_LIST_BYTES, "ls", name, detail=True):
        if inner := entry["name"].rstrip("/").rpartition("/")[2]:
            yield inner, entry["type"] == "directory"


def fetch(path: Address, budget: Budget, start: int, end: int) -> bytes:
    """Return the bytes from `start` to `end` of the file.

    Raises:
        SourceError: the store refuses, breaks off, is too slow, or sends something else.
    """
    fs, name = filesystem(path)
    # Where fsspec opens a file for each read it would read some MB ahead, and throw them away.
    options = {} if fs.async_impl else {"cache_type": "none"}
    data = _ask(fs, path, budget, end - start, "cat_file", name, start=start, end=end, **options)
    if len(data) != end - start:
        raise unreachable(path, f"{len(data):,} bytes came in place of {end - start:,}")
    return data


def _ask(fs: Any, path: Address, budget: Budget, size: int, method: str, *arguments: Any, **options: Any) -> Any:
    """Call a method of fsspec's file system, and wait no longer than `size` bytes may take.

    Raises:
        SourceError: it took too long, or failed.
    """
    seconds, began = budget.grant(path, size), time.monotonic()
    patience = min(seconds, allowed_seconds(size))
    try:
        with translated_errors(path):
            return _within(fs, path, patience, method, *arguments, **options)
    except _TooSlow as error:
        raise (budget.too_slow(path) if patience == seconds else unreachable(path, str(error))) from None
    finally:
        budget.spend(time.monotonic() - began)


class _TooSlow(Exception):
    """An answer did not come in time."""


def _within(fs: Any, path: Address, seconds: float, method: str, *arguments: Any, **options: Any) -> Any:
    """Return what the method returns; one that is still running afterwards is ended, or left behind where it cannot be.

    Raises:
        _TooSlow: it has not returned in time.
    """
    from fsspec.asyn import sync
    from fsspec.exceptions import FSTimeoutError

    began = time.monotonic()
    if not fs.async_impl:
        return _in_background(path, seconds, lambda: getattr(fs, method)(*arguments, **options))
    try:
        return sync(fs.loop, getattr(fs, f"_{method}"), *arguments, timeout=seconds, **options)
    except FSTimeoutError:
        if time.monotonic() - began < seconds:
            raise  # a limit of the package's own, on the silence between two bytes
        raise _TooSlow(f"no whole answer in {seconds:.0f} s") from None


def _in_background(path: Address, seconds: float, call: Callable[[], Any]) -> Any:
    """Return what the function returns.

    Raises:
        _TooSlow: it has not returned in time.
        SourceError: it failed.
    """

    def ask() -> Any:
        """Call the function, with its errors as ours."""
        with translated_errors(path):
            return call()

    asked = Background(ask)
    if not asked.is_done_in(seconds):
        raise _TooSlow(f"no whole answer in {seconds:.0f} s")
    return asked.wait()
