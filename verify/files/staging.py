"""Write beside the target, and rename to the target only when everything is complete and flushed.

The lock on the target shows whether a staging folder belongs to a dead run, so that the next run can remove it.
"""

import contextlib
import errno
import gc
import os
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from verify.errors import OutputError
from verify.files.location import Location
from verify.files.locking import composed, locked, short_name
from verify.files.output import foreign, refuse_inputs, refuse_what_stands
from verify.files.remote import RemotePath
from verify.files.upload import upload
from verify.progress import Silent, Watch

# Windows renames and removes nothing that somebody has open, and scanners open each new file for a moment.
PAUSES_SECONDS = (0.1, 0.3, 1.0, 2.0) if os.name == "nt" else ()
LONGEST_WINDOWS_PATH = 259  # characters, unless long paths are switched on
_OLD = "replaced"  # where the old output waits inside the staging folder while the new one takes its name


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A folder to write into, and the target that it is to become."""

    folder: Path
    target: Location


def check_target(target: Location, inputs: Sequence[Location], force: bool) -> None:
    """Refuse a target that cannot become the output, before anything is read; restore what a killed run moved away.

    Args:
        inputs: every path that the user named; none of them may be the target or lie in it.

    Raises:
        OutputError: it is an input or holds one, exists without `force`, is no folder, or its parent is missing.
    """
    refuse_inputs(target, inputs)
    if isinstance(target, Path) and _leftovers(target):
        with locked(target):
            _recover(target)
    refuse_what_stands(target, force)


def workplace(target: Location) -> Path:
    """Return the folder in which the output is built, which must have room for it."""
    return target.parent if isinstance(target, Path) else Path(tempfile.gettempdir())


@contextlib.contextmanager
def staging(target: Location) -> Iterator[Stage]:
    """Lock the target, remove what a killed run left, and yield a new folder beside it, which is removed at the end.

    For a target at a URL the folder is among the temporary files of this machine.

    Raises:
        OutputError: another run is writing this target, or the disk is full.
    """
    if isinstance(target, RemotePath):
        with tempfile.TemporaryDirectory(prefix="xtts-verify-", dir=workplace(target)) as folder:
            yield Stage(folder=Path(folder), target=target)
        return
    with locked(target):
        _recover(target)
        root = target.parent / f"{_prefix(target)}{secrets.token_hex(4)}"
        try:
            _make(root / "files")
            yield Stage(folder=root / "files", target=target)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)):
                raise
            free = shutil.disk_usage(target.parent).free
            message = f"no room in {target.parent}: {free:,} bytes are free, which the small files do not fit in"
            raise OutputError("disk-full", message, "Free some space, or write elsewhere with -o DIR.") from error
        finally:
            _remove(root)


def _prefix(target: Path) -> str:
    return f".{short_name(target)}.staging-"


def _leftovers(target: Path) -> list[Path]:
    """Return the staging folders of this target, recognised by their exact name and content."""
    pattern = re.compile(re.escape(_prefix(target)) + "[0-9a-f]{8}")
    folders = [
        path
        for path in target.parent.iterdir()
        if pattern.fullmatch(composed(path.name)) and path.is_dir() and not path.is_symlink()
    ]
    return [path for path in folders if {entry.name for entry in path.iterdir()} <= {"files", _OLD}]


def _recover(target: Path) -> None:
    """Remove dead runs' staging folders; one killed between its two renames gives the old output its name back."""
    for leftover in _leftovers(target):
        if (leftover / _OLD).is_dir() and not os.path.lexists(target):
            rename(leftover / _OLD, target)
        _remove(leftover)


def _remove(root: Path) -> None:
    """Remove a staging folder, as far as the system lets us.

    shutil holds a folder open for each level, and gives up where a process may open few files; this holds one.
    """
    for pause in (0.0, *PAUSES_SECONDS):
        time.sleep(pause)
        shutil.rmtree(root, ignore_errors=True)
        for folder, folders, files in os.walk(root, topdown=False):
            with contextlib.suppress(OSError):
                for name in files:
                    os.unlink(os.path.join(folder, name))
                for name in folders:
                    os.rmdir(os.path.join(folder, name))
        with contextlib.suppress(OSError):
            root.rmdir()
        if not os.path.lexists(root):
            return


def publish(stage: Stage, target: Location, replace: bool, watch: Watch | None = None) -> Location:
    """Flush the staged folder and move or upload it to `target`; with `replace`, an old output there makes way for it.

    Raises:
        OutputError: something else took the name in the meantime.
    """
    if isinstance(target, RemotePath):
        upload(stage.folder, target, replace, watch or Silent())
        return target
    for file in stage.folder.rglob("*"):
        flush(file)
    flush(stage.folder)
    old = stage.folder.parent / _OLD
    try:
        if replace and target.exists():
            rename(target, old)
            _require_still_ours(target, old)
        rename(stage.folder, target)
    except OSError as error:
        if old.exists() and not target.exists():
            rename(old, target)
        raise OutputError(
            "cannot-publish", f"{target} could not be written: {error.strerror}", "Write elsewhere with -o DIR."
        ) from error
    flush(target.parent)
    return target


def _require_still_ours(target: Path, old: Path) -> None:
    """Restore the old output if files of others were added to it, or it was replaced, since it was checked.

    Raises:
        OutputError: something did.
    """
    if old.is_symlink() or not old.is_dir():
        error: OutputError | None = OutputError("output-not-a-folder", f"the output {target} was replaced meanwhile")
    else:
        error = foreign(target, old)
    if error:
        rename(old, target)
        raise error


def rename(old: Path, new: Path) -> None:
    """Give a file or folder another name; where somebody has it open, which Windows refuses, try again a few times.

    Raises:
        OSError: it cannot be done.
    """
    for pause in PAUSES_SECONDS:
        try:
            os.rename(old, new)
            return
        except PermissionError:
            gc.collect()  # a model no longer used may still map its file into memory
            time.sleep(pause)
    os.rename(old, new)


def _make(folder: Path) -> None:
    """Make the folder to write into.

    Raises:
        OutputError: its path is longer than Windows takes.
    """
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        length = len(str(folder.absolute() / "speakers_xtts.pth"))
        if sys.platform != "win32" or length <= LONGEST_WINDOWS_PATH:
            raise
        message = f"the output's files would have paths of {length} characters; Windows takes {LONGEST_WINDOWS_PATH}"
        hint = "Write to a folder with a shorter path with -o DIR, or switch on long paths in Windows."
        raise OutputError("cannot-write", message, hint) from error


def flush(path: Path) -> None:
    """Ask the system to bring a file or folder to the disk; folders cannot be flushed on Windows."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
