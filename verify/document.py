"""The document that every command can print, schema 1: its verdict, its causes, and what of a model stands in it."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from verify.checkpoint.archive import Archive
from verify.checks import Check
from verify.conversion.key_map import is_wrapped
from verify.conversion.ledger import ALIAS, DROPPED, FILLED, KEPT, RENAMED, UNKNOWN, Ledger
from verify.errors import Cause, any_error
from verify.findings import PlaceResult
from verify.source.base import Base, Likeness
from verify.source.companions import Source

SCHEMA = 1


def verdict(causes: tuple[Cause, ...]) -> str:
    """Return `fail` on any error, `warn` on any warning, else `pass`."""
    if any_error(causes):
        return "fail"
    return "warn" if any(cause.severity == "warning" for cause in causes) else "pass"


def verdict_of_all(verdicts: Iterable[str]) -> str:
    """Return the verdict over several: `fail` where one fails or could not be read, `warn` on any warning, else `pass`."""
    distinct = set(verdicts)
    if distinct & {"error", "fail"}:
        return "fail"
    return "warn" if "warn" in distinct else "pass"


def document(*, verdict: str, causes: tuple[Cause, ...] = (), **parts: Any) -> dict[str, Any]:
    """Return a document of schema 1; parts that are not given are null."""
    names = [
        "source",
        "base",
        "ledger",
        "architecture",
        "load",
        "identical",
        "cast",
        "profile",
        "sample",
        "samples",
        "checks",
        "sound",
        "held_out",
        "places",
        "output",
        "environment",
        "seconds",
        "scare",
    ]
    listed = [cause_as_json(cause) for cause in causes]
    return {"schema": SCHEMA, "verdict": verdict, "causes": listed, **{name: parts.get(name) for name in names}}


def cause_as_json(cause: Cause) -> dict[str, Any]:
    """Return the cause as schema 1 has it."""
    return {
        name: list(value) if name == "keys" else value for name, value in asdict(cause).items() if name != "prefixes"
    }


def check_as_json(check: Check, demanded: bool) -> dict[str, Any]:
    """Return the check as schema 1 has it; a measurement of NaN or Inf becomes null, which JSON can hold."""
    measured = check.measured
    return {
        "name": check.name,
        "ok": check.ok,
        "measured": measured if measured is None or math.isfinite(measured) else None,
        "limit": check.limit,
        "low": check.low,
        "high": check.high,
        "unit": check.unit,
        "hint": check.hint,
        "note": check.note,
        "demanded": demanded,
        **({"excused": True} if check.excused else {}),
    }


def place_as_json(place: PlaceResult) -> dict[str, Any]:
    """Return one of the `places`: how the model fared in another Python."""
    spoke = {
        "tokens": place.tokens,
        "stopped": place.stopped,
        "seconds": place.sound_seconds,
        "same_tokens": place.same_tokens,
        "path": place.path,
        "checks": [check_as_json(check, check.name in place.demanded) for check in place.checks],
    }
    return {
        "python": place.python,
        "verdict": verdict(place.causes),
        "packages": {"python": place.version, **place.packages},
        "device": place.device,
        "ended_at": place.stage,
        "causes": [cause_as_json(cause) for cause in place.causes],
        "sample": spoke if place.tokens is not None else None,
        "seconds": dict(place.seconds),
    }


def source_as_json(source: Source, sha256: str | None, archive: Archive, ledger: Ledger) -> dict[str, Any]:
    """Return the `source`: the checkpoint, and what was found with it."""
    return {
        "path": str(archive.path),
        "bytes": archive.bytes,
        "sha256": sha256,
        "fingerprint": archive.fingerprint,
        "layout": layout(archive, ledger),
        "step": archive.step,
        "epoch": archive.epoch,
        "date": archive.date,
        "loss": archive.loss,
        "dtypes": dict(Counter(record.dtype for record in ledger.written.values())),
        "config": source.config_origin,
        "vocab": f"{source.vocab.path} ({source.vocab.origin})" if source.vocab else None,
        "speakers": f"{source.speakers.path} ({source.speakers.origin})" if source.speakers else None,
    }


def base_as_json(base: Base | None, likeness: tuple[Likeness, ...]) -> dict[str, Any] | None:
    """Return the `base`, and how like it each part is."""
    return {"path": str(base.path), "parts": [asdict(part) for part in likeness]} if base else None


def layout(archive: Archive, ledger: Ledger) -> str:
    """Return the layout of the source; a state dict without any vocoder is `gpt_only`."""
    source_targets = (entry.target for entry in ledger.entries if entry.fate != FILLED)
    has_vocoder = any(target.startswith("hifigan_decoder.waveform_decoder.") for target in source_targets)
    if not has_vocoder:
        return "gpt_only"
    wrapped = any(is_wrapped(entry.record.key) for entry in ledger.entries)
    return "trainer" if archive.layout == "inference" and wrapped else archive.layout


def dtypes(ledger: Ledger) -> str:
    """Return the dtypes of the tensors that are written, the most frequent first."""
    counts = Counter(record.dtype for record in ledger.written.values())
    return " and ".join(name for name, _ in counts.most_common())


def ledger_as_json(ledger: Ledger) -> dict[str, Any]:
    """Return the `ledger`: how many tensors had each fate, and why."""
    return {
        "in": len(ledger.entries) - ledger.count(FILLED),
        "kept": ledger.count(KEPT),
        "renamed": ledger.count(RENAMED),
        "aliases": ledger.count(ALIAS),
        "dropped": ledger.count(DROPPED),
        "unknown": ledger.count(UNKNOWN),
        "filled": ledger.count(FILLED),
        "groups": [asdict(group) for group in ledger.groups()],
    }
