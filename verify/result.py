"""The result of a run: the plan and the result of each step, as one frozen value and as the JSON document of schema 1."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from verify.audio.causes import SoundCause, diagnose
from verify.checkpoint.archive import Archive
from verify.checks import Check
from verify.conversion.ledger import Ledger
from verify.diagnosis.architecture import Architecture
from verify.document import (
    base_as_json,
    check_as_json,
    document,
    ledger_as_json,
    place_as_json,
    source_as_json,
    verdict,
)
from verify.errors import EXIT_CODES, Cause
from verify.findings import (
    CastResult,
    HeldOutResult,
    Identity,
    LoadReport,
    OutputFile,
    PlaceResult,
    ProfileResult,
    SampleResult,
)
from verify.plan import Plan
from verify.source.companions import Source


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
    held_out: HeldOutResult | None = None
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
        passed = [check for check in self.checks or () if check.ok]
        return diagnose(self.failed_checks, passed) if self.samples else None

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
            source=source_as_json(self.source, self.source_sha256, self.archive, self.ledger)
            | {"voices": list(self.plan.voices) or None},
            ledger=ledger_as_json(self.ledger),
            base=base_as_json(self.plan.base, self.plan.likeness),
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
            held_out=self.held_out.to_json() if self.held_out else None,
            places=[place_as_json(place) for place in self.places] or None,
            output={"directory": self.output, "files": [asdict(item) for item in self.files]} if self.output else None,
            environment=dict(self.environment) if self.environment else None,
            seconds={name: round(value, 3) for name, value in self.seconds.items()},
        )

    def sample_to_json(self, sample: SampleResult) -> dict[str, Any]:
        """Return one of the samples as schema 1 has it."""
        checks = [check_as_json(check, check.name in self.demanded) for check in sample.checks]
        return {**sample.to_json(), "checks": checks}
