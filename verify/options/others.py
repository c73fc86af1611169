"""The options of the other commands, and those of the command line alone."""
# ruff: noqa: RUF009 - `option` makes a dataclass's field, as `dataclasses.field` does

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify import resources
from verify.options import option as read
from verify.options.job import Expect, Job, expect_option
from verify.options.option import check, option
from verify.options.places import CHECKS, EVERY, MAIN, OUTPUT, SHOWN, SPEAKING, SPEECH, WORK


def _margin(value: Any) -> str:
    """Return the text `FIGURE=NUMBER`, if it names a figure that takes have and a number above zero."""
    name, _, number = str(value).rpartition("=")
    figures = [row["name"] for row in resources.load("ranking")["figures"] if row["name"] != "loss"]
    if name not in figures or not re.fullmatch(r"\d*\.?\d+", number) or not float(number):
        raise ValueError(f'is no margin: write "{figures[0]}=0.1"; there are {", ".join(figures)}')
    return str(value)


# fmt: off
@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Where the work of a sweep runs: in processes on this machine, or on a Ray cluster."""

    jobs: int | None = option("--jobs N", None, ("sweep",), WORK, parse=read.whole_number(1, 1000),
        help="worker processes (default: as many as cores, memory and GPUs allow)")
    threads: int = option("--threads N", 1, ("sweep",), WORK, parse=read.whole_number(1, 1000),
        help="threads of each worker; other samples (default: 1)",
        more="the samples depend on it, so it does not follow the machine")
    ray: str | None = option("--ray ADDRESS", None, ("sweep",), WORK, parse=read.text,
        help="work on this Ray cluster: auto, HOST:PORT or ray://HOST:PORT",
        more='needs `pip install "xtts-verify[cluster]"`')

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """The options of `compare` alone."""

    not_worse_than: str | None = option("--not-worse-than MODEL", None, ("compare",), CHECKS, parse=read.text,
        help="fail unless every other model is shown to be no worse than this one, by its letter: A is the first",
        more="or by its path; within the margins of configs/ranking.toml")
    margins: tuple[str, ...] = option("--margin FIGURE=NUMBER", (), ("compare",), CHECKS, parse=_margin, repeatable=True,
        help='the smallest difference that counts, such as "DNSMOS overall=0.2" (repeatable)',
        more="default: that of configs/ranking.toml")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOptions:
    """The options of `judge`."""

    text: str | None = option("--text TEXT", None, ("judge",), SPEECH, parse=read.text,
        help="what is said in the clips: holds their length and pace against it")
    language: str = option("--language CODE", "en", ("judge",), SPEECH, parse=read.text,
        help="language of the text, such as en or zh-cn (default: en)")
    expect: Expect = expect_option("judge")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """The options of `demo`."""

    output: Path = option("-o, --output DIR", Path("demo"), ("demo",), OUTPUT, parse=Path,
        help="new folder for the run (default: demo)")
    force: bool = option("--force", False, ("demo",), OUTPUT,
        help="replace the demo that is there")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class UiOptions:
    """The options of `ui`, the page in a browser."""

    roots: tuple[Path, ...] = option("DIR", (), (), "", parse=Path, repeatable=True,
        help="folders that the page may open (default: the current one)")
    host: str = option("--host HOST", "127.0.0.1", ("ui",), WORK, parse=read.text,
        help="let other machines open the page at this address of this one (default: 127.0.0.1, this machine alone)",
        more="they need the key in the address that is printed; 0.0.0.0 means every address")
    port: int | None = option("--port N", None, ("ui",), WORK, parse=read.whole_number(0, 65535),
        help="where the page listens (default: the first free one from 7860 on)")
    browser: bool = option("--no-browser", True, ("ui",), SHOWN,
        help="do not open a browser")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """Options of the command line only; in Python a function call or its result takes their place."""

    texts_file: Path | None = option("--texts FILE|standard", None, SPEAKING, SPEECH, parse=Path,
        help="text file of sentences to say, one a line; standard: the eight that ship for the language")
    votes: tuple[Path, ...] = option("--votes FILE", (), ("compare",), SHOWN, parse=Path, repeatable=True, several=True,
        help="count what listeners saved on the page of a comparison: who won, and how sure that is",
        more="takes no models")
    dry_run: bool = option("--dry-run", False, MAIN, OUTPUT,
        help="say what would happen and write nothing",
        more="as `inspect` does")
    details: bool = option("--details", False, (*MAIN, "verify", "compare", "judge", "demo"), SHOWN,
        help="show every check with its figure and its limit, and what became of the tensors")
    open: bool = option("--open", False, (*SPEAKING, "demo"), SHOWN,
        help="open the page in the browser after the run")
    json: bool = option("--json", False, EVERY, SHOWN,
        help="print the report as one JSON document on stdout")
    quiet: bool = option("--quiet", False, EVERY, SHOWN,
        help="print only errors and the result")


# fmt: on
HOLDERS = (Job, CompareOptions, JudgeOptions, Workers, DemoOptions, UiOptions, CommandLine)
