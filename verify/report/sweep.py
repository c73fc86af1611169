"""The report of `sweep`: checkpoints by rank, as one frozen value and as JSON. What ranks them stands in configs/ranking.toml."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from verify import resources
from verify.errors import EXIT_CODES
from verify.result import SCHEMA, verdict_of_all


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SweptCheckpoint:
    """A checkpoint of a sweep, by the name under which all have it; `found` is its part of the document, as JSON."""

    name: str
    run: str
    path: str
    found: dict[str, Any]
    copy_of: str | None = None
    resumed: bool = False  # whether it was finished before
    folder: str | None = None  # of its clips, within the folder of the sweep
    rank: int | None = None
    loss_name: str = "loss"  # which of the losses in the file ranks

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
        """The checks that it failed, demanded or not."""
        return [check for check in self.found["checks"] or () if not check["ok"]]

    @property
    def figures(self) -> dict[str, float | None]:
        """What it is ranked by, over its takes the one in the middle; None where there is nothing to measure."""
        known: dict[str, float | None] = {
            "failed checks": float(len(self.failed)) if self.samples else None,
            "speaker similarity": _median([take["speaker_similarity"] for take in self.samples]),
            self.loss_name: losses(self.found["loss"]).get(self.loss_name),
        }
        names = (figure["name"] for figure in figures(self.loss_name))
        return {name: known[name] if name in known else self._judged(name) for name in names}

    def _judged(self, name: str) -> float | None:
        checks = (check for take in self.samples for check in take["checks"] if check["name"] == name)
        return _median([check["measured"] for check in checks])

    def to_json(self) -> dict[str, Any]:
        """Return the checkpoint as schema 1 has it; what is not known is null."""
        placed = [{**take, "path": f"{self.folder}/{take['path']}"} for take in self.samples]
        mine = {"name": self.name, "run": self.run, "path": self.path, "copy_of": self.copy_of}
        told = {"verdict": self.verdict, "samples": placed or None, "resumed": self.resumed}
        return {"rank": self.rank, **mine, "figures": self.figures, **{**self.found, **mine, **told}}


def figures(loss_name: str) -> list[dict[str, Any]]:
    """Return what ranks, the first first: name, whether `higher` or `lower` is better, and the step that counts."""
    known = resources.load("ranking")["figures"]
    return [{**figure, "name": loss_name} if figure["name"] == "loss" else figure for figure in known]


def losses(loss: Any) -> dict[str, float]:
    """Return the losses that a checkpoint holds, by name: the trainer saves a number, or some of two in a dictionary."""
    values = loss if isinstance(loss, dict) else {"loss": loss}
    known = {name: values.get(name) for name in ("eval_loss", "train_loss", "loss")}
    return {
        name.replace("_", " "): float(value)
        for name, value in known.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


def _common_loss(checkpoints: Sequence[SweptCheckpoint]) -> str:
    """Return the loss that most have, that of the evaluation first: coqui's `checkpoint_N.pth` holds that of training alone."""
    held = [losses(one.found["loss"]) for one in checkpoints]
    counts = {name: sum(name in one for one in held) for name in ("eval loss", "train loss", "loss")}
    return max(counts, key=lambda name: counts[name]) if any(counts.values()) else "loss"


def ranked(checkpoints: Sequence[SweptCheckpoint]) -> tuple[SweptCheckpoint, ...]:
    """Return the checkpoints that spoke by rank, then the others as they came."""
    name = _common_loss([one for one in checkpoints if one.samples])
    checkpoints = [replace(one, loss_name=name) for one in checkpoints]
    heard = sorted((one for one in checkpoints if one.samples), key=_key)
    best_first = [replace(one, rank=rank) for rank, one in enumerate(heard, start=1)]
    return (*best_first, *(one for one in checkpoints if not one.samples))


def _key(one: SweptCheckpoint) -> tuple[float, ...]:
    """Return what sorts: each figure in steps that count, less is better; where all are equal, the later step first."""
    known = one.figures
    keys = [_in_steps(known[figure["name"]], figure["better"], figure["step"]) for figure in figures(one.loss_name)]
    return (*keys, -(one.found["step"] or 0))


def _in_steps(value: float | None, better: str, step: float) -> float:
    if value is None:
        return math.inf
    signed = value if better == "lower" else -value
    return round(signed / step) if step else signed


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return statistics.median(known) if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """What a sweep found, the best first; `settings` are what all checkpoints had in common."""

    checkpoints: tuple[SweptCheckpoint, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    reference: str | None = None
    jobs: int | None = None  # as they were asked for
    ray: str | None = None
    output: str | None = None
    seconds: float = 0.0

    @property
    def heard(self) -> tuple[SweptCheckpoint, ...]:
        """Those that spoke, the best first."""
        return tuple(one for one in self.checkpoints if one.rank)

    @property
    def figures(self) -> list[dict[str, Any]]:
        """What ranked them, the first first."""
        return figures(self.checkpoints[0].loss_name)

    @property
    def verdict(self) -> str:
        """`error` where none spoke, `fail` where one fails, `warn` on any warning, else `pass`."""
        return verdict_of_all(one.verdict for one in self.checkpoints) if self.heard else "error"

    @property
    def exit_code(self) -> int:
        """0, 1 where a checkpoint fails, 2 where none spoke."""
        return EXIT_CODES[self.verdict]

    def to_json(self) -> dict[str, Any]:
        """Return the document of schema 1."""
        known = {name: self.settings.get(name) for name in ("texts", "seeds", "language")}
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "causes": [cause for one in self.checkpoints if not one.rank for cause in one.causes],
            "checkpoints": [one.to_json() for one in self.checkpoints],
            "ranking": self.figures,
            **known,
            "reference": self.reference,
            "settings": self.settings,
            "ray": self.ray,
            "output": {"directory": self.output} if self.output else None,
            "seconds": {"sweep": round(self.seconds, 3)},
        }
