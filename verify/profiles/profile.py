"""Check whether a folder holds the files that a program needs; each profile is a file in `configs/profiles`."""

import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from verify import resources
from verify.audio.references import PARTS
from verify.checkpoint import archive
from verify.checkpoint.tensors import TensorRecord
from verify.errors import Cause, ConversionError, SourceError
from verify.files.local import CHUNK_BYTES, crc32
from verify.files.location import Location
from verify.options.option import nearest
from verify.profiles import auralis
from verify.source.companions import MAX_VOCAB_BYTES
from verify.source.config import read_json

# kind of file -> its name in a model folder; a profile may use another name
HOME = {"config": "config.json", "model": "model.pth", "vocab": "vocab.json", "reference": "reference.wav"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One program: `files` maps the names that it looks for to the kind of file expected there."""

    name: str
    title: str
    put: str  # where the user has to put the result
    zip: bool  # whether it takes one ZIP of the files
    files: Mapping[str, str]
    environments: tuple[str, ...] = ()  # folders of its Python, below its own folder

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(self.files.values())

    @property
    def twice(self) -> bool:
        """Whether the bundle holds the weights beside the `model.pth` that was verified."""
        return self.zip or "auralis-core" in self.kinds

    def as_json(self) -> dict[str, Any]:
        """Return the profile as in reports."""
        return {"name": self.name, "title": self.title, "zip": self.zip, "files": list(self.files), "put": self.put}


def names() -> tuple[str, ...]:
    """Return the names of all profiles."""
    return resources.names("profiles")


def read(name: str) -> Profile:
    """Return a profile.

    Raises:
        SourceError: there is none of that name.
    """
    if name not in names():
        near = nearest(name, names())
        hint = (
            f"Did you mean {near}? All of them: {', '.join(names())}."
            if near
            else f"Pass one of: {', '.join(names())}."
        )
        raise SourceError("no-profile", f"there is no profile {name[:40]!r}", hint)
    table = resources.load(f"profiles/{name}")
    fields = {field: table[field] for field in ("title", "put", "zip", "files")}
    return Profile(name=name, environments=tuple(table.get("environments", ())), **fields)


def bundle_name(target: Location) -> str:
    """Return the name of the ZIP: that of the folder, which the program shows as the name of the model."""
    return f"{target.name}.zip"


def check(profile: Profile, folder: Path, tensors: Mapping[str, TensorRecord]) -> tuple[Cause, ...]:
    """Return the causes that keep the program from using the folder: missing or unusable files.

    Args:
        tensors: those of the model, by canonical name.
    """
    if profile.zip:
        return _check_zip(profile, folder)
    missing = [name for name in profile.files if not _is_filled(folder / name)]
    causes = [_missing(profile, missing, str(folder))] if missing else []
    for name, kind in profile.files.items():
        if name not in missing:
            causes += _unfit(profile, name, partial(_check_content, folder / name, kind, tensors))
    return tuple(causes)


def _is_filled(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _missing(profile: Profile, missing: list[str], where: str) -> Cause:
    container = "a ZIP of " if profile.zip else ""
    return Cause(
        code="profile-missing",
        severity="error",
        message=f"{profile.title} needs {container}{', '.join(profile.files)}; {where} lacks {', '.join(missing)}",
        hint=f"Convert with --profile {profile.name}, which makes what is missing.",
    )


def _unfit(profile: Profile, name: str, check: Callable[[], None]) -> list[Cause]:
    """Return the cause where a file cannot be used."""
    try:
        check()
    except ConversionError as error:
        return [
            Cause(
                code="profile-unfit",
                severity="error",
                message=f"{profile.title} cannot use {name}: {error}",
                hint=error.cause.hint or f"Convert with --profile {profile.name}.",
            )
        ]
    return []


def _check_content(path: Path, kind: str, tensors: Mapping[str, TensorRecord]) -> None:
    """Check a file as the program would.

    Raises:
        ConversionError: the program could not use it.
    """
    if kind == "model" and (layout := archive.read_archive(path).layout) in ("state_dict", "safetensors"):
        raise SourceError("profile-unfit", f'it is a {layout}; ["model"] is looked up in it')
    elif kind == "config" and read_json(path).get("model") != "xtts":
        raise SourceError("profile-unfit", 'it does not say "model": "xtts"')
    elif kind == "vocab":
        read_json(path, MAX_VOCAB_BYTES)
    elif kind == "speakers":
        _check_voices(path)
    elif kind == "reference" and not _is_wav(path):
        raise SourceError("profile-unfit", "it is no WAV file")
    elif kind in ("auralis-core", "auralis-gpt"):
        _check_names(path, auralis.split(tensors)[f"{path.parent.name}/{path.name}"])
    elif kind.endswith("-config"):
        read_json(path)


def _check_voices(path: Path) -> None:
    voices = archive.read_voices(path)
    if not voices:
        raise SourceError("profile-unfit", "it holds no voice")
    for name, parts in voices.items():
        if tuple(parts) != PARTS:
            raise SourceError(
                "profile-unfit",
                f"voice {name!r:.60} holds {', '.join(parts) or 'nothing'}; read by position are {', '.join(PARTS)}",
            )


def _is_wav(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(12)
    return head[:4] == b"RIFF" and head[8:] == b"WAVE"


def _check_names(path: Path, expected: Mapping[str, TensorRecord]) -> None:
    actual = {record.key: record.shape for record in archive.read_archive(path).tensors}
    required = {name: record.shape for name, record in expected.items()}
    wrong = sorted(actual.items() ^ required.items())
    if wrong:
        name, shape = wrong[0]
        verb = "holds" if actual.get(name) == shape else "lacks"
        raise SourceError("profile-unfit", f"it {verb} {name} {list(shape)}, against the model.pth beside it")


def _check_zip(profile: Profile, folder: Path) -> tuple[Cause, ...]:
    """Check the ZIP as the program would, and that its members equal the files beside it."""
    zips = sorted(folder.glob("*.zip"))
    if not zips:
        return (_missing(profile, [bundle_name(folder)], str(folder)),)
    try:
        with zipfile.ZipFile(zips[0]) as bundle:
            members = {info.filename.rpartition("/")[2]: info for info in bundle.infolist() if info.file_size}
            if missing := [name for name in profile.files if name not in members]:
                return (_missing(profile, missing, str(zips[0])),)
            for name, kind in profile.files.items():
                beside = folder / HOME[kind]
                same = members[name].file_size == beside.stat().st_size  # compared first: a ZIP may claim any size
                if not same or _crc(bundle.open(members[name])) != _crc(beside.open("rb")):
                    return (_stale(profile, zips[0], name, HOME[kind]),)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        message = f"{profile.title} cannot use {zips[0].name}: {str(error)[:200]}"
        return (Cause(code="profile-unfit", severity="error", message=message, hint="Convert again with --force."),)
    return ()


def _stale(profile: Profile, bundle: Path, name: str, beside: str) -> Cause:
    return Cause(
        code="profile-unfit",
        severity="error",
        message=f"{profile.title}: {name} in {bundle.name} is not the {beside} beside it, which was verified",
        hint=f"Convert again with --profile {profile.name} --force.",
    )


def _crc(file: IO[bytes]) -> int:
    crc = 0
    with file:
        while chunk := file.read(CHUNK_BYTES):
            crc = crc32(chunk, crc)
    return crc
