"""Which checkpoints a sweep hears: every one of each run, planned alike, told from its copies, and known again."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from verify.audio.prompts import Script
from verify.commands.compare import follow
from verify.commands.steps import script_of
from verify.errors import Cause, ConversionError, cause_of
from verify.files.local import stamp_at
from verify.files.staging import sha256
from verify.options import Job
from verify.plan import Plan, plan
from verify.progress import Watch
from verify.source.find import checkpoints_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contender:
    """A checkpoint: what it is called, its plan and what it will say, or why it cannot; of a copy, whose copy it is."""

    name: str
    run: str
    path: Path
    plan: Plan | None = None
    script: Script | None = None
    identity: dict[str, Any] | None = None
    copy_of: str | None = None
    cause: Cause | None = None


def find(sources: Sequence[Path]) -> list[Path]:
    """Return every checkpoint of every run, and the files that were named, each once.

    Raises:
        SourceError: one of the sources is not there or holds no checkpoint.
    """
    found: dict[Path, Path] = {}
    for path in (path for source in sources for path in checkpoints_of(source)):
        found.setdefault(path.resolve(), path)
    return list(found.values())


def common_folder(paths: Sequence[Path]) -> Path:
    """Return the folder that all checkpoints lie in or below: the run folder where there is one run."""
    try:
        return Path(os.path.commonpath([path.absolute().parent for path in paths]))
    except ValueError:  # two drives of Windows
        return paths[0].absolute().parent


def prepare(job: Job, paths: Sequence[Path], watch: Watch) -> list[Contender]:
    """Plan each checkpoint; the first that can be used gives the sentences, the language and the voice for all."""
    top, contenders = common_folder(paths), list[Contender]()
    lead: Contender | None = None
    with watch.step("reading what is in the checkpoints", len(paths), "checkpoints") as progress:
        for path in paths:
            one = _prepared(job, path, top, lead)
            lead = lead or (one if one.plan else None)
            contenders.append(one)
            progress(1)
    return _told_from_copies(contenders)


def _prepared(job: Job, path: Path, top: Path, lead: Contender | None) -> Contender:
    """Return the checkpoint with its plan, or with what forbids it."""
    one = Contender(name=_name(path, top), run=_name(path.parent, top.parent), path=path)
    try:
        planned = plan(replace(job, source=path, checkpoint="best"))
        if lead and lead.plan:
            planned, script = follow(planned, lead.plan, lead.script)
        else:
            script = script_of(planned)
        return replace(one, plan=planned, script=script, identity=_identity(planned, one.name))
    except (ConversionError, OSError) as error:
        return replace(one, cause=cause_of(error))


def _name(path: Path, top: Path) -> str:
    """Return the path below the folder that all have in common, with forward slashes."""
    try:
        return path.absolute().relative_to(top).as_posix()
    except ValueError:
        return str(path)


def _identity(planned: Plan, name: str) -> dict[str, Any]:
    """Return what tells this checkpoint from a changed one: all that its samples depend on, as far as it is its own."""
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
    """Return a hash over what the container states of each tensor, its CRC-32 included; None where it states none."""
    rows = [
        [key, record.dtype, record.shape, record.stride, record.offset, record.storage_bytes, record.crc]
        for key, record in sorted(planned.ledger.written.items())
    ]
    return None if any(row[-1] is None for row in rows) else _digest(rows)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _told_from_copies(contenders: Sequence[Contender]) -> list[Contender]:
    """Name for each copy whose copy it is: the same tensors by size and CRC-32, the same config and vocabulary."""
    first: dict[tuple[Any, ...], str] = {}
    told = []
    for one in contenders:
        known = one.identity and one.identity["tensors"]
        key = (known, one.identity["config"], one.identity["vocab"]) if one.identity and known else (one.name,)
        name = first.setdefault(key, one.name)
        told.append(one if name == one.name else replace(one, copy_of=name))
    return told
