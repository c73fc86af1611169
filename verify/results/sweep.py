"""The result of `sweep`: checkpoints by rank, as one frozen value and as JSON. What ranks them: verify/sweeping/ranking.py."""

from dataclasses import asdict, dataclass, field
from typing import Any

from verify.document import SCHEMA, verdict_of_all
from verify.errors import EXIT_CODES
from verify.results.criteria import Criterion
from verify.results.paired import Paired
from verify.results.swept import SweptCheckpoint
from verify.results.trend import Trend


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """The result of a sweep, the best checkpoint first; `settings` applied to all checkpoints."""

    checkpoints: tuple[SweptCheckpoint, ...]
    ranking: tuple[Criterion, ...] = ()  # the criteria, the most important first
    paired: tuple[Paired, ...] = ()  # each that spoke, held against the first in rank, in the order of the ranks
    trends: tuple[Trend, ...] = ()  # of each run
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
    def speaking(self) -> tuple[SweptCheckpoint, ...]:
        """Those that were heard to speak, the best first; a barely trained one makes noise instead."""
        return tuple(checkpoint for checkpoint in self.heard if checkpoint.speaks)

    @property
    def copies(self) -> tuple[SweptCheckpoint, ...]:
        """Those that hold what another one holds."""
        return tuple(checkpoint for checkpoint in self.checkpoints if checkpoint.copy_of)

    @property
    def mute(self) -> tuple[SweptCheckpoint, ...]:
        """Those that could not be heard at all."""
        return tuple(checkpoint for checkpoint in self.checkpoints if not checkpoint.rank and not checkpoint.copy_of)

    @property
    def measured(self) -> tuple[Criterion, ...]:
        """The criteria of which at least one checkpoint has the figure."""
        known = {name for checkpoint in self.heard for name, value in checkpoint.figures.items() if value is not None}
        return tuple(criterion for criterion in self.ranking if criterion.name in known)

    @property
    def answers(self) -> dict[str, str]:
        """How each that spoke stands to the first in rank, by name."""
        return {paired.model: paired.answer for paired in self.paired}

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
            "copies": len(self.copies),
            "paired": [paired.to_json() for paired in self.paired] or None,
            "trends": [trend.to_json() for trend in self.trends] or None,
            **shared,
            "reference": self.reference,
            "settings": self.settings,
            "ray": self.ray,
            "output": {"directory": self.output} if self.output else None,
            "seconds": {"sweep": round(self.seconds, 3)},
        }
