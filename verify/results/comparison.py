"""The result of `compare`: models side by side, as one frozen value and as JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from verify.checks import Check, median
from verify.conversion.diff import Difference
from verify.errors import EXIT_CODES, Cause
from verify.result import SCHEMA, Result, cause_as_json, check_as_json, layout, verdict_of_all


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedModel:
    """One of the models: what was found out about it, or why that could not be; and how it differs from `against`."""

    name: str  # the letter under which it is compared
    path: str  # as the user named it
    report: Result | None = None
    cause: Cause | None = None  # why it could not be read
    against: str | None = None
    difference: Difference | None = None

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Why the verdict is what it is."""
        return (*(self.report.causes if self.report else ()), *((self.cause,) if self.cause else ()))

    @property
    def verdict(self) -> str:
        """`error` where it could not be read, else as in its report."""
        return self.report.verdict if self.report and not self.cause else "error"

    @property
    def checks(self) -> tuple[Check, ...]:
        return (self.report.checks or ()) if self.report else ()

    @property
    def samples(self) -> tuple[dict[str, Any], ...]:
        """What it said, as JSON."""
        return tuple(map(self.report.sample_to_json, self.report.samples)) if self.report else ()

    def demands(self, check: Check) -> bool:
        """Whether the check decides the verdict."""
        return self.report is not None and check.name in self.report.demanded

    def to_json(self) -> dict[str, Any]:
        """Return the model as schema 1 has it; what is not known is null."""
        report, archive = self.report, self.report.archive if self.report else None
        return {
            "name": self.name,
            "path": self.path,
            "checkpoint": str(archive.path) if archive else None,
            "bytes": archive.bytes if archive else None,
            "step": archive.step if archive else None,
            "epoch": archive.epoch if archive else None,
            "date": archive.date if archive else None,
            "loss": archive.loss if archive else None,
            "layout": layout(archive, report.ledger) if archive and report else None,
            "verdict": self.verdict,
            "causes": [cause_as_json(cause) for cause in self.causes],
            "load": asdict(report.load) if report and report.load else None,
            "samples": list(self.samples) or None,
            "checks": [check_as_json(check, self.demands(check)) for check in self.checks] or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonReport:
    """What a comparison found; it needs two models that could be read."""

    models: tuple[ComparedModel, ...]
    texts: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    language: str | None = None
    reference: str | None = None
    causes: tuple[Cause, ...] = ()  # of the comparison, not of one model
    output: str | None = None

    @property
    def heard(self) -> tuple[ComparedModel, ...]:
        """The models that spoke."""
        return tuple(model for model in self.models if model.samples)

    @property
    def verdict(self) -> str:
        """`error` where there was nothing to compare, `fail` where one model fails, `warn` on any warning, else `pass`."""
        return "error" if self.causes else verdict_of_all(model.verdict for model in self.models)

    @property
    def exit_code(self) -> int:
        """0, 1 where a model fails, 2 where fewer than two could be compared."""
        return EXIT_CODES[self.verdict]

    @property
    def seconds(self) -> dict[str, float]:
        """The time of each kind of work over all models."""
        total: Counter[str] = Counter()
        for model in self.models:
            total.update(model.report.seconds if model.report else {})
        return dict(total)

    def to_json(self) -> dict[str, Any]:
        """Return the document of schema 1."""
        environment = next((model.report.environment for model in self.models if model.report), None)
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "causes": [cause_as_json(cause) for cause in self.causes],
            "models": [model.to_json() for model in self.models],
            "differences": [_difference(model, model.difference) for model in self.models if model.difference],
            "texts": list(self.texts) or None,
            "seeds": list(self.seeds) or None,
            "language": self.language,
            "reference": self.reference,
            "output": {"directory": self.output} if self.output else None,
            "environment": environment,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
        }


def _difference(model: ComparedModel, found: Difference) -> dict[str, Any]:
    return {
        "model": model.name,
        "against": model.against,
        "identical": found.identical,
        "parts": [asdict(part) | {"changed_share": changed_share(asdict(part))} for part in found.parts],
        "layers": [asdict(layer) for layer in found.layers],
        "only_in_model": list(found.only_here),
        "only_in_against": list(found.only_there),
        "other_shapes": [
            {"key": one.key, "model": list(one.here), "against": list(one.there)} for one in found.other_shapes
        ],
        "shared_bytes": found.shared_bytes,
    }


def changed_share(part: Mapping[str, Any]) -> float:
    """Return the share of a part's bytes that belong to elements that differ, 0 to 1."""
    return part["changed_bytes"] / part["bytes"] if part["bytes"] else 0.0


def figures(model: ComparedModel) -> dict[str, float | None]:
    """Return what is told of a model's takes beside the checks; None where there is nothing to tell."""
    samples = model.samples
    return {
        "speaker similarity": median([take["speaker_similarity"] for take in samples]),
        "real-time factor": median([take["real_time_factor"] for take in samples]),
        "seconds spoken": sum(take["seconds"] for take in samples) if samples else None,
        "stop tokens": sum(take["stopped"] for take in samples) if samples else None,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One check over all models; None for a model that lacks it."""

    name: str
    cells: tuple[Check | None, ...]
    limit: str
    unit: str


def rows(models: Sequence[ComparedModel]) -> list[Row]:
    """Return the checks of the models as rows, in order of first appearance."""
    by_name = [{check.name: check for check in model.checks} for model in models]
    found = []
    for name in dict.fromkeys(name for checks in by_name for name in checks):
        cells = tuple(checks.get(name) for checks in by_name)
        there = [check for check in cells if check]
        limits = " or ".join(dict.fromkeys(check.limit for check in there))
        found.append(Row(name=name, cells=cells, limit=limits, unit=there[0].unit))
    return found
