"""What may be taken away: the files of a result one by one, and all of them as a ZIP that is made while it is sent."""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from verify.files.local import CHUNK_BYTES
from verify.files.names import PAGES
from verify.profiles.bundle import stored_member
from verify.result import Result
from verify.results.comparison import ComparisonReport
from verify.results.sweep import SweepReport
from verify.ui.work import Work


def files_of(work: Work) -> dict[str, Path]:
    """Return the files of a finished piece of work by name, the report among them; nothing where none were written."""
    found = work.result
    output = getattr(found, "output", None)
    if not output:
        return {}
    if isinstance(found, Result):
        names = [*(file.name for file in found.files), "report.json"]
    elif isinstance(found, ComparisonReport):
        names = ["compare.html", "compare.json"]
    else:
        names = ["sweep.html"] if isinstance(found, SweepReport) else []
    return {name: path for name in names if (path := Path(output) / name).is_file()}


def name_of(work: Work) -> str:
    """Return what a ZIP of the folder is called, which programs show as the name of the model."""
    folder = Path(work.result.output)
    return folder.parent.name if folder.name == "inference" and folder.parent.name else folder.name


def bundle_of(work: Work) -> tuple[str, Path] | None:
    """Return the name and path of the one ZIP that the program of the profile takes, where it takes one."""
    profile = work.result.profile if isinstance(work.result, Result) else None
    path = Path(work.result.output or "") / profile.bundle if profile and profile.bundle else None
    return (f"{name_of(work)}.zip", path) if path and path.is_file() else None


def said(work: Work, folder: Path) -> dict[str, Path]:
    """Return the sentences that were said later, by name."""
    names = [take["file"] for take in work.takes]
    return {name: path for name in names if (path := folder / work.id / name).is_file()}


def disposition(name: str) -> str:
    """Return the header that tells a browser to keep what it gets, under this name."""
    return f"attachment; filename*=utf-8''{quote(name, safe='')}"


def is_page(name: str) -> bool:
    """Whether a file is one of our pages, which a browser shows."""
    return name in PAGES


def stream_zip(files: Mapping[str, Path], folder: str) -> Iterator[bytes]:
    """Yield a ZIP of the files in a folder of this name, piece by piece: it takes no room on the disk."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as bundle:
        for name, path in files.items():
            with path.open("rb") as source, bundle.open(stored_member(f"{folder}/{name}", path), "w") as member:
                while chunk := source.read(CHUNK_BYTES):
                    member.write(chunk)
                    yield sink.taken()
    yield sink.taken()


class _Sink:
    """A file that only takes what is written, for what reads it in turn."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes, /) -> int:
        """Keep the bytes."""
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def taken(self) -> bytes:
        """Return what was written since."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
