"""The gate of `compare --not-worse-than`: whether each other model is shown to be worse by less than a margin, if at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from verify.results.paired import UNTOLD, Paired, PairedDifference

NOT_WORSE = "not worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedModel:
    """A model at the gate: the figures in which it is not shown to be as good as the other, within their margins."""

    paired: Paired

    @property
    def name(self) -> str:
        return self.paired.model

    @property
    def open(self) -> tuple[PairedDifference, ...]:
        """The figures that keep it from passing."""
        return tuple(item for item in self.paired.figures if not item.is_not_worse)

    @property
    def passes(self) -> bool:
        """Whether every figure that both have is shown to be no worse; a model that was not heard shows nothing."""
        return bool(self.paired.figures) and not self.open

    @property
    def answer(self) -> str:
        """`not worse`, `worse` where a figure is worse by more than chance allows, else that it cannot be told."""
        if self.passes:
            return NOT_WORSE
        return next((item.answer for item in self.open if item.gains and item.gains[1] < 0), UNTOLD)

    def to_json(self) -> dict[str, Any]:
        """Return it as schema 1 has it."""
        return {
            "model": self.name,
            "passes": self.passes,
            "answer": self.answer,
            "figures": [item.figure for item in self.open],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What `--not-worse-than` asked for, and how each of the other models stands."""

    against: str  # the letter of a model
    models: tuple[GatedModel, ...]

    @property
    def passes(self) -> bool:
        """Whether every model passes."""
        return all(model.passes for model in self.models)

    def to_json(self) -> dict[str, Any]:
        """Return it as schema 1 has it."""
        return {
            "not_worse_than": self.against,
            "passes": self.passes,
            "models": [model.to_json() for model in self.models],
        }


def gate_of(against: str, paired: Sequence[Paired]) -> Gate:
    """Return the gate over models that were held against one."""
    return Gate(against=against, models=tuple(GatedModel(paired=item) for item in paired))
