"""Store the finished results of a sweep, so that an interrupted one can resume: one complete folder per checkpoint."""

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
from verify.files import local, locking, output, staging
from verify.files.location import Location
from verify.sweeping.task import Outcome

RESULTS, SETTINGS, RESULT = "results", "settings.json", "result.json"
REFERENCE = "reference.wav"
_INCOMPLETE = ".new-"  # prefix of the name of a folder until it is complete
NAMES = frozenset({"sweep.json", "sweep.html", REFERENCE, RESULTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The folder of a sweep, locked for this process."""

    folder: Path

    @property
    def is_empty(self) -> bool:
        """Whether nothing is finished yet."""
        return not any((self.folder / RESULTS).glob(f"*/{RESULT}"))

    def result_of(self, identity: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the stored result of exactly this checkpoint, or None."""
        folder = self.folder / RESULTS / folder_name(identity)
        with contextlib.suppress(OSError, ValueError):
            stored = json.loads((folder / RESULT).read_text(encoding="utf-8"))
            complete = all((folder / sample["path"]).is_file() for sample in stored["found"]["samples"] or ())
            if stored["identity"] == dict(identity) and complete:
                return stored["found"]
        return None

    def add(self, identity: Mapping[str, Any], outcome: Outcome) -> None:
        """Store the result and the clips of a checkpoint, in place of those from before it changed."""
        folder = self.folder / RESULTS / folder_name(identity)
        new = folder.with_name(f"{_INCOMPLETE}{secrets.token_hex(4)}")
        new.mkdir()
        for name, data in outcome.files.items():
            if name != REFERENCE:
                (new / name).write_bytes(data)
            elif not (self.folder / REFERENCE).exists():
                self.write(REFERENCE, data)
        local.write_json(new / RESULT, {"identity": dict(identity), "found": outcome.found})
        for file in new.iterdir():
            staging.flush(file)
        shutil.rmtree(folder, ignore_errors=True)
        staging.rename(new, folder)
        staging.flush(folder.parent)

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the sweep, whole or not at all."""
        new = self.folder / RESULTS / f"{_INCOMPLETE}{secrets.token_hex(4)}"
        new.write_bytes(data)
        staging.flush(new)
        os.replace(new, self.folder / name)


def folder_name(identity: Mapping[str, Any]) -> str:
    """Return the name of the folder in `results/` for a checkpoint: readable and unique."""
    name = identity["name"]
    stem = "".join(char if char.isalnum() or char in "-_." else "-" for char in name.rpartition("/")[2])[:60]
    return f"{stem.strip('.')}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


@contextlib.contextmanager
def opened(target: Path, inputs: Sequence[Location], settings: Mapping[str, Any], force: bool) -> Iterator[Store]:
    """Lock the folder of a sweep, create it if necessary, and remove incomplete results of a killed process.

    Args:
        settings: those of the sweep; results under other settings cannot be ranked together with these.

    Raises:
        OutputError: the folder is an input, holds other files or, without `force`, a sweep with other settings, or
            another process is writing it.
    """
    output.refuse_inputs(target, inputs)
    with locking.locked(target):
        _require_ours(target, settings, force)
        results = target / RESULTS
        if force and target.exists():
            shutil.rmtree(results, ignore_errors=True)
            for name in NAMES - {RESULTS}:
                (target / name).unlink(missing_ok=True)
        results.mkdir(parents=True, exist_ok=True)
        for leftover in results.glob(f"{_INCOMPLETE}*"):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        store = Store(folder=target)
        if not (results / SETTINGS).exists():
            store.write(f"{RESULTS}/{SETTINGS}", json.dumps(settings, indent=2).encode())
        try:
            yield store
        finally:
            if {entry.name for folder in (target, results) for entry in folder.iterdir()} == {RESULTS, SETTINGS}:
                shutil.rmtree(target)  # nothing was finished, so nothing is left behind


def _require_ours(target: Path, settings: Mapping[str, Any], force: bool) -> None:
    """Check that a folder is a sweep with these settings; with `force`, that it is any sweep.

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
    """Whether the folder holds nothing but a sweep, even one that was killed before it wrote anything."""
    if not results.is_dir():
        return not results.exists()
    complete = [entry for entry in results.iterdir() if not entry.name.startswith(_INCOMPLETE)]
    is_sweep = all(entry.name == SETTINGS or (entry / RESULT).is_file() for entry in complete)
    return is_sweep and (not complete or _settings_of(results) is not None)


def _settings_of(results: Path) -> dict[str, Any] | None:
    """Return the settings of the sweep in the folder; None where there is none, or a file of another program."""
    with contextlib.suppress(OSError, ValueError):
        settings = json.loads((results / SETTINGS).read_text(encoding="utf-8"))
        return settings if isinstance(settings, dict) and {"texts", "seeds", "threads"} <= settings.keys() else None
    return None


def _different(target: Path, settings: Mapping[str, Any]) -> str:
    """Return in words how the settings differ from those of the existing sweep; empty where there is none."""
    existing = _settings_of(target / RESULTS)
    if existing is None:
        return ""
    names = [name for name in {**existing, **settings} if existing.get(name) != settings.get(name)]
    return "; ".join(f"{name} {_short(existing.get(name))} there, {_short(settings.get(name))} here" for name in names)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]}…"
