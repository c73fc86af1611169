"""Collect the checkpoints that a sweep compares: plan each, mark copies, and identify each for a later sweep."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from verify.audio.prompts import Script
from verify.commands.compare import follow
from verify.commands.own_vocabulary import plan_one_of
from verify.commands.steps import script_of
from verify.errors import Cause, ConversionError, cause_of
from verify.files.local import sha256, stamp_at
from verify.options import Job
from verify.plan import Plan
from verify.progress import Watch
from verify.source.find import checkpoints_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A checkpoint: its name, its plan and its script, or the cause why it cannot be used; `copy_of` names its original."""

    name: str
    run: str
    path: Path
    plan: Plan | None = None
    script: Script | None = None
    identity: dict[str, Any] | None = None
    copy_of: str | None = None
    cause: Cause | None = None


def find(sources: Sequence[Path]) -> list[Path]:
    """Return every checkpoint of every run folder, and every file that was given, each once.

    Raises:
        SourceError: a source does not exist or holds no checkpoint.
    """
    checkpoints: dict[Path, Path] = {}
    for path in (path for source in sources for path in checkpoints_of(source)):
        checkpoints.setdefault(path.resolve(), path)
    return list(checkpoints.values())


def common_folder(paths: Sequence[Path]) -> Path:
    """Return the folder that all checkpoints lie in or below: the run folder where there is one run."""
    try:
        return Path(os.path.commonpath([path.absolute().parent for path in paths]))
    except ValueError:  # two drives of Windows
        return paths[0].absolute().parent


def prepare(job: Job, paths: Sequence[Path], watch: Watch) -> list[Candidate]:
    """Plan each checkpoint; the first usable one determines the sentences, the language and the voice for all."""
    top, prepared = common_folder(paths), list[Candidate]()
    lead: Candidate | None = None
    with watch.step("reading what is in the checkpoints", len(paths), "checkpoints") as progress:
        for path in paths:
            candidate = _prepared(job, path, top, lead)
            lead = lead or (candidate if candidate.plan else None)
            prepared.append(candidate)
            progress(1)
    return _with_copies_named(prepared)


def _prepared(job: Job, path: Path, top: Path, lead: Candidate | None) -> Candidate:
    """Return the checkpoint with its plan, or with the cause why it cannot be used."""
    candidate = Candidate(name=_name(path, top), run=_name(path.parent, top.parent), path=path)
    try:
        planned = plan_one_of(replace(job, source=path, checkpoint="best"))
        if lead and lead.plan:
            planned, script = follow(planned, lead.plan, lead.script)
        else:
            script = script_of(planned)
        return replace(candidate, plan=planned, script=script, identity=_identity(planned, candidate.name))
    except (ConversionError, OSError) as error:
        return replace(candidate, cause=cause_of(error))


def _name(path: Path, top: Path) -> str:
    """Return the path relative to the common folder, with forward slashes."""
    try:
        return path.absolute().relative_to(top).as_posix()
    except ValueError:
        return str(path)


def _identity(planned: Plan, name: str) -> dict[str, Any]:
    """Return everything of the checkpoint that its samples depend on; it changes when the checkpoint does."""
    stamp = stamp_at(planned.archive.path)
    return {
        "name": name,
        "bytes": planned.archive.bytes,
        "changed_ns": stamp[1] if stamp else None,
        "tensors": _digest_of_index(planned),
        "config": _digest(planned.config),
        "vocab": sha256(planned.vocab),
    }


def _digest_of_index(planned: Plan) -> str | None:
    """Return a hash of the container's index, with the CRC-32 of each tensor; None where a CRC-32 is missing."""
    rows = [
        [key, record.dtype, record.shape, record.stride, record.offset, record.storage_bytes, record.crc]
        for key, record in sorted(planned.ledger.written.items())
    ]
    return None if any(row[-1] is None for row in rows) else _digest(rows)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _with_copies_named(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Set `copy_of` of each copy: tensors with the same size and CRC-32, the same config and vocabulary."""
    names: dict[tuple[Any, ...], str] = {}
    marked = []
    for candidate in candidates:
        name = names.setdefault(_content(candidate), candidate.name)
        marked.append(candidate if name == candidate.name else replace(candidate, copy_of=name))
    return marked


def _content(candidate: Candidate) -> tuple[Any, ...]:
    """Return a key that is equal for copies; where the tensors cannot be compared, one that is unique."""
    identity = candidate.identity
    if identity is None or identity["tensors"] is None:
        return (candidate.name,)
    return (identity["tensors"], identity["config"], identity["vocab"])
