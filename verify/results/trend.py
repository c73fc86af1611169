"""What a person asks of a run: is it still getting better, and did it overfit?"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from verify.results.criteria import Criterion
from verify.results.paired import AS_GOOD, BETTER, UNTOLD, WORSE, Paired, hold_against
from verify.results.swept import SweptCheckpoint, losses

IMPROVING, LEVEL, DECLINING = "improving", "level", "declining"
_COURSE = {BETTER: IMPROVING, AS_GOOD: LEVEL, WORSE: DECLINING, UNTOLD: UNTOLD}
YES, PERHAPS, NO = "yes", "perhaps", "no"
LEAST_RISE = 0.01  # of a loss, relative: less is the noise of a small evaluation set


@dataclass(frozen=True, slots=True, kw_only=True)
class LossCourse:
    """One kind of loss over a run: the least, where that was, and the last."""

    name: str
    least: float
    least_step: int
    last: float
    last_step: int

    @property
    def rises(self) -> bool:
        """Whether it rose again since it was least."""
        return self.last > self.least * (1 + LEAST_RISE) and self.last_step > self.least_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """The course of one run: its last checkpoint held against the best before it, and its losses.

    `overfit` is `yes` where it sounds worse while the train loss fell or the eval loss rose, `perhaps` where the eval loss
    alone rose, `no` where it still gets better or the eval loss still falls, else None.
    """

    run: str
    last: str  # names of checkpoints
    last_step: int
    best: str
    best_step: int
    paired: Paired
    losses: tuple[LossCourse, ...]

    @property
    def course(self) -> str:
        """`improving`, `level`, `declining`, or that it cannot be told."""
        return _COURSE[self.paired.answer]

    @property
    def overfit(self) -> str | None:
        """Whether it learnt its clips by heart; None where nothing says so or otherwise."""
        by_name = {course.name: course for course in self.losses}
        held_out, train = by_name.get("eval loss"), by_name.get("train loss")
        rises = held_out is not None and held_out.rises
        if self.course == DECLINING and (rises or (train and train.last_step == train.least_step)):
            return YES
        if rises:
            return PERHAPS
        falls = held_out is not None and held_out.least_step == held_out.last_step
        return NO if falls or self.course == IMPROVING else None

    def to_json(self) -> dict[str, Any]:
        """Return it as schema 1 has it."""
        names = {"run": self.run, "last": self.last, "best_before": self.best}
        losses = [{**asdict(course), "rises": course.rises} for course in self.losses]
        said = {"course": self.course, "overfit": self.overfit, "losses": losses}
        return {**names, **said, "paired": self.paired.to_json()}


def trends(checkpoints: Sequence[SweptCheckpoint], criteria: Sequence[Criterion]) -> tuple[Trend, ...]:
    """Return the trend of each run of which two checkpoints or more spoke, at known steps.

    Args:
        checkpoints: by rank.
    """
    runs: dict[str, list[SweptCheckpoint]] = {}
    for checkpoint in checkpoints:
        if checkpoint.samples and checkpoint.step is not None:
            runs.setdefault(checkpoint.run, []).append(checkpoint)
    found = [_trend(run, of_run, criteria) for run, of_run in runs.items()]
    return tuple(trend for trend in found if trend)


def _trend(run: str, by_rank: Sequence[SweptCheckpoint], criteria: Sequence[Criterion]) -> Trend | None:
    last = max(by_rank, key=_step)
    earlier = [checkpoint for checkpoint in by_rank if _step(checkpoint) < _step(last)]
    if not earlier:
        return None
    best = earlier[0]
    return Trend(
        run=run,
        last=last.name,
        last_step=_step(last),
        best=best.name,
        best_step=_step(best),
        paired=hold_against(last.name, last.samples, best.name, best.samples, criteria),
        losses=_losses(sorted(by_rank, key=_step)),
    )


def _losses(by_step: Sequence[SweptCheckpoint]) -> tuple[LossCourse, ...]:
    """Return the course of each kind of loss that two checkpoints or more hold."""
    known: dict[str, list[tuple[int, float]]] = {}
    for checkpoint in by_step:
        for name, value in losses(checkpoint.found["loss"]).items():
            known.setdefault(name, []).append((_step(checkpoint), value))
    return tuple(_course(name, values) for name, values in known.items() if len(values) > 1)


def _course(name: str, values: Sequence[tuple[int, float]]) -> LossCourse:
    step, least = min(values, key=lambda pair: pair[1])
    return LossCourse(name=name, least=least, least_step=step, last=values[-1][1], last_step=values[-1][0])


def _step(checkpoint: SweptCheckpoint) -> int:
    return checkpoint.step or 0
