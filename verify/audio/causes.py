"""Find the likeliest cause of a bad sound: the first rule of configs/sound.toml that matches the checks."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from verify import resources
from verify.checks import Check

_CONDITION = re.compile(r"(?P<name>.+?)(?: (?P<sign>[<>])(?: (?P<figure>-?[0-9.]+))?)?")
_SIGNS: dict[str, Callable[[float, float], bool]] = {"<": operator.lt, ">": operator.gt}


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundCause:
    """What is heard, in a person's words, and what to do next."""

    code: str
    says: str
    next: str

    def to_json(self) -> dict[str, str]:
        """Return the part `sound` of report.json."""
        return {"code": self.code, "message": self.says, "hint": self.next}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A check that failed, failed on one side, or whose measurement lies beyond a figure, whether it failed or not."""

    check: str
    sign: str | None = None
    figure: float | None = None

    def holds(self, checks: Mapping[str, Check]) -> bool:
        """Whether the condition is met; never by a check that was not made."""
        check = checks.get(self.check)
        if check is None:
            return False
        if self.sign is None:
            return not check.ok
        limit = self.figure
        if limit is None:
            limit = check.low if self.sign == "<" else check.high
        return check.measured is not None and limit is not None and _SIGNS[self.sign](check.measured, limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The conditions under which a cause is named: all of the first, at least one of the second, none of the third."""

    cause: str
    all: tuple[Condition, ...]
    any: tuple[Condition, ...]
    none: tuple[Condition, ...]

    def applies(self, checks: Mapping[str, Check]) -> bool:
        """Whether the checks match."""
        return (
            all(condition.holds(checks) for condition in self.all)
            and (not self.any or any(condition.holds(checks) for condition in self.any))
            and not any(condition.holds(checks) for condition in self.none)
        )


@cache
def sound_causes() -> dict[str, SoundCause]:
    """Return every cause by its code."""
    return {code: SoundCause(code=code, **words) for code, words in resources.load("sound")["causes"].items()}


@cache
def rules() -> tuple[Rule, ...]:
    """Return every rule, in order of precedence."""
    return tuple(_rule(row) for row in resources.load("sound")["rules"])


def _rule(row: Mapping[str, Any]) -> Rule:
    conditions = {name: tuple(_condition(words) for words in row.get(name, ())) for name in ("all", "any", "none")}
    return Rule(cause=row["cause"], **conditions)


def _condition(words: str) -> Condition:
    match = _CONDITION.fullmatch(words)
    if match is None:
        raise ValueError(f"{words!r} in configs/sound.toml is no condition")
    figure = match["figure"]
    return Condition(check=match["name"], sign=match["sign"], figure=float(figure) if figure else None)


@cache
def evidence() -> frozenset[str]:
    """Return the names of all checks that a rule refers to."""
    return frozenset(condition.check for rule in rules() for condition in (*rule.all, *rule.any, *rule.none))


def diagnose(failed: Sequence[Check], passed: Sequence[Check] = ()) -> SoundCause | None:
    """Return the cause of the first rule that matches, or None; without a failed check nothing is wrong.

    Args:
        failed: the checks that decide the verdict and did not pass.
        passed: the others, whose figures a rule may ask for too.
    """
    if not failed:
        return None
    checks = {check.name: check for check in (*passed, *failed)}
    found = next((rule.cause for rule in rules() if rule.applies(checks)), None)
    return sound_causes()[found] if found else None
