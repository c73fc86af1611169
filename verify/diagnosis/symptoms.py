"""Know an error by its words: one table of symptoms, `configs/symptoms/`, for `explain`, `env` and every run that fails in foreign code.

A row of the table:

    says       phrases of which one must occur in the text; white space and case do not count, `*` stands for some
               words, and a name in braces for what PLACEHOLDERS says, which `means` may repeat
    where      frames of the traceback, or other words, of which one must also occur
    only       how what a placeholder caught must begin
    code, means, next, otherwise
               the cause, and what takes the place of a placeholder that caught nothing
    install    packages whose tested versions take the place of {install} in `next`
    broken     versions that are known not to work together, so that `env` needs no error to tell
    met        where it was met

The first row that matches counts: the files in the order of KINDS, each from its top.
"""

import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from verify import resources
from verify.diagnosis import packages
from verify.errors import Cause

KINDS = ("load", "environment", "use", "speech", "files")
HARMLESS = "harmless"
MAX_TRACEBACK_CHARACTERS = 100_000

# fmt: off
_TEXT = r"[^'\"<>|]"  # a part of a path or a name, never out of its quotes
PLACEHOLDERS = {
    "name":     r"[\w.\-/\\]{1,80}?",
    "wanted":   r"[\w.,<>=!*]{1,40}?",
    "number":   r"\d{0,3}",
    "global":   r"[\w.]{1,200}",
    "speaker":  r"[^'\"]{3,60}",
    "wrong":    r"(?:got|missing|takes)[\w']{1,100}",
    "path":     rf"['\"]?{_TEXT}{{0,300}}?",
    "file":     rf"{_TEXT}{{1,300}}",
    "missing":  rf"(?:nosuchfileordirectory:|filenotfounderror:|can(?:no|')tfind(?:thefile)?:?|notfound:|(?:doesnot|doesn't)exist:|missing(?:file)?s?:|couldnotfind|nosuchfile:?|cannotopen|can'topen|unabletoopen)['\"]?{_TEXT}{{0,300}}?",
    "absent":   r"['\"]?(?:is|was)?(?:not?found|doesnotexist|doesn'texist|missing)",
    "language": r"(?-i:[a-z]{2}(?:-[a-z]{2,4})?|eng|deu|fra|spa|ita|por|rus|jpn|kor|zho|hin|vie|tha|ind|ukr|ben|tam|tel|urd|fas|heb|swe|fin|dan|nor|ron|ell)",
}
# fmt: on
_WILD = re.compile(r"\{\w+\}|\*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """Words to look for in a text without white space: `literal` is looked for first, because that is a hundred times quicker."""

    literal: str
    pattern: re.Pattern[str] | None  # None where the literal is all of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """One row of the table."""

    name: str
    kind: str
    code: str
    means: str
    next: str
    says: tuple[Phrase, ...]
    where: tuple[str, ...] = ()
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    otherwise: Mapping[str, str] = field(default_factory=dict)
    install: tuple[str, ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)
    met: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A symptom that was found, and what its placeholders caught."""

    symptom: Symptom
    caught: Mapping[str, str] = field(default_factory=dict)

    @property
    def means(self) -> str:
        """What it means, in a sentence without a full stop."""
        return self.symptom.means.format_map(_Filled(self))

    @property
    def next(self) -> str:
        """What to do next, with the line that installs what fits."""
        return self.symptom.next.format_map(_Filled(self))

    def cause(self) -> Cause:
        """Return it as a cause: a note where it is harmless."""
        severity = "note" if self.symptom.kind == HARMLESS else "error"
        return Cause(code=self.symptom.code, severity=severity, message=self.means, hint=self.next)


class _Filled(dict[str, str]):
    """What takes the places in braces: what was caught, else what the row has for that case."""

    def __init__(self, match: Match) -> None:
        symptom = match.symptom
        super().__init__({**symptom.otherwise, **match.caught, "install": packages.install_line(symptom.install)})

    def __missing__(self, name: str) -> str:
        return "something"


@cache
def table(kind: str) -> tuple[Symptom, ...]:
    """Return the rows of `configs/symptoms/<kind>.toml`."""
    return tuple(_symptom(kind, row) for row in resources.load(f"symptoms/{kind}")["symptom"])


def _symptom(kind: str, row: Mapping[str, Any]) -> Symptom:
    return Symptom(
        name=row["name"],
        kind=kind,
        code=row["code"],
        means=row["means"],
        next=row["next"],
        says=tuple(_phrase(words) for words in row["says"]),
        where=tuple(_compact(words) for words in row.get("where", ())),
        only={name: tuple(starts) for name, starts in row.get("only", {}).items()},
        otherwise=row.get("otherwise", {}),
        install=tuple(row.get("install", ())),
        broken=row.get("broken", {}),
        met=row.get("met", ""),
    )


def _compact(text: str) -> str:
    return "".join(text.split()).lower().replace("\\", "/")


def _phrase(words: str) -> Phrase:
    parts = [_compact(part) for part in _WILD.split(words)]
    wild = _WILD.findall(words)
    if not wild:
        return Phrase(literal=parts[0], pattern=None)
    pattern = re.escape(parts[0])
    for place, part in zip(wild, parts[1:], strict=True):
        name = place.strip("{}")
        pattern += ".{0,200}?" if place == "*" else f"(?P<{name}>{PLACEHOLDERS[name]})"
        pattern += re.escape(part)
    return Phrase(literal=max(parts, key=len), pattern=re.compile(pattern, re.IGNORECASE))


def find(text: str, kinds: Sequence[str] = KINDS) -> Match | None:
    """Return the first row that matches the text."""
    return next(find_all(text, kinds), None)


def find_all(text: str, kinds: Sequence[str]) -> Iterator[Match]:
    """Yield every row that matches the text, in the order of the table."""
    compact = "".join(text.split()).replace("\\\\", "/").replace("\\", "/")
    lower = compact.lower()
    for kind in kinds:
        for symptom in table(kind):
            if symptom.where and not any(words in lower for words in symptom.where):
                continue
            caught = next(
                (
                    caught_words
                    for phrase in symptom.says
                    if (caught_words := _caught(phrase, symptom, compact, lower)) is not None
                ),
                None,
            )
            if caught is not None:
                yield Match(symptom=symptom, caught=caught)


def _caught(phrase: Phrase, symptom: Symptom, compact: str, lower: str) -> dict[str, str] | None:
    """Return what the placeholders of the phrase caught, None if the text does not contain it."""
    if phrase.literal not in lower:
        return None
    if phrase.pattern is None:
        return {} if not symptom.only else None
    for match in phrase.pattern.finditer(compact):
        caught = {name: value for name, value in match.groupdict().items() if value}
        if all(caught.get(name, "").startswith(starts) for name, starts in symptom.only.items()):
            return caught
    return None


def of_error(error: BaseException) -> Match | None:
    """Return what an exception of foreign code means, by its words and its frames."""
    text = "".join(traceback.format_exception(error))
    return find(text[-MAX_TRACEBACK_CHARACTERS:])


def known_broken(versions: Mapping[str, str | None]) -> tuple[Match, ...]:
    """Return the rows whose versions are those that are installed: they will fail before they have failed."""
    rows = [symptom for kind in KINDS for symptom in table(kind) if symptom.broken]
    return tuple(
        Match(symptom=row)
        for row in rows
        if all(packages.is_in(versions.get(name), wanted) for name, wanted in row.broken.items())
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that runs XTTS, and the profile that makes the folder it takes."""

    name: str
    profile: str


def program(text: str) -> Program | None:
    """Return the program that a traceback or its output names."""
    lower = text.lower()
    rows = resources.load("symptoms/programs")["program"]
    row = next((row for row in rows if any(path in lower for path in row["paths"])), None)
    return Program(name=row["name"], profile=row["profile"]) if row else None
