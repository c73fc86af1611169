"""Hold what a model says against the speaker's own recording of the same sentence: only the gap between them counts. No torch.

A limit that the recording fails as well is the recording's trait, so a check that fails on both is excused; where a gap has a
limit of its own (configs/held_out.toml), that decides.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from verify import resources
from verify.checks import WORD_CHECKS, Check
from verify.findings import WordErrors

SIMILARITY, WORD_RATE = "speaker similarity", "word error rate"  # figures that are no checks
OF_TEXT = frozenset({"pace", "plausible length", *WORD_CHECKS, WORD_RATE})  # figures of what is said
TRAIT, NEAR = "the recordings fail it too", "as good as the recordings, within the limit of the gap"

Figures = Mapping[str, tuple[float, str]]  # value and unit by the name of the figure


@dataclass(frozen=True, slots=True, kw_only=True)
class GapRow:
    """A row of configs/held_out.toml: how the gap of a figure is reckoned, and the largest that is no fault."""

    name: str
    worse: str
    most: float
    hint: str
    by: str = "difference"
    unit: str = ""

    @property
    def low(self) -> float | None:
        """The lowest gap that is no fault; None where that side is open."""
        return None if self.worse == "higher" else -self.most

    @property
    def high(self) -> float | None:
        """The highest gap that is no fault."""
        return None if self.worse == "lower" else self.most

    def unit_of(self, figure: str) -> str:
        """Return the unit of the gap, given that of the figure."""
        return {"difference": self.unit or figure, "percent": "%", "semitones": "semitones"}[self.by]


@cache
def gap_rows() -> Mapping[str, GapRow]:
    """Return the rows by the names of their figures, the most important first."""
    return {name: GapRow(name=name, **row) for name, row in resources.load("held_out")["gaps"].items()}


def figures(checks: Sequence[Check], words: WordErrors | None = None, speed: float = 1.0) -> Figures:
    """Return the figures of a take or of a recording; the pace as it would be at the usual speed."""
    found = {check.name: (check.measured, check.unit) for check in checks if check.measured is not None}
    if "pace" in found:
        found["pace"] = (found["pace"][0] / speed, found["pace"][1])
    if words and words.words:
        wrong = words.substitutions + words.deletions + words.insertions
        found[WORD_RATE] = (round(wrong / words.words, 3), "of the words")
    return {name: (value, unit) for name, (value, unit) in found.items() if math.isfinite(value)}


def gap(name: str, own: float, recorded: float) -> float | None:
    """Return how far a figure is from the recording's, in the unit of its row; None where that cannot be said."""
    by = row.by if (row := gap_rows().get(name)) else "difference"
    if by == "difference":
        return own - recorded
    if own <= 0 or recorded <= 0:
        return None
    return 12 * math.log2(own / recorded) if by == "semitones" else 100 * (own / recorded - 1)


def gap_checks(own: Figures, recorded: Figures) -> tuple[Check, ...]:
    """Return a check of each gap that has a limit, of the figures that both have."""
    found = []
    for row in gap_rows().values():
        if row.name in own and row.name in recorded:
            measured = gap(row.name, own[row.name][0], recorded[row.name][0])
            if measured is not None:
                found.append(gap_check(row.name, measured, row.low, row.high, row.unit_of(own[row.name][1]), row.hint))
    return tuple(found)


def gap_check(name: str, measured: float, low: float | None, high: float | None, unit: str, hint: str) -> Check:
    """Return the check of a gap."""
    ok = (low is None or measured >= low) and (high is None or measured <= high)
    return Check(
        name=f"{name} gap", ok=ok, measured=round(measured, 3), low=low, high=high, hint=hint,
        unit=f"{unit} from the recording",
    )  # fmt: skip


def excused(checks: Sequence[Check], gaps: Sequence[Check], failed_by: frozenset[str]) -> tuple[Check, ...]:
    """Return the checks of a take, those that are no fault of the model excused.

    Args:
        gaps: the checks of its gaps.
        failed_by: the names of the checks that the recording fails as well.
    """
    near = {check.name.removesuffix(" gap"): check.ok for check in gaps}
    return tuple(_excused(check, near.get(check.name), failed_by) for check in checks)


def _excused(check: Check, is_near: bool | None, failed_by: frozenset[str]) -> Check:
    if check.ok or check.basic or is_near is False:
        return check
    if check.name in failed_by:
        return replace(check, excused=True, note=TRAIT)
    return replace(check, excused=True, note=NEAR) if is_near else check


def usual_failures(failed: Sequence[frozenset[str]]) -> frozenset[str]:
    """Return the names of the checks that most recordings fail, of those that each fails."""
    names = frozenset().union(*failed)
    return frozenset(name for name in names if 2 * sum(name in of for of in failed) > len(failed))
