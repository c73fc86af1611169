"""The figures that models are ranked and held against each other by, the most important first: configs/ranking.toml."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from verify import resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """A row of configs/ranking.toml: a figure, whether `higher` or `lower` is better, and the smallest differences that count.

    `step` is that of two checkpoints in a ranking, `margin` that of the mean over takes, which is known more closely.
    """

    name: str
    better: str
    step: float
    margin: float | None = None

    @property
    def smallest(self) -> float:
        """The smallest difference of means that counts."""
        return self.step if self.margin is None else self.margin


FAILED_CHECKS = "failed checks"  # the row of configs/ranking.toml that counts faults

# Figures of a take that are no checks; a new one is a line here and a row in configs/ranking.toml.
TAKE_FIGURES: dict[str, Callable[[Mapping[str, Any]], float | None]] = {
    FAILED_CHECKS: lambda take: float(sum(not check["ok"] for check in take["checks"])),
    "speaker similarity": lambda take: _similarity(take),
}


def _similarity(take: Mapping[str, Any]) -> float | None:
    """Return how like the speaker's recordings a take is, where it is held against any, else how like the reference."""
    beside: float | None = take.get("held_out_similarity")
    like_reference: float | None = take["speaker_similarity"]
    return like_reference if beside is None else beside


def criteria() -> tuple[Criterion, ...]:
    """Return the rows of configs/ranking.toml."""
    return tuple(Criterion(**row) for row in resources.load("ranking")["figures"])


def figure_of(take: Mapping[str, Any], name: str) -> float | None:
    """Return a figure of one take, which is a sample as JSON; None where it was not measured."""
    if name in TAKE_FIGURES:
        return TAKE_FIGURES[name](take)
    return next((check["measured"] for check in take["checks"] if check["name"] == name), None)


def speaks(checks: Iterable[Mapping[str, Any]]) -> bool:
    """Whether what was heard is speech at all, by the checks of a model; without any it is not."""
    wanted = set(resources.load("ranking").get("speaks", {}).get("checks", ()))
    passed = [check["ok"] or check.get("excused", False) for check in checks if check["name"] in wanted]
    return bool(passed) and all(passed)


def with_margins(rows: Iterable[Criterion], margins: Mapping[str, float]) -> tuple[Criterion, ...]:
    """Return the criteria with other margins, by the names of their figures."""
    return tuple(replace(row, margin=margins.get(row.name, row.margin)) for row in rows)
