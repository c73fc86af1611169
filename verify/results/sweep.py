"""The result of `sweep`: checkpoints by rank, as one frozen value and as JSON. What ranks them: verify/sweeping/ranking.py."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from verify.document import SCHEMA, verdict_of_all
from verify.errors import EXIT_CODES


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """A row of configs/ranking.toml: a figure, whether `higher` or `lower` is better, and the smallest difference that counts."""

    name: str
    better: str
    step: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SweptCheckpoint:
    """A checkpoint of a sweep, by its name within the sweep; `found` is its part of the report, as JSON."""

    name: str
    run: str
    path: str
    found: dict[str, Any]
    copy_of: str | None = None
    resumed: bool = False  # whether its result was kept from an earlier sweep
    folder: str | None = None  # where its clips are, relative to the folder of the sweep
    rank: int | None = None
    figures: Mapping[str, float | None] = field(default_factory=dict)  # by criterion; None where nothing was measured

    @property
    def samples(self) -> list[dict[str, Any]]:
        return self.found["samples"] or []

    @property
    def causes(self) -> list[dict[str, Any]]:
        return self.found["causes"]

    @property
    def verdict(self) -> str:
        """`copy`, or as in its report; `error` where there is none."""
        return "copy" if self.copy_of else self.found["verdict"]

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The checks that failed, whether or not they decide the verdict."""
        return [check for check in self.found["checks"] or () if not check["ok"]]

    def to_json(self) -> dict[str, Any]:
        """Return the checkpoint as schema 1 has it; unknown values are null."""
        samples = [{**sample, "path": f"{self.folder}/{sample['path']}"} for sample in self.samples]
        names = {"name": self.name, "run": self.run, "path": self.path, "copy_of": self.copy_of}
        state = {"verdict": self.verdict, "samples": samples or None, "resumed": self.resumed}
        return {"rank": self.rank, **names, "figures": dict(self.figures), **{**self.found, **names, **state}}


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """The result of a sweep, the best checkpoint first; `settings` applied to all checkpoints."""

    checkpoints: tuple[SweptCheckpoint, ...]
    ranking: tuple[Criterion, ...] = ()  # the criteria, the most important first
    settings: dict[str, Any] = field(default_factory=dict)
    reference: str | None = None
    jobs: int | None = None  # as requested
    ray: str | None = None
    output: str | None = None
    seconds: float = 0.0

    @property
    def heard(self) -> tuple[SweptCheckpoint, ...]:
        """Those that spoke, the best first."""
        return tuple(checkpoint for checkpoint in self.checkpoints if checkpoint.rank)

    @property
    def verdict(self) -> str:
        """`error` where none spoke, `fail` where one fails, `warn` on any warning, else `pass`."""
        return verdict_of_all(checkpoint.verdict for checkpoint in self.checkpoints) if self.heard else "error"

    @property
    def exit_code(self) -> int:
        """0, 1 where a checkpoint fails, 2 where none spoke."""
        return EXIT_CODES[self.verdict]

    def to_json(self) -> dict[str, Any]:
        """Return the document of schema 1."""
        shared = {name: self.settings.get(name) for name in ("texts", "seeds", "language")}
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "causes": [cause for checkpoint in self.checkpoints if not checkpoint.rank for cause in checkpoint.causes],
            "checkpoints": [checkpoint.to_json() for checkpoint in self.checkpoints],
            "ranking": [asdict(criterion) for criterion in self.ranking],
            **shared,
            "reference": self.reference,
            "settings": self.settings,
            "ray": self.ray,
            "output": {"directory": self.output} if self.output else None,
            "seconds": {"sweep": round(self.seconds, 3)},
        }
