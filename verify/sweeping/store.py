"""What is finished of a sweep, kept so that a killed one goes on where it was: a folder for each checkpoint, whole or not there."""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify.errors import OutputError
from verify.files import output, staging
from verify.files.location import Location
from verify.sweeping.task import Outcome

RESULTS, SETTINGS, RESULT = "results", "settings.json", "result.json"
REFERENCE = "reference.wav"
_HALF_DONE = ".new-"  # how the name of a folder begins until it is whole
NAMES = frozenset({"sweep.json", "sweep.html", REFERENCE, RESULTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The folder of a sweep, locked for this process."""

    folder: Path

    @property
    def is_empty(self) -> bool:
        """Whether nothing is finished yet."""
        return not any((self.folder / RESULTS).glob(f"*/{RESULT}"))

    def known(self, identity: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what was found of exactly this checkpoint before, or None."""
        folder = self.folder / RESULTS / folder_name(identity)
        with contextlib.suppress(OSError, ValueError):
            kept = json.loads((folder / RESULT).read_text(encoding="utf-8"))
            whole = all((folder / sample["path"]).is_file() for sample in kept["found"]["samples"] or ())
            if kept["identity"] == dict(identity) and whole:
                return kept["found"]
        return None

    def keep(self, identity: Mapping[str, Any], outcome: Outcome) -> None:
        """Keep what was found of a checkpoint and its clips, in the place of what was found before it changed."""
        folder = self.folder / RESULTS / folder_name(identity)
        new = folder.with_name(f"{_HALF_DONE}{secrets.token_hex(4)}")
        new.mkdir()
        for name, data in outcome.files.items():
            if name != REFERENCE:
                (new / name).write_bytes(data)
            elif not (self.folder / REFERENCE).exists():
                self.write(REFERENCE, data)
        staging.write_json(new / RESULT, {"identity": dict(identity), "found": outcome.found})
        for file in new.iterdir():
            staging.flush(file)
        shutil.rmtree(folder, ignore_errors=True)
        staging.rename(new, folder)
        staging.flush(folder.parent)

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the sweep, whole or not at all."""
        new = self.folder / RESULTS / f"{_HALF_DONE}{secrets.token_hex(4)}"
        new.write_bytes(data)
        staging.flush(new)
        os.replace(new, self.folder / name)


def folder_name(identity: Mapping[str, Any]) -> str:
    """Return the name of the folder in `results/` for a checkpoint: readable, and of no other."""
    name = identity["name"]
    stem = "".join(char if char.isalnum() or char in "-_." else "-" for char in name.rpartition("/")[2])[:60]
    return f"{stem.strip('.')}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


@contextlib.contextmanager
def opened(target: Path, inputs: Sequence[Location], settings: Mapping[str, Any], force: bool) -> Iterator[Store]:
    """Lock the folder of a sweep, make it where it is not there, and remove what a killed one left half done.

    Args:
        settings: what all checkpoints say and how, which makes two sweeps comparable.

    Raises:
        OutputError: it is an input, something else, another sweep (without `force`), or another run is writing it.
    """
    output.refuse_inputs(target, inputs)
    with staging.locked(target):
        _require_ours(target, settings, force)
        results = target / RESULTS
        if force and target.exists():
            shutil.rmtree(results, ignore_errors=True)
            for name in NAMES - {RESULTS}:
                (target / name).unlink(missing_ok=True)
        results.mkdir(parents=True, exist_ok=True)
        for left in results.glob(f"{_HALF_DONE}*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        store = Store(folder=target)
        if not (results / SETTINGS).exists():
            store.write(f"{RESULTS}/{SETTINGS}", json.dumps(settings, indent=2).encode())
        try:
            yield store
        finally:
            if {entry.name for folder in (target, results) for entry in folder.iterdir()} == {RESULTS, SETTINGS}:
                shutil.rmtree(target)  # nothing was finished, so nothing is left behind


def _require_ours(target: Path, settings: Mapping[str, Any], force: bool) -> None:
    """Refuse a folder that is not a sweep of these settings; with `force`, one that is not a sweep at all.

    Raises:
        OutputError: it is not.
    """
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        output.refuse_what_stands(target, force)
    if not target.exists():
        return
    others = sorted(entry.name for entry in target.iterdir() if entry.name not in NAMES)
    if others or not _begun(target / RESULTS):
        raise OutputError(
            "output-has-other-files",
            f"{target} is not the folder of a sweep{': it holds ' + ', '.join(others[:5]) if others else ''}",
            "Write elsewhere with -o DIR.",
        )
    if not force and (different := _different(target, settings)):
        raise OutputError(
            "other-sweep",
            f"{target} holds a sweep of which something was otherwise, so that the two cannot be ranked together: {different}",
            "Pass --force to begin anew in its place, or -o DIR to write elsewhere.",
        )


def _begun(results: Path) -> bool:
    """Whether all in the folder is of a sweep, be it one that was killed before it wrote anything."""
    if not results.is_dir():
        return not results.exists()
    whole = [entry for entry in results.iterdir() if not entry.name.startswith(_HALF_DONE)]
    ours = all(entry.name == SETTINGS or (entry / RESULT).is_file() for entry in whole)
    return ours and (not whole or _settings_of(results) is not None)


def _settings_of(results: Path) -> dict[str, Any] | None:
    """Return the settings of the sweep that is there; None where there is none, or another program's file of that name."""
    with contextlib.suppress(OSError, ValueError):
        settings = json.loads((results / SETTINGS).read_text(encoding="utf-8"))
        return settings if isinstance(settings, dict) and {"texts", "seeds", "threads"} <= settings.keys() else None
    return None


def _different(target: Path, settings: Mapping[str, Any]) -> str:
    """Return in words in what the settings differ from those of the sweep that is there; nothing where there is none."""
    existing = _settings_of(target / RESULTS)
    if existing is None:
        return ""
    names = [name for name in {**existing, **settings} if existing.get(name) != settings.get(name)]
    return "; ".join(f"{name} {_short(existing.get(name))} there, {_short(settings.get(name))} here" for name in names)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]}…"
