"""What an option is: a field of a dataclass that carries its flag, how its value is read, and its line of help."""

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

    `parse` takes a text, or a value that a library's user passed, and returns the field's value; it raises ValueError
    with what the value is not, as in "is no device". The pages show `help` and `more`, the command line `help` alone.
    """

    flags: tuple[str, ...]  # one name without a dash is a positional argument
    commands: frozenset[str]
    parse: Callable[[Any], Any]
    help: str
    more: str = ""
    group: str = ""
    metavar: str | None = None
    choices: tuple[str, ...] = ()  # what a shell completes; `parse` decides what is taken
    other_words: Mapping[str, str] = field(default_factory=dict)  # what people write for a choice
    repeatable: bool = False
    alone: str | None = None  # the value where the option stands without one

    @property
    def flag(self) -> str:
        """The long spelling, or the name of a positional argument."""
        return self.flags[-1]

    def read(self, value: Any, default: Any) -> Any:
        """Return the checked value of the field.

        Raises:
            OptionError: it is none that the option takes.
        """
        if self.repeatable:
            several = () if value is None else value
            if isinstance(several, str | PathLike | RemotePath) or not isinstance(several, Iterable):
                several = (several,)
            return tuple(self._read_one(item) for item in several)
        return value if value is default else self._read_one(value)

    def _read_one(self, value: Any) -> Any:
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
        spec: its flags and what follows them: `-o, --output DIR`, `--transcribe [MODEL]`, `SOURCE`.
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


def check(holder: Any) -> None:
    """Read every field of a frozen dataclass by its option: text becomes a path, one clip a tuple of one.

    Raises:
        OptionError: a value is none that its option takes.
    """
    for item, declared in options_of(holder):
        object.__setattr__(holder, item.name, declared.read(getattr(holder, item.name), item.default))


def require_known(names: Collection[str], known: Collection[str], else_hint: str = "") -> None:
    """Check the names of options.

    Args:
        else_hint: what to say where no known name is near.

    Raises:
        OptionError: one is not known; the hint names the nearest.
    """
    for name in names:
        if name not in known:
            near = nearest(name, known)
            hint = f"Did you mean {near}?" if near else else_hint
            raise OptionError("bad-option", f"there is no option {name[:_LONGEST_SHOWN]!r}", hint)


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return what somebody who wrote `name` most likely meant."""
    from difflib import get_close_matches  # a mistake is rare, and this is not free

    return next(iter(get_close_matches(name.lower(), known, n=1, cutoff=0.7)), None)


# --- how values are read ---------------------------------------------------------------------------------------------


def text(value: Any) -> str:
    """Return a text; a number or a path is written out."""
    if value is None or isinstance(value, bool) or not isinstance(value, str | int | PathLike):
        raise ValueError("is no text")
    return str(value)


def location(value: Any) -> Location:
    """Return a path, or what stands for a URL."""
    if not isinstance(value, str | PathLike | RemotePath):
        raise ValueError("is no path")
    return parse_location(value)


def truth(value: Any) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise ValueError("is neither True nor False")
    return value


def whole_number(lowest: int, highest: int) -> Callable[[Any], int]:
    """Return what reads a whole number of this range."""

    def parse(value: Any) -> int:
        """Return the number, whether it came as text or as a number."""
        digits = "" if isinstance(value, bool) else str(value)[:20]
        if not (digits.isascii() and digits.isdigit() and lowest <= int(digits) <= highest):
            raise ValueError(f"is no whole number from {lowest} to {highest}")
        return int(digits)

    return parse


def one_of(choices: Collection[str]) -> Callable[[Any], str]:
    """Return what reads one of these words."""

    def parse(value: Any) -> str:
        """Return the word, if it is one of the choices."""
        if value not in choices:
            raise ValueError(f"is none of {', '.join(choices)}")
        return str(value)

    return parse
