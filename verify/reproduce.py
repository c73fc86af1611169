"""The command line of a job: what to type to have the same again."""

import shlex
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from verify.plan import Job

# Fields that are not called like their option; every other one is.
_OPTIONS = {"texts": "text", "speaker_wavs": "speaker-wav", "speakers": "speaker"}
_TAKEN_AWAY = {"sample", "verify", "follow"}  # True unless `--no-NAME`
_PROGRAM = "python convert_and_verify.py"


def command(job: Job, name: str) -> str:
    """Return the command with every option that differs from its default, quoted for a POSIX shell.

    Args:
        name: `convert`, which needs no name, or another command.
    """
    return " ".join([_PROGRAM, *([name] if name != "convert" else []), *map(shlex.quote, words(job))])


def words(job: Job) -> list[str]:
    """Return the words behind the command's name: the source, and every option that differs from its default."""
    source = job.request.source
    # A folder may be called like a command, or begin like an option.
    first = str(source) if "/" in str(source) or "\\" in str(source) else f"./{source}"
    return [first, *_options(job.request, skip="source"), *_options(job, skip="request")]


def _options(holder: Any, skip: str) -> Iterator[str]:
    """Yield the options for the fields of a dataclass that differ from their default."""
    for field in fields(holder):
        value = getattr(holder, field.name)
        default = field.default if field.default is not MISSING else None
        if field.name == skip or value == default:
            continue
        option = f"--{_OPTIONS.get(field.name, field.name).replace('_', '-')}"
        if field.name in _TAKEN_AWAY:
            yield f"--no-{field.name}"
        elif value is True:
            yield option
        else:
            for one in value if isinstance(value, tuple) else (value,):
                yield from _with_value(option, one)


def _with_value(option: str, value: str | int | Path) -> Iterator[str]:
    """Yield an option and its value, in one word where the value begins like an option."""
    if str(value).startswith("-"):
        yield f"{option}={value}"
    else:
        yield option
        yield str(value)
