"""What ranks the checkpoints of a sweep: the rows of configs/ranking.toml, each the name of a check or of a figure here."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from verify import resources
from verify.checks import median
from verify.results.sweep import Criterion, SweptCheckpoint

LOSSES = ("eval loss", "train loss", "loss")  # of equally many the first, which is of speech that it did not train on
# Figures that are neither checks nor losses; a new one is a line here and a row in configs/ranking.toml.
FIGURES: dict[str, Callable[[SweptCheckpoint], float | None]] = {
    "failed checks": lambda checkpoint: float(len(checkpoint.failed)) if checkpoint.samples else None,
    "speaker similarity": lambda checkpoint: median([sample["speaker_similarity"] for sample in checkpoint.samples]),
}


def ranked(checkpoints: Sequence[SweptCheckpoint], criteria: Sequence[Criterion]) -> tuple[SweptCheckpoint, ...]:
    """Return the checkpoints that spoke by rank, then the others as they came, all with their figures."""
    known = [
        replace(checkpoint, figures={criterion.name: figure(checkpoint, criterion.name) for criterion in criteria})
        for checkpoint in checkpoints
    ]
    spoke = sorted((checkpoint for checkpoint in known if checkpoint.samples), key=lambda item: _key(item, criteria))
    best_first = [replace(checkpoint, rank=rank) for rank, checkpoint in enumerate(spoke, start=1)]
    return (*best_first, *(checkpoint for checkpoint in known if not checkpoint.samples))


def read_criteria(checkpoints: Sequence[SweptCheckpoint]) -> tuple[Criterion, ...]:
    """Return what ranks these checkpoints, the first first; `loss` stands for the loss that most of them have."""
    loss = _common_loss([checkpoint for checkpoint in checkpoints if checkpoint.samples])
    rows = [Criterion(**row) for row in resources.load("ranking")["figures"]]
    return tuple(replace(row, name=loss) if row.name == "loss" else row for row in rows)


def figure(checkpoint: SweptCheckpoint, name: str) -> float | None:
    """Return a figure over the samples of a checkpoint, of a check the median; None where there is nothing to measure."""
    if name in FIGURES:
        return FIGURES[name](checkpoint)
    if name in LOSSES:
        return losses(checkpoint.found["loss"]).get(name)
    checks = (check for sample in checkpoint.samples for check in sample["checks"] if check["name"] == name)
    return median([check["measured"] for check in checks])


def losses(loss: Any) -> dict[str, float]:
    """Return the losses that a checkpoint holds, by name: the trainer saves a number, or some of two in a dictionary."""
    values = loss if isinstance(loss, dict) else {"loss": loss}
    known = {name: values.get(name.replace(" ", "_")) for name in LOSSES}
    return {
        name: float(value) for name, value in known.items() if isinstance(value, (int, float)) and math.isfinite(value)
    }


def _common_loss(checkpoints: Sequence[SweptCheckpoint]) -> str:
    """Return the loss that most have: coqui's `checkpoint_N.pth` holds that of training alone."""
    held = [losses(checkpoint.found["loss"]) for checkpoint in checkpoints]
    counts = {name: sum(name in found for found in held) for name in LOSSES}
    return max(counts, key=lambda name: counts[name]) if any(counts.values()) else "loss"


def _key(checkpoint: SweptCheckpoint, criteria: Sequence[Criterion]) -> tuple[float, ...]:
    """Return what sorts: each figure in steps that count, less is better; where all are equal, the later step first."""
    keys = [_in_steps(checkpoint.figures[criterion.name], criterion) for criterion in criteria]
    return (*keys, -(checkpoint.found["step"] or 0))


def _in_steps(value: float | None, criterion: Criterion) -> float:
    if value is None:
        return math.inf
    signed = value if criterion.better == "lower" else -value
    return round(signed / criterion.step) if criterion.step else signed
