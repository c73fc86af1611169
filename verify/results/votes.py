"""What listeners chose blind: the votes they saved, who won by them, and how sure that is."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from verify.document import SCHEMA
from verify.errors import EXIT_CODES
from verify.results.paired import CONFIDENCE, UNTOLD

PREFERRED, NOT_PREFERRED = "preferred", "not preferred"
MOST_ASKED_FOR = 1000
NO_DIFFERENCE = 0.5  # of a vote for each of the two


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one listener chose of one take: the name of a model, or None for no difference."""

    listener: str
    text: str
    seed: int
    chosen: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """How often one model was chosen rather than another, as a share of the votes for either; no difference counts half.

    `low` and `high` bound it with a confidence of 95 % over all pairs together. `units` is what the bounds count: takes,
    each once however many heard it, or listeners, each once however many takes they heard, whichever are more.
    """

    model: str
    against: str
    share: float
    low: float
    high: float
    units: int
    over: str
    answer: str
    needed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VotesReport:
    """The votes of all listeners together; the first of `models` was chosen most often."""

    comparison: str
    models: Mapping[str, str]  # letter or name to path
    votes: tuple[Vote, ...]
    preferences: tuple[Preference, ...]  # the winner against each of the others
    files: int
    repeated: int = 0  # files that say what another says
    output: None = None  # nothing is written

    @property
    def chosen(self) -> dict[str, int]:
        """How many votes each model has, the most first."""
        return counts(self.votes, self.models)

    @property
    def no_difference(self) -> int:
        """How many votes say that there is no difference."""
        return sum(vote.chosen is None for vote in self.votes)

    @property
    def listeners(self) -> int:
        """How many listeners voted."""
        return len({vote.listener for vote in self.votes})

    @property
    def takes(self) -> int:
        """How many takes were voted on."""
        return len({(vote.text, vote.seed) for vote in self.votes})

    @property
    def winner(self) -> str | None:
        """The model that is preferred to every other; None where that cannot be told."""
        told = [item.answer == PREFERRED for item in self.preferences]
        return self.preferences[0].model if told and all(told) else None

    @property
    def verdict(self) -> str:
        """`pass`: a preference is no fault."""
        return "pass"

    @property
    def exit_code(self) -> int:
        """0."""
        return EXIT_CODES[self.verdict]

    def to_json(self) -> dict[str, Any]:
        """Return the document of schema 1."""
        models = [{"name": name, "path": self.models[name], "votes": count} for name, count in self.chosen.items()]
        votes = {
            "comparison": self.comparison,
            "models": models,
            "no_difference": self.no_difference,
            "listeners": self.listeners,
            "takes": self.takes,
            "winner": self.winner,
            "preferences": [asdict(item) for item in self.preferences],
            "files": self.files,
            "repeated_files": self.repeated,
        }
        return {"schema": SCHEMA, "verdict": self.verdict, "causes": [], "votes": votes}


def counts(votes: Sequence[Vote], models: Mapping[str, str]) -> dict[str, int]:
    """Return how many votes each model has, the most first."""
    found = Counter(vote.chosen for vote in votes)
    return {name: found[name] for name in sorted(models, key=lambda name: -found[name])}


def preferences(votes: Sequence[Vote], models: Mapping[str, str]) -> tuple[Preference, ...]:
    """Return the model with the most votes against each of the others."""
    first, *others = counts(votes, models)
    return tuple(item for other in others if (item := _preference(votes, first, other, len(others))))


def _preference(votes: Sequence[Vote], model: str, other: str, pairs: int) -> Preference | None:
    """Return how often the model was chosen rather than the other; None where no vote is for either or for no difference.

    Args:
        pairs: how many such questions are asked of the same votes.
    """
    by_take: dict[Any, list[float]] = {}
    by_listener: dict[Any, list[float]] = {}
    for vote, score in _scores(votes, model, other):
        by_take.setdefault((vote.text, vote.seed), []).append(score)
        by_listener.setdefault(vote.listener, []).append(score)
    if not by_take:
        return None
    over, units = ("takes", by_take) if len(by_take) >= len(by_listener) else ("listeners", by_listener)
    shares = [sum(scores) / len(scores) for scores in units.values()]
    # Votes of one listener, or on one take, hang together. So each unit counts once, with its share of votes: that varies
    # no more than a toss would, which makes the exact interval of tosses a careful one.
    confidence = 1 - (1 - CONFIDENCE) / pairs
    low, high = exact_interval(sum(shares), len(shares), confidence)
    share = sum(shares) / len(shares)
    answer = PREFERRED if low > NO_DIFFERENCE else NOT_PREFERRED if high < NO_DIFFERENCE else UNTOLD
    return Preference(
        model=model, against=other, share=share, low=low, high=high, units=len(shares), over=over, answer=answer,
        needed=_needed(share, len(shares), confidence) if answer == UNTOLD else None,
    )  # fmt: skip


def _needed(share: float, count: int, confidence: float) -> int | None:
    """Return how many units would tell, at the same share; None where that is more than anyone asks for."""
    for more in range(count + 1, MOST_ASKED_FOR) if share != NO_DIFFERENCE else ():
        low, high = exact_interval(share * more, more, confidence)
        if low > NO_DIFFERENCE or high < NO_DIFFERENCE:
            return more
    return None


def _scores(votes: Sequence[Vote], model: str, other: str) -> Iterator[tuple[Vote, float]]:
    """Yield 1 for a vote for the model, 0 for the other, a half for no difference; a third model's votes say nothing."""
    for vote in votes:
        if vote.chosen in (model, other, None):
            yield vote, NO_DIFFERENCE if vote.chosen is None else float(vote.chosen == model)


def exact_interval(successes: float, trials: int, confidence: float) -> tuple[float, float]:
    """Return the interval of Clopper and Pearson for a share."""
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = float(betaincinv(successes, trials - successes + 1, tail)) if successes > 0 else 0.0
    high = float(betaincinv(successes + 1, trials - successes, 1 - tail)) if successes < trials else 1.0
    return low, high
