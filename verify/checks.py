"""A check: one measurement and its limits. Every test of weights or of sound returns checks."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

# Names of the checks of values; those of sound stand in configs/sound.toml.
ZEROED, TRAINED, SCALE = "no zeroed weights", "trained values", "scale of the base"
# Names of the checks that hold what was said against the text.
WORDS, ONLY_WORDS, ERROR_RATE = "words of the text", "nothing but the text", "character error rate"
WORD_CHECKS = (WORDS, ONLY_WORDS, ERROR_RATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One measurement and its limits.

    `measured` is None if there was nothing to measure, `low` and `high` if that side has no limit.
    """

    name: str
    ok: bool
    measured: float | None
    low: float | None = None
    high: float | None = None
    unit: str
    hint: str = ""
    note: str = ""
    basic: bool = False  # also counts under `--expect sound`
    exclusive: bool = False  # the limit itself is outside: `<`, not `<=`
    excused: bool = False  # it fails, and that is no fault of the model: the speaker's own recordings do no better

    @property
    def limit(self) -> str:
        """The limits in words; a lower limit of zero is omitted if there is an upper one."""
        if self.high is None:
            return "" if self.low is None else f">= {self.low:g}"
        if not self.low:
            return f"{'<' if self.exclusive else '<='} {self.high:g}"
        return f"{self.low:g} to {self.high:g}"


def within(
    name: str, measured: float, low: float, high: float, unit: str, hint: str = "", *, basic: bool = False
) -> Check:
    """Return the check that a measurement lies within its limits; an infinite limit means no limit."""
    return Check(
        name=name,
        ok=low <= measured <= high,
        measured=measured,
        low=low if math.isfinite(low) else None,
        high=high if math.isfinite(high) else None,
        unit=unit,
        hint=hint,
        basic=basic,
    )


def majority(samples: Sequence[Sequence[Check]]) -> tuple[Check, ...]:
    """Return one check for each name over several samples: it fails where it fails in most of them.

    The measurement is the middle sample's; the note says in how many samples the check failed.
    """
    by_name: dict[str, list[Check]] = {}
    for checks in samples:
        for check in checks:
            by_name.setdefault(check.name, []).append(check)
    return tuple(_over(checks) for checks in by_name.values())


def _over(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]
    failed = [check for check in checks if not check.ok]
    # Choose among the majority, so that the figure and the hint agree with the verdict.
    deciding = failed if 2 * len(failed) > len(checks) else [check for check in checks if check.ok]
    measured = sorted(
        (check for check in deciding if check.measured is not None), key=lambda check: check.measured or 0.0
    )
    chosen = measured[len(measured) // 2] if measured else deciding[0]
    is_excused = deciding is failed and 2 * sum(not check.excused for check in failed) <= len(checks)
    why = next((f"; {check.note}" for check in failed if check.excused), "") if is_excused else ""
    note = f"failed in {len(failed)} of {len(checks)}{why}" if failed else chosen.note
    return replace(chosen, note=note, excused=is_excused)


def median(values: Sequence[float | None]) -> float | None:
    """Return the median of those values that are known and finite; None where there are none."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return statistics.median(finite) if finite else None
