"""The result of `compare`: models side by side, as one frozen value and as JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from verify.checks import Check, median
from verify.conversion.diff import Difference
from verify.document import SCHEMA, cause_as_json, check_as_json, layout, verdict_of_all
from verify.errors import EXIT_CODES, Cause
from verify.result import Result
from verify.results.gate import Gate
from verify.results.paired import Paired

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # the names of the models, in the order in which they were given


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedModel:
    """One of the models: its result, or why there is none, and how its tensors differ from those of the model `against`."""

    name: str  # its letter in the comparison
    path: str  # as the user named it
    setting: str = ""  # the sampling that `--vary` asks for, in words
    report: Result | None = None
    cause: Cause | None = None  # why it could not be read
    against: str | None = None
    difference: Difference | None = None

    @property
    def title(self) -> str:
        """The path, and what sampling was asked for in place of the model's own."""
        return f"{self.path} ({self.setting})" if self.setting else self.path

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The causes of the verdict."""
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
        """Its samples, as JSON."""
        return tuple(map(self.report.sample_to_json, self.report.samples)) if self.report else ()

    def demands(self, check: Check) -> bool:
        """Whether the check decides the verdict."""
        return self.report is not None and check.name in self.report.demanded

    def to_json(self) -> dict[str, Any]:
        """Return the model as schema 1 has it; unknown values are null."""
        report, archive = self.report, self.report.archive if self.report else None
        return {
            "name": self.name,
            "path": self.path,
            **({"setting": self.setting} if self.setting else {}),
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
            "held_out": report.held_out.to_json() if report and report.held_out else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonReport:
    """The result of a comparison; it needs two models that could be read."""

    models: tuple[ComparedModel, ...]
    texts: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    language: str | None = None
    reference: str | None = None
    causes: tuple[Cause, ...] = ()  # of the comparison itself, not of one model
    paired: tuple[Paired, ...] = ()  # each model that spoke, held against the first or the one of the gate
    gate: Gate | None = None
    output: str | None = None

    @property
    def heard(self) -> tuple[ComparedModel, ...]:
        """The models that spoke."""
        return tuple(model for model in self.models if model.report and model.report.samples)

    @property
    def verdict(self) -> str:
        """`error` where there was nothing to compare, `fail` where a model or the gate fails, `warn` on any warning, else `pass`."""
        if self.causes:
            return "error"
        return "fail" if self.gate and not self.gate.passes else verdict_of_all(model.verdict for model in self.models)

    @property
    def exit_code(self) -> int:
        """0, 1 where a model or the gate fails, 2 where fewer than two could be compared."""
        return EXIT_CODES[self.verdict]

    @property
    def seconds(self) -> dict[str, float]:
        """The time of each part of the work, summed over all models."""
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
            "paired": [item.to_json() for item in self.paired] or None,
            "gate": self.gate.to_json() if self.gate else None,
            "texts": list(self.texts) or None,
            "seeds": list(self.seeds) or None,
            "language": self.language,
            "reference": self.reference,
            "output": {"directory": self.output} if self.output else None,
            "environment": environment,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
        }


def _difference(model: ComparedModel, difference: Difference) -> dict[str, Any]:
    return {
        "model": model.name,
        "against": model.against,
        "identical": difference.identical,
        "parts": [asdict(part) | {"changed_share": part.changed_share} for part in difference.parts],
        "layers": [asdict(layer) for layer in difference.layers],
        "only_in_model": list(difference.only_here),
        "only_in_against": list(difference.only_there),
        "other_shapes": [
            {"key": tensor.key, "model": list(tensor.here), "against": list(tensor.there)}
            for tensor in difference.other_shapes
        ],
        "shared_bytes": difference.shared_bytes,
    }


def figures(model: ComparedModel) -> dict[str, float | None]:
    """Return the figures of a model's samples that are shown beside the checks; None where a figure is unknown."""
    samples = model.samples
    return {
        "speaker similarity": median([sample["speaker_similarity"] for sample in samples]),
        "similarity to recordings": median([sample.get("held_out_similarity") for sample in samples]),
        "real-time factor": median([sample["real_time_factor"] for sample in samples]),
        "seconds spoken": sum(sample["seconds"] for sample in samples) if samples else None,
        "stop tokens": sum(sample["stopped"] for sample in samples) if samples else None,
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
    table = []
    for name in dict.fromkeys(name for checks in by_name for name in checks):
        cells = tuple(checks.get(name) for checks in by_name)
        present = [check for check in cells if check]
        limits = " or ".join(dict.fromkeys(check.limit for check in present))
        table.append(Row(name=name, cells=cells, limit=limits, unit=present[0].unit))
    return table
