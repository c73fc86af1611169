"""Choose the output folder, and refuse targets that must not be written."""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from verify.errors import OutputError
from verify.files import seal
from verify.files.local import open_regular
from verify.files.location import Location, same_file
from verify.files.names import CARD, OUTPUT_FOLDERS, OUTPUT_NAMES
from verify.files.protocols import STORES, WEB
from verify.files.remote import RemotePath

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: devices, also with an ending; a dot or a space at the end is lost.
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?|.*[. ]", re.IGNORECASE)
_TAKE = re.compile(
    r"(?:(?:sample|elsewhere|held-out|[A-Z])-\d{2,3}|[A-Z]-stream)\.wav"
)  # of sentences and seeds, other Pythons, copies of recordings, models


def default_output(source: Location) -> Path:
    """Return `inference/` in a run folder, `<stem>-inference/` beside a file, or in the current folder where the source is a URL."""
    if isinstance(source, RemotePath):
        return Path(f"{source.name if source.is_dir() else source.stem}-inference")
    return source / "inference" if source.is_dir() else source.parent / f"{source.stem}-inference"


def failed(target: Location) -> Location:
    """Return where `--keep-failed` keeps what did not load."""
    return target.with_name(f"{target.name}.failed")


def refuse_inputs(target: Location, inputs: Sequence[Location]) -> None:
    """Refuse a target that is an input or contains one, or whose parent folder does not exist.

    Raises:
        OutputError: the target is refused.
    """
    for path in inputs:
        if same_file(target, path) or _holds(target, path):
            raise OutputError(
                "output-is-input",
                f"the output {target} is the input {path}, or holds it",
                "Write elsewhere with -o DIR.",
            )
    if isinstance(target, RemotePath):
        if target.scheme in WEB:
            message = f"{target}: a web server takes no folders"
            raise OutputError("cannot-write", message, f"Write to {', '.join(STORES)}, or to a folder of this machine.")
        return
    if sys.platform == "win32" and _RESERVED.fullmatch(target.name):
        message = f"the output {target} has a name that Windows keeps for a device, or does not keep as it is written"
        raise OutputError("cannot-write", message, "Pass another name with -o DIR.")
    if not target.parent.is_dir():
        problem = "is not a folder" if target.parent.exists() else "is not there"
        raise OutputError(
            "no-parent",
            f"the output's parent {target.parent} {problem}",
            "Make it first, or write elsewhere with -o DIR.",
        )


def refuse_what_stands(target: Location, force: bool) -> None:
    """Refuse an existing target that must not be replaced.

    Raises:
        OutputError: it is a link, a file, a folder with files of others, or any folder without `force`.
    """
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
    if error := foreign(target):
        raise error


def foreign(target: Location, folder: Location | None = None) -> OutputError | None:
    """Return the error for files of others in the target, which may have moved to `folder` already."""
    names = sorted(_not_ours(folder or target, f"{target.name}.zip"))
    if not names:
        return None
    return OutputError(
        "output-has-other-files",
        f"{target} holds files that this tool did not write: {', '.join(names[:5])}",
        "--force replaces the whole folder: move them out first, or write elsewhere with -o DIR.",
    )


def _not_ours(folder: Location, bundle: str) -> Iterator[str]:
    """Yield the names in an output folder that this tool does not write; `bundle` is that of its ZIP."""
    for entry in folder.iterdir():
        name = entry.name
        if name in OUTPUT_FOLDERS and entry.is_dir() and not entry.is_symlink():
            yield from (f"{name}/{inner.name}" for inner in entry.iterdir() if inner.name not in OUTPUT_FOLDERS[name])
        elif not (name in OUTPUT_NAMES or name == bundle or _TAKE.fullmatch(name) or _is_our_card(entry)):
            yield name


def _is_our_card(entry: Location) -> bool:
    """Whether it is a model card of ours that nobody has edited since."""
    if entry.name != CARD or not entry.is_file() or entry.stat().st_size > seal.LARGEST_BYTES:
        return False
    with open_regular(entry) as file:
        return seal.is_untouched(file.read(seal.LARGEST_BYTES))


def _holds(folder: Location, path: Location) -> bool:
    """Whether the path lies in the folder, by its name or after following links, whatever its upper or lower case."""
    if isinstance(folder, RemotePath) or isinstance(path, RemotePath):
        return isinstance(folder, RemotePath) and isinstance(path, RemotePath) and path.url.startswith(f"{folder.url}/")
    if not folder.is_dir():
        return False
    candidates = (path.resolve(), path.parent.resolve() / path.name)
    return any(same_file(folder, parent) for candidate in candidates for parent in candidate.parents)
