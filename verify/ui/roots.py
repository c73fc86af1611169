"""What the page may open: the folders that were named when it was started, and what was dropped on it."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from verify import shell
from verify.errors import MissingError, OptionError, SourceError
from verify.files.location import Location, local_path
from verify.source.companions import Source
from verify.source.dataset import datasets, metadata_for_training


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """The folders that the page may open, links followed, and the private one that takes what is dropped."""

    folders: tuple[Path, ...]
    dropped: Path

    def find(self, text: str) -> Path:
        """Return the path that was typed, links followed; a relative one is looked for in each folder.

        Raises:
            OptionError: nothing was typed, or a URL.
            SourceError: it lies outside the folders, or a link in it leads there.
        """
        name = text.strip().strip('"').strip()  # "Copy as path" on Windows puts it in quotation marks
        if not name or "\0" in name:
            raise OptionError("bad-option", "no path was given", "Type one, browse to it, or drop the files.")
        if "://" in name:
            raise OptionError("bad-option", "this page opens files of this machine only", "Download it first.")
        places = [root / Path(name).expanduser() for root in self.folders]
        found = [path for place in places if self._holds(path := _resolved(place))]
        if not found:
            raise outside(name, self.folders)
        return next((path for path in found if os.path.lexists(path)), found[0])

    def stray(self, source: Source) -> Location | None:
        """Return a file that was found with a checkpoint and lies outside of the folders, if one does."""
        for path in _files_of(source):
            local = local_path(path)
            if local is None or not self._holds(_resolved(local)):
                return path
        return None

    def leads_out(self, source: Source) -> bool:
        """Whether a file that was found, or a dataset's metadata, from which a sentence may come, lies outside."""
        return self.stray(source) is not None or not all(self._holds(_resolved(path)) for path in _metadata_of(source))

    def _holds(self, path: Path) -> bool:
        return any(path.is_relative_to(root) for root in (*self.folders, self.dropped))


def opened(folders: Sequence[Path], dropped: Path) -> Roots:
    """Return the roots.

    Raises:
        MissingError: one of the folders is not there.
    """
    for folder in folders:
        if not folder.is_dir():
            raise MissingError("missing", f"{folder} is not a folder", "Pass the folder that your runs lie in.")
    return Roots(folders=tuple(_resolved(folder) for folder in folders), dropped=_resolved(dropped))


def outside(name: str, folders: Sequence[Path]) -> SourceError:
    """Return the error for a path that the page may not open; it says the same whether there is something or not."""
    listed = ", ".join(map(str, folders))
    message = f"{name[:300]} is outside of what this page may open: {listed}"
    return SourceError("outside-roots", message, f"Start the page with its folder: {shell.command('ui', 'DIR')}")


def _resolved(path: Path) -> Path:
    """Return the absolute path with links followed, as far as there is anything."""
    return Path(os.path.realpath(path))


def _metadata_of(source: Source) -> Iterator[Path]:
    named = map(metadata_for_training, datasets(source.config))
    return (path for path in named if path and path.exists())


def _files_of(source: Source) -> Iterator[Location]:
    yield source.checkpoint
    for found in (source.vocab, source.speakers, *source.clips):
        if found:
            yield found.path
    yield source.checkpoint.parent / "config.json"
