"""Rank the checkpoints of a sweep by the rows of configs/ranking.toml; each names a check, a loss or a figure below."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from verify import resources
from verify.checks import median
from verify.results.sweep import Criterion, SweptCheckpoint

LOSSES = (
    "eval loss",
    "train loss",
    "loss",
)  # in order of preference: the eval loss is of speech that was not trained on
# Figures that are neither checks nor losses; a new one is a line here and a row in configs/ranking.toml.
FIGURES: dict[str, Callable[[SweptCheckpoint], float | None]] = {
    "failed checks": lambda checkpoint: float(len(checkpoint.failed)) if checkpoint.samples else None,
    "speaker similarity": lambda checkpoint: median([sample["speaker_similarity"] for sample in checkpoint.samples]),
}


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
    rows = [Criterion(**row) for row in resources.load("ranking")["figures"]]
    return tuple(replace(row, name=loss) if row.name == "loss" else row for row in rows)


def figure(checkpoint: SweptCheckpoint, name: str) -> float | None:
    """Return a figure of a checkpoint, for a check the median over its samples; None where there is none."""
    if name in FIGURES:
        return FIGURES[name](checkpoint)
    if name in LOSSES:
        return losses(checkpoint.found["loss"]).get(name)
    checks = (check for sample in checkpoint.samples for check in sample["checks"] if check["name"] == name)
    return median([check["measured"] for check in checks])


def losses(loss: Any) -> dict[str, float]:
    """Return the losses in a checkpoint by name: the trainer saves a number, or a dictionary of one or two."""
    values = loss if isinstance(loss, dict) else {"loss": loss}
    by_name = {name: values.get(name.replace(" ", "_")) for name in LOSSES}
    return {
        name: float(value)
        for name, value in by_name.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


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
