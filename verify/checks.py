"""One measurement held against its limit: the form in which every judge of values or of sound speaks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

# Names of the checks of values; what is heard is judged by checks of `listening`.
ZEROED, TRAINED, SCALE = "no zeroed weights", "trained values", "scale of the base"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One measurement held against its limit; `measured` is None where there was nothing to measure."""

    name: str
    ok: bool
    measured: float | None
    limit: str
    unit: str
    hint: str = ""
    note: str = ""


def majority(takes: Sequence[Sequence[Check]]) -> tuple[Check, ...]:
    """Return one check for each name over several takes: it fails where it fails in most of them.

    What is measured is that of the take in the middle; the note says in how many it failed.
    """
    by_name: dict[str, list[Check]] = {}
    for checks in takes:
        for check in checks:
            by_name.setdefault(check.name, []).append(check)
    return tuple(_over(checks) for checks in by_name.values())


def _over(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]
    failed = [check for check in checks if not check.ok]
    fails = 2 * len(failed) > len(checks)
    alike = (
        failed if fails else [check for check in checks if check.ok]
    )  # of the kind that decides: number and hint agree
    known = sorted((check for check in alike if check.measured is not None), key=lambda check: check.measured or 0.0)
    chosen = known[len(known) // 2] if known else alike[0]
    note = f"failed in {len(failed)} of {len(checks)}" if failed else ""
    return replace(chosen, note=note)
