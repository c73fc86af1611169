"""Find the likeliest cause of a bad sound: the first row of configs/sound.toml that matches the failed checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from verify import resources
from verify.checks import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundCause:
    """A row of configs/sound.toml: what it sounds like, what to do next, and which failed checks point to it."""

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
        """Whether the failed checks match this cause; each is given by its name and by its name with the side of the limit."""
        if not failed.issuperset(self.all) or not failed.isdisjoint(self.none):
            return False
        return not self.any or not failed.isdisjoint(self.any)


@cache
def sound_causes() -> tuple[SoundCause, ...]:
    """Return every cause, in order of precedence."""
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
    """Return the names of all checks that a sound cause refers to."""
    names = (name for cause in sound_causes() for name in (*cause.all, *cause.any, *cause.none))
    return frozenset(name.removesuffix(" <").removesuffix(" >") for name in names)


def diagnose(failed: Sequence[Check]) -> SoundCause | None:
    """Return the first cause that matches the failed checks, or None."""
    names = frozenset(name for check in failed for name in (check.name, _side(check)))
    return next((cause for cause in sound_causes() if cause.explains(names)), None)


def _side(check: Check) -> str:
    """Return the name followed by `<` or `>`, for a measurement below or above its limits."""
    measured = check.measured
    if measured is not None and check.low is not None and measured < check.low:
        return f"{check.name} <"
    if measured is not None and check.high is not None and measured > check.high:
        return f"{check.name} >"
    return check.name
