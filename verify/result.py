"""The result of a run: the plan and the result of each step, as one frozen value and as the JSON document of schema 1."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from verify.audio.causes import SoundCause, diagnose
from verify.checkpoint.archive import Archive
from verify.checks import Check
from verify.conversion.key_map import is_wrapped
from verify.conversion.ledger import ALIAS, DROPPED, FILLED, KEPT, RENAMED, UNKNOWN, Ledger
from verify.diagnosis.architecture import Architecture
from verify.errors import EXIT_CODES, Cause, any_error
from verify.findings import CastResult, Identity, LoadReport, OutputFile, PlaceResult, ProfileResult, SampleResult
from verify.plan import Plan
from verify.source.base import Base, Likeness
from verify.source.companions import Source

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The plan of a run and the results of its steps so far. Parts that did not run are None.

    Each step takes a result and returns a copy with its own part filled in.
    """

    plan: Plan
    causes: tuple[Cause, ...] = ()
    source_sha256: str | None = None
    load: LoadReport | None = None
    identical: Identity | None = None
    cast: CastResult | None = None
    profile: ProfileResult | None = None
    samples: tuple[SampleResult, ...] = ()
    checks: tuple[Check, ...] | None = None
    demanded: frozenset[str] = frozenset()
    places: tuple[PlaceResult, ...] = ()
    output: str | None = None
    files: tuple[OutputFile, ...] = ()
    environment: Mapping[str, str | None] | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan) -> "Result":
        """Return the result of a plan before any step has run."""
        return cls(plan=plan, causes=plan.causes, seconds={"read": plan.seconds})

    @property
    def source(self) -> Source:
        """The checkpoint and what was found with it."""
        return self.plan.source

    @property
    def archive(self) -> Archive:
        """The container and its tensors."""
        return self.plan.archive

    @property
    def ledger(self) -> Ledger:
        """The fate of each tensor."""
        return self.plan.ledger

    @property
    def architecture(self) -> Architecture:
        """The architecture read from the shapes."""
        return self.plan.architecture

    @property
    def sample(self) -> SampleResult | None:
        """The first of the samples."""
        return self.samples[0] if self.samples else None

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        """The checks that decide the verdict and did not pass."""
        return tuple(check for check in self.checks or () if not check.ok and check.name in self.demanded)

    @property
    def sound_cause(self) -> SoundCause | None:
        """The likeliest cause of a bad sound, where there are samples and checks that decide the verdict failed."""
        return diagnose(self.failed_checks) if self.samples else None

    @property
    def verdict(self) -> str:
        """`fail` on any error or failed check, `error` where it works here and not in another Python, `warn` on any warning, else `pass`."""
        here = "fail" if self.failed_checks else verdict(self.causes)
        if here == "fail" or not self.places:
            return here
        if not all(place.ok for place in self.places):
            return "error"
        return verdict((*self.causes, *(cause for place in self.places for cause in place.causes)))

    @property
    def exit_code(self) -> int:
        """0 where the verdict is `pass` or `warn`, 1 where it is `fail`, 2 where the environment of another Python is at fault."""
        return EXIT_CODES[self.verdict]

    def to_json(self) -> dict[str, Any]:
        """Return the document of schema 1."""
        samples = [self.sample_to_json(sample) for sample in self.samples]
        return document(
            verdict=self.verdict,
            causes=self.causes,
            source=_source(self.source, self.source_sha256, self.archive, self.ledger)
            | {"voices": list(self.plan.voices) or None},
            ledger=_ledger(self.ledger),
            base=_base(self.plan.base, self.plan.likeness),
            architecture=self.architecture.as_json(),
            load=asdict(self.load) if self.load else None,
            identical=self.identical.to_json() if self.identical else None,
            cast=asdict(self.cast) if self.cast else None,
            profile=asdict(self.profile) if self.profile else None,
            sample=samples[0] if samples else None,
            samples=samples or None,
            checks=None
            if self.checks is None
            else [check_as_json(check, check.name in self.demanded) for check in self.checks],
            sound=self.sound_cause.to_json() if self.sound_cause else None,
            places=[_place(place) for place in self.places] or None,
            output={"directory": self.output, "files": [asdict(item) for item in self.files]} if self.output else None,
            environment=dict(self.environment) if self.environment else None,
            seconds={name: round(value, 3) for name, value in self.seconds.items()},
        )

    def sample_to_json(self, sample: SampleResult) -> dict[str, Any]:
        """Return one of the samples as schema 1 has it."""
        checks = [check_as_json(check, check.name in self.demanded) for check in sample.checks]
        return {**sample.to_json(), "checks": checks}


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
    }


def _place(place: PlaceResult) -> dict[str, Any]:
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


def _source(source: Source, sha256: str | None, archive: Archive, ledger: Ledger) -> dict[str, Any]:
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


def _base(base: Base | None, likeness: tuple[Likeness, ...]) -> dict[str, Any] | None:
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


def _ledger(ledger: Ledger) -> dict[str, Any]:
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
