"""Declare options as dataclass fields that carry their flag, the parser of their value and their help text."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from os import PathLike
from typing import Any

from verify.errors import OptionError
from verify.files.location import Location, parse_location
from verify.files.remote import RemotePath

_LONGEST_SHOWN = 40  # characters of a wrong value


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of the command line and of the library.

    `parse` takes text from the command line, or a value from a caller of the library, and returns the value of the field;
    it raises ValueError with what is wrong, as in "is no device". The pages show `help` and `more`, the command line
    only `help`.
    """

    flags: tuple[str, ...]  # a single name without a dash is a positional argument
    commands: frozenset[str]
    parse: Callable[[Any], Any]
    help: str
    more: str = ""
    group: str = ""
    metavar: str | None = None
    choices: tuple[str, ...] = ()  # what a shell completes; `parse` decides what is valid
    other_words: Mapping[str, str] = field(default_factory=dict)  # other spellings -> the choice to suggest
    repeatable: bool = False
    several: bool = False  # whether one mention takes several values, as a shell makes of `votes-*.json`
    alone: str | None = None  # the value where the option is given without one

    @property
    def flag(self) -> str:
        """The long flag, or the name of a positional argument."""
        return self.flags[-1]

    def read(self, value: Any, default: Any) -> Any:
        """Return the checked value of the field.

        Raises:
            OptionError: the value is invalid.
        """
        if self.repeatable:
            several = () if value is None else value
            if isinstance(several, str | PathLike | RemotePath) or not isinstance(several, Iterable):
                several = (several,)
            return tuple(self._read_single(item) for item in several)
        return value if value is default else self._read_single(value)

    def _read_single(self, value: Any) -> Any:
        try:
            return self.parse(value)
        except ValueError as error:
            text = str(value)
            near = self.other_words.get(text.lower()) or nearest(text, self.choices)
            hint = f"Did you mean {near}?" if near else ""
            raise OptionError("bad-option", f"{self.flag} {text[:_LONGEST_SHOWN]!r} {error}", hint) from error


def option(spec: str, default: Any, commands: Collection[str], group: str, *, help: str, **more: Any) -> Any:
    """Return the field of a dataclass that is this option; `more` are further fields of `Option`.

    Args:
        spec: its flags and metavar: `-o, --output DIR`, `--transcribe [MODEL]`, `SOURCE`.
    """
    *flags, last = spec.split(", ")
    flag, _, metavar = last.partition(" ")
    if isinstance(default, bool):
        more["parse"] = truth
    declared = Option(
        flags=(*flags, flag),
        metavar=metavar.strip("[]") or None,
        commands=frozenset(commands),
        group=group,
        help=help,
        **more,
    )
    return field(default=default, metadata={"option": declared})


def options_of(holder: Any) -> Iterator[tuple[Field[Any], Option]]:
    """Yield the fields of a dataclass with their options."""
    for item in fields(holder):
        yield item, item.metadata["option"]


def names_of(holder: type) -> set[str]:
    """Return the names of the fields."""
    return {item.name for item in fields(holder)}


def given(holder: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those arguments that are fields of the dataclass."""
    return {name: value for name, value in arguments.items() if name in names_of(holder)}


def check(holder: Any) -> None:
    """Parse every field of a frozen dataclass by its option: text becomes a path, a single clip a tuple.

    Raises:
        OptionError: a value is invalid.
    """
    for item, declared in options_of(holder):
        object.__setattr__(holder, item.name, declared.read(getattr(holder, item.name), item.default))


def require_known(names: Collection[str], known: Collection[str], else_hint: str = "") -> None:
    """Check the names of options.

    Args:
        else_hint: the hint where no known name is similar.

    Raises:
        OptionError: a name is unknown; the hint suggests the most similar one.
    """
    for name in names:
        if name not in known:
            near = nearest(name, known)
            hint = f"Did you mean {near}?" if near else else_hint
            raise OptionError("bad-option", f"there is no option {name[:_LONGEST_SHOWN]!r}", hint)


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the known name that is most similar to `name`, if any is."""
    from difflib import get_close_matches  # imported here because it is slow and rarely needed

    return next(iter(get_close_matches(name.lower(), known, n=1, cutoff=0.7)), None)


# --- parsers of values -----------------------------------------------------------------------------------------------


def text(value: Any) -> str:
    """Return a string; a number or a path is converted."""
    if value is None or isinstance(value, bool) or not isinstance(value, str | int | PathLike):
        raise ValueError("is no text")
    return str(value)


def location(value: Any) -> Location:
    """Return a local path or a remote location."""
    if not isinstance(value, str | PathLike | RemotePath):
        raise ValueError("is no path")
    return parse_location(value)


def truth(value: Any) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise ValueError("is neither True nor False")
    return value


def whole_number(lowest: int, highest: int) -> Callable[[Any], int]:
    """Return a parser of whole numbers in this range."""

    def parse(value: Any) -> int:
        """Return the number, given as text or as a number."""
        digits = "" if isinstance(value, bool) else str(value)[:20]
        if not (digits.isascii() and digits.isdigit() and lowest <= int(digits) <= highest):
            raise ValueError(f"is no whole number from {lowest} to {highest}")
        return int(digits)

    return parse


def number(lowest: float, highest: float) -> Callable[[Any], float]:
    """Return a parser of numbers in this range."""

    def parse(value: Any) -> float:
        """Return the number, given as text or as a number."""
        try:
            parsed = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            parsed = math.nan
        if not lowest <= parsed <= highest:  # NaN, too
            raise ValueError(f"is no number from {lowest:g} to {highest:g}")
        return parsed

    return parse


def one_of(choices: Collection[str]) -> Callable[[Any], str]:
    """Return a parser that accepts only these words."""

    def parse(value: Any) -> str:
        """Return the word, if it is one of the choices."""
        if value not in choices:
            raise ValueError(f"is none of {', '.join(choices)}")
        return str(value)

    return parse
