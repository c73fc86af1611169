"""Write beside the target, and give the target its name only when everything is there and flushed.

A lock on the target, held by the kernel for as long as the process lives, keeps two runs apart and tells a dead run's
staging folder from a living one's, so that the next run can remove it.
"""

import contextlib
import glob
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from verify.errors import OutputError

OUTPUT_NAMES = frozenset(
    [
        "model.pth",
        "config.json",
        "vocab.json",
        "speakers_xtts.pth",
        "reference.wav",
        "sample.wav",
        "report.json",
        "report.html",
    ]
)
_OLD = "replaced"  # where the old output waits inside the staging folder while the new one takes its name


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A folder to write into, and the target that it is to become."""

    folder: Path
    target: Path


def check_target(target: Path, source: Path, checkpoint: Path, force: bool) -> None:
    """Refuse a target that cannot become the output, before anything is read.

    Raises:
        OutputError: it is the input or holds it, exists without `force`, is no folder, or its parent is missing.
    """
    if _same(target, checkpoint) or _same(target, source) or _holds(target, checkpoint):
        raise OutputError(
            "output-is-input", f"the output {target} is the input, or holds it", "Write elsewhere with -o DIR."
        )
    if not target.parent.is_dir():
        what = "is not a folder" if target.parent.exists() else "is not there"
        raise OutputError(
            "no-parent", f"the output's parent {target.parent} {what}", "Make it first, or write elsewhere with -o DIR."
        )
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        kind = "a symbolic link" if target.is_symlink() else "not a folder"
        raise OutputError("output-not-a-folder", f"the output {target} is {kind}", "Write elsewhere with -o DIR.")
    if not target.exists():
        return
    if not force:
        raise OutputError(
            "output-exists",
            f"the output {target} exists already",
            "Pass --force to replace it, or -o DIR to write elsewhere.",
        )
    foreign = sorted(entry.name for entry in target.iterdir() if entry.name not in OUTPUT_NAMES)
    if foreign:
        raise OutputError(
            "output-has-other-files",
            f"{target} holds files that this tool did not write: {', '.join(foreign[:5])}",
            "--force replaces the whole folder: move them out first, or write elsewhere with -o DIR.",
        )


def _same(a: Path, b: Path) -> bool:
    return a.exists() and b.exists() and os.path.samefile(a, b)


def _holds(folder: Path, file: Path) -> bool:
    return folder.is_dir() and folder.resolve() in file.resolve().parents


@contextlib.contextmanager
def staging(target: Path) -> Iterator[Stage]:
    """Lock the target, remove what a killed run left, and give a new folder beside it, gone again at the end.

    Raises:
        OutputError: another run is writing this target.
    """
    lock = FileLock(_lock_path(target), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise OutputError(
            "busy", f"another run is writing {target}", "Wait for it, or write elsewhere with -o DIR."
        ) from error
    root = target.parent / f"{_prefix(target)}{secrets.token_hex(4)}"
    try:
        _recover(target)
        (root / "files").mkdir(parents=True)
        yield Stage(folder=root / "files", target=target)
    finally:
        shutil.rmtree(root, ignore_errors=True)
        lock.release()


def _prefix(target: Path) -> str:
    return f".{target.name[:200]}.staging-"


def _lock_path(target: Path) -> Path:
    """Return a lock file for the target in the system's temporary folder, so that none is left beside the output."""
    name = hashlib.sha256(os.fsencode(target.resolve())).hexdigest()[:24]
    user = os.getuid() if hasattr(os, "getuid") else ""
    return Path(tempfile.gettempdir()) / f"xtts-verify-{user}-{name}.lock"


def _recover(target: Path) -> None:
    """Remove dead runs' staging folders; one killed between its two renames gives the old output its name back."""
    for left in target.parent.glob(f"{glob.escape(_prefix(target))}*"):
        if (left / _OLD).is_dir() and not target.exists():
            os.rename(left / _OLD, target)
        shutil.rmtree(left, ignore_errors=True)


def publish(stage: Stage, target: Path, replace: bool) -> Path:
    """Flush the staged folder and move it to `target`; with `replace`, an old output there makes way for it.

    Raises:
        OutputError: something else took the name in the meantime.
    """
    for file in stage.folder.iterdir():
        flush(file)
    flush(stage.folder)
    old = stage.folder.parent / _OLD
    try:
        if replace and target.exists():
            os.rename(target, old)
        os.rename(stage.folder, target)
    except OSError as error:
        if old.exists() and not target.exists():
            os.rename(old, target)
        raise OutputError(
            "cannot-publish", f"{target} could not be written: {error.strerror}", "Write elsewhere with -o DIR."
        ) from error
    flush(target.parent)
    return target


def flush(path: Path) -> None:
    """Ask the system to bring a file or folder to the disk; folders cannot be flushed on Windows."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: object) -> None:
    """Write a value as indented UTF-8 JSON; NaN is refused, as no other reader takes it."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a small file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
