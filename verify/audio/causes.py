"""Name the one cause of what is heard: the row of configs/sound.toml that explains the checks that failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from verify import resources
from verify.checks import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundCause:
    """A row of configs/sound.toml: what is heard, what to do next, and which failed checks say so."""

    code: str
    says: str
    next: str
    all: tuple[str, ...] = ()
    any: tuple[str, ...] = ()
    none: tuple[str, ...] = ()

    def to_json(self) -> dict[str, str]:
        """Return the part `sound` of report.json."""
        return {"code": self.code, "message": self.says, "hint": self.next}

    def explains(self, failed: frozenset[str]) -> bool:
        """Whether these failed checks, by name and by side, are of this cause."""
        if not failed.issuperset(self.all) or not failed.isdisjoint(self.none):
            return False
        return not self.any or not failed.isdisjoint(self.any)


@cache
def sound_causes() -> tuple[SoundCause, ...]:
    """Return every cause; one that explains others stands before them."""
    return tuple(
        SoundCause(
            code=code,
            says=row["says"],
            next=row["next"],
            all=tuple(row.get("all", ())),
            any=tuple(row.get("any", ())),
            none=tuple(row.get("none", ())),
        )
        for code, row in resources.load("sound")["causes"].items()
    )


@cache
def evidence() -> frozenset[str]:
    """Return the names of all checks that a cause of what is heard asks for."""
    named = (name for cause in sound_causes() for name in (*cause.all, *cause.any, *cause.none))
    return frozenset(name.removesuffix(" <").removesuffix(" >") for name in named)


def diagnose(failed: Sequence[Check]) -> SoundCause | None:
    """Return the cause that explains the failed checks; None where none of them is of what is heard."""
    names = frozenset(name for check in failed for name in (check.name, _side(check)))
    return next((cause for cause in sound_causes() if cause.explains(names)), None)


def _side(check: Check) -> str:
    """Return the name with the side of the limits on which the measurement lies."""
    measured = check.measured
    if measured is not None and check.low is not None and measured < check.low:
        return f"{check.name} <"
    if measured is not None and check.high is not None and measured > check.high:
        return f"{check.name} >"
    return check.name
