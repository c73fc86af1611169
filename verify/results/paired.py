"""Hold two models against each other take by take: the mean difference of each figure, an interval for it, and an answer.

Both said the same sentences with the same seeds, so each take has its counterpart and what a sentence alone does to a
figure falls out of the difference. How sure that is comes from a bootstrap. docs/compare.md has the methods' sources.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from verify.results.criteria import Criterion, figure_of

BETTER, WORSE, AS_GOOD, UNTOLD = "better", "worse", "as good", "cannot be told from so few"
CONFIDENCE = 0.95
FEWEST = 6  # five pairs that all point one way come about by chance in one case of sixteen, six in one of 32
RESAMPLES = 9999

Take = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """One figure of a model less that of the other model, over the takes that both have.

    `low` and `high` bound the mean with a confidence of 95 %; they are None where there are too few takes to say.
    `needed` is about how many would tell, where these do not.
    """

    figure: str
    better: str  # whether `higher` or `lower` is better
    margin: float  # the smallest difference that counts
    takes: int
    over: str  # "sentences", each the mean of its seeds, or "takes"
    mean: float
    low: float | None
    high: float | None
    answer: str
    needed: int | None = None

    @property
    def gains(self) -> tuple[float, float] | None:
        """The interval, signed so that what is above zero is better."""
        if self.low is None or self.high is None:
            return None
        return (self.low, self.high) if self.better == "higher" else (-self.high, -self.low)

    @property
    def is_not_worse(self) -> bool:
        """Whether the model is shown to be worse by less than the margin, if at all."""
        return self.gains is not None and self.gains[0] > -self.margin


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """A model held against another: each figure that both have, the most important first, and the answer of the whole."""

    model: str
    against: str
    figures: tuple[PairedDifference, ...]

    @property
    def decisive(self) -> PairedDifference | None:
        """The first figure in which the two are not as good as each other; the last where there is none."""
        return next(
            (item for item in self.figures if item.answer != AS_GOOD), self.figures[-1] if self.figures else None
        )

    @property
    def answer(self) -> str:
        """What the decisive figure says: those behind it are not asked, so that no chance finding among many decides."""
        return self.decisive.answer if self.decisive else UNTOLD

    def to_json(self) -> dict[str, Any]:
        """Return it as schema 1 has it."""
        by = self.decisive.figure if self.decisive else None
        figures = [asdict(item) for item in self.figures]
        return {"model": self.model, "against": self.against, "answer": self.answer, "by": by, "figures": figures}


def hold_against(
    model: str, takes: Sequence[Take], other: str, other_takes: Sequence[Take], criteria: Sequence[Criterion]
) -> Paired:
    """Return how a model differs from another.

    Args:
        takes: samples as JSON, paired with the other's by their text and seed.
        criteria: the figures to compare, the most important first.
    """
    there = {(take["text"], take["seed"]): take for take in other_takes}
    pairs = [(take, there[key]) for take in takes if (key := (take["text"], take["seed"])) in there]
    names = [criterion.name for criterion in criteria]
    pairs = _distinct(pairs, names)
    found = [difference(criterion, pairs) for criterion in criteria]
    return Paired(model=model, against=other, figures=tuple(item for item in found if item))


def _distinct(pairs: Sequence[tuple[Take, Take]], names: Sequence[str]) -> list[tuple[Take, Take]]:
    """Return the pairs without repetitions: a model that says a sentence alike whatever the seed has said it once."""
    kept: dict[tuple[Any, ...], tuple[Take, Take]] = {}
    for pair in pairs:
        said = [(take["tokens"], take["seconds"], *(figure_of(take, name) for name in names)) for take in pair]
        kept.setdefault((pair[0]["text"], *said), pair)
    return list(kept.values())


def difference(criterion: Criterion, pairs: Sequence[tuple[Take, Take]]) -> PairedDifference | None:
    """Return how one figure differs over pairs of takes; None where no pair has it in both."""
    by_text: dict[str, list[float]] = {}
    for take, other in pairs:
        value, against = (figure_of(of, criterion.name) for of in (take, other))
        if value is not None and against is not None and math.isfinite(value - against):
            by_text.setdefault(take["text"], []).append(value - against)
    if not by_text:
        return None
    # Takes of one sentence are more alike than those of two, so sentences are what is drawn where there are enough.
    over = "sentences" if len(by_text) >= FEWEST else "takes"
    values = [value for of in by_text.values() for value in of]
    if over == "sentences":
        values = [sum(of) / len(of) for of in by_text.values()]
    mean = sum(values) / len(values)
    low, high = interval(values) if len(values) >= FEWEST else (None, None)
    answer, needed = _answer(criterion, mean, low, high, len(values))
    return PairedDifference(
        figure=criterion.name, better=criterion.better, margin=criterion.smallest, takes=len(values), over=over,
        mean=mean, low=low, high=high, answer=answer, needed=needed,
    )  # fmt: skip


def _answer(
    criterion: Criterion, mean: float, low: float | None, high: float | None, count: int
) -> tuple[str, int | None]:
    """Return the answer and, where it cannot be told, about how many takes would tell."""
    if low is None or high is None:
        return UNTOLD, FEWEST
    margin = criterion.smallest
    if -margin <= low and high <= margin:
        return AS_GOOD, None
    if low > 0 or high < 0:
        return (BETTER if (low > 0) == (criterion.better == "higher") else WORSE), None
    # The interval narrows with the square root of the count; it tells once half of it is below the mean, or below what
    # parts the mean from the margin.
    enough = max(abs(mean), margin - abs(mean))
    return UNTOLD, math.ceil(count * ((high - low) / 2 / enough) ** 2)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the interval that holds the mean with a confidence of 95 %: the percentile bootstrap, widened for few values."""
    if len(set(values)) == 1:
        return values[0], values[0]
    import numpy as np
    from scipy import stats  # takes half a second, so only where there is something to compare

    count = len(values)
    # A bootstrap of few values is too narrow: it takes the spread for smaller by sqrt((n - 1) / n), and the normal
    # distribution for Student's. Asking for a wider one makes up for both.
    tail = stats.norm.sf(math.sqrt(count / (count - 1)) * stats.t.isf((1 - CONFIDENCE) / 2, count - 1))
    found = stats.bootstrap(
        (np.asarray(values),), np.mean, confidence_level=1 - 2 * tail, n_resamples=RESAMPLES, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)
