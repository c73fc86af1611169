"""Upload a finished folder to a URL, reports last: a folder with a report is complete."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from verify.errors import OutputError, SourceError
from verify.files.output import refuse_what_stands
from verify.files.protocols import filesystem, translated_errors, unreachable
from verify.files.remote import RemotePath
from verify.progress import Watch

_LAST = ("report.json", "compare.json")


def upload(folder: Path, target: RemotePath, replace: bool, watch: Watch) -> None:
    """Upload every file of the folder; if one fails, remove those already uploaded.

    Args:
        replace: an old output is replaced: its report is removed first, files that were not overwritten last.

    Raises:
        OutputError: something took the name in the meantime, or the server does not take the files.
    """
    target.refresh()
    refuse_what_stands(target, replace)
    files = sorted(folder.iterdir(), key=lambda file: (file.name in _LAST, file.name))
    total = sum(file.stat().st_size for file in files)
    put: list[RemotePath] = []
    complete = False
    try:
        with watch.step(f"uploading to {target}", total, "bytes") as progress:
            old = {path.name: path for path in target.iterdir()} if replace and target.exists() else {}
            for name in _LAST:
                _remove(old.pop(name, None))
            for file in files:
                put.append(target / file.name)
                _put(file, put[-1], progress)
                old.pop(file.name, None)
            for path in old.values():
                _remove(path)
        complete = True
    except SourceError as error:
        damage = "; the output that was there is not whole any more" if replace else ""
        message = f"{target} could not be written: {error}{damage}"
        raise OutputError(
            "cannot-publish", message, f"{error.cause.hint} Or write to a folder of this machine."
        ) from error
    finally:
        if not complete:
            _remove_all(put)


def _put(file: Path, path: RemotePath, progress: Callable[[int], None]) -> None:
    """Upload one file, and ask for its size.

    Raises:
        SourceError: it did not arrive.
    """
    from fsspec.callbacks import Callback

    fs, name = filesystem(path)
    sent = [0]

    def advance(_: Any, value: int) -> None:
        progress(value - sent[0])
        sent[0] = value

    size = file.stat().st_size
    with translated_errors(path):
        fs.put_file(str(file), name, callback=Callback(hooks={"progress": advance}))
    path.refresh()
    if (arrived := path.stat().st_size) != size:
        raise unreachable(path, f"{arrived:,} of {size:,} bytes arrived")


def _remove(path: RemotePath | None) -> None:
    if path is not None:
        fs, name = filesystem(path)
        with translated_errors(path):
            fs.rm_file(name)


def _remove_all(paths: list[RemotePath]) -> None:
    """Remove those files that exist, as far as the server allows it."""
    for path in paths:
        try:
            _remove(path)
        except SourceError:
            continue
