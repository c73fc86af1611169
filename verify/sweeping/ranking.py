"""Rank the checkpoints of a sweep by the rows of configs/ranking.toml; each names a check, a loss or a figure below."""

import math
from collections.abc import Sequence
from dataclasses import replace

from verify.checks import median
from verify.results import criteria as criteria_of
from verify.results.criteria import FAILED_CHECKS, Criterion, figure_of
from verify.results.swept import LOSSES, SweptCheckpoint, losses


def ranked(checkpoints: Sequence[SweptCheckpoint], criteria: Sequence[Criterion]) -> tuple[SweptCheckpoint, ...]:
    """Return the checkpoints with samples by rank, then the others in their order, all with their figures."""
    measured = [
        replace(checkpoint, figures={criterion.name: figure(checkpoint, criterion.name) for criterion in criteria})
        for checkpoint in checkpoints
    ]
    with_samples = sorted(
        (checkpoint for checkpoint in measured if checkpoint.samples), key=lambda item: _key(item, criteria)
    )
    best_first = [replace(checkpoint, rank=rank) for rank, checkpoint in enumerate(with_samples, start=1)]
    return (*best_first, *(checkpoint for checkpoint in measured if not checkpoint.samples))


def read_criteria(checkpoints: Sequence[SweptCheckpoint]) -> tuple[Criterion, ...]:
    """Return the ranking criteria, the most important first; the row `loss` becomes the loss that most checkpoints have."""
    loss = _common_loss([checkpoint for checkpoint in checkpoints if checkpoint.samples])
    return tuple(replace(row, name=loss) if row.name == "loss" else row for row in criteria_of.criteria())


def figure(checkpoint: SweptCheckpoint, name: str) -> float | None:
    """Return a figure of a checkpoint, the median over its samples; None where there is none."""
    if name == FAILED_CHECKS:  # a checkpoint fails a check where most of its samples do
        return float(len(checkpoint.failed)) if checkpoint.samples else None
    if name in LOSSES:
        return losses(checkpoint.found["loss"]).get(name)
    return median([figure_of(sample, name) for sample in checkpoint.samples])


def _common_loss(checkpoints: Sequence[SweptCheckpoint]) -> str:
    """Return the loss that most checkpoints have: coqui's `checkpoint_N.pth` holds only the train loss."""
    available = [losses(checkpoint.found["loss"]) for checkpoint in checkpoints]
    counts = {name: sum(name in names for names in available) for name in LOSSES}
    return max(counts, key=lambda name: counts[name]) if any(counts.values()) else "loss"


def _key(checkpoint: SweptCheckpoint, criteria: Sequence[Criterion]) -> tuple[float, ...]:
    """Return the sort key: each figure in whole steps, lower is better; among equals the later training step comes first."""
    keys = [_in_steps(checkpoint.figures[criterion.name], criterion) for criterion in criteria]
    return (*keys, -(checkpoint.found["step"] or 0))


def _in_steps(value: float | None, criterion: Criterion) -> float:
    if value is None:
        return math.inf
    signed = value if criterion.better == "lower" else -value
    return round(signed / criterion.step) if criterion.step else signed
