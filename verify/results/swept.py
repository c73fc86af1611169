"""A checkpoint of a sweep: what was found of it, its rank, its figures and its losses."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from verify.results.criteria import speaks

LOSSES = (
    "eval loss",
    "train loss",
    "loss",
)  # in order of preference: the eval loss is of speech that was not trained on


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
    command: str | None = None  # what turns it into a model folder

    @property
    def step(self) -> int | None:
        """After how many steps it was saved; None where the file does not say."""
        return self.found["step"]

    @property
    def speaks(self) -> bool:
        """Whether what was heard of it is speech."""
        return bool(self.samples) and speaks(self.found["checks"] or ())

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
        state |= {"speaks": self.speaks, "command": self.command}
        return {"rank": self.rank, **names, "figures": dict(self.figures), **{**self.found, **names, **state}}


def losses(loss: Any) -> dict[str, float]:
    """Return the losses in a checkpoint by name: the trainer saves a number, or a dictionary of one or two."""
    values = loss if isinstance(loss, dict) else {"loss": loss}
    by_name = {name: values.get(name.replace(" ", "_")) for name in LOSSES}
    return {
        name: float(value)
        for name, value in by_name.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }
