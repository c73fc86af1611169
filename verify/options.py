"""The options of the library, called as on the command line, for type checkers and editors."""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypedDict

from verify.checks import Check
from verify.conversion import dtypes
from verify.files.location import Location, parse_location

AnyPath = str | Path


class SourceOptions(TypedDict, total=False):
    """What helps to read a source: those fields of `Job`."""

    checkpoint: str  # "best", "last" or a step
    config: AnyPath | None
    vocab: AnyPath | None
    base: AnyPath | None
    speaker_wavs: AnyPath | Iterable[AnyPath]
    speakers: str | Iterable[str]  # "NAME=FILE": voices to make
    follow: bool
    config_from_weights: bool


class Options(SourceOptions, total=False):
    """All fields of `Job` but the source."""

    output: AnyPath | None
    texts: str | Iterable[str]
    language: str | None
    seed: int
    seeds: int
    transcribe: str | None
    prove: bool
    device: str
    expect: str  # "speech" or "sound"
    sample: bool
    verify: bool
    force: bool
    keep_failed: bool
    format: str  # "pth" or "safetensors"
    dtype: str  # "keep", "float32", "float16" or "bfloat16"
    profile: str | None  # the program that is to run the result


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the user asked for; of a path, None means: find it."""

    source: Location
    checkpoint: str = "best"
    config: Location | None = None
    vocab: Location | None = None
    base: Location | None = None
    speaker_wavs: tuple[Location, ...] = ()
    speakers: tuple[str, ...] = ()  # NAME=FILE: clips of voices that the result is to know by name
    follow: bool = True  # whether paths inside the config may lead out of the run folder
    config_from_weights: bool = False  # let the weights correct the config
    output: Location | None = None
    texts: tuple[str, ...] = ()
    language: str | None = None
    seed: int = 0
    seeds: int = 1  # takes of each sentence, with consecutive seeds
    transcribe: str | None = None  # a faster-whisper model
    prove: bool = False  # let the original speak beside the converted model
    device: str = "auto"
    expect: str = "speech"
    sample: bool = True
    verify: bool = True
    force: bool = False
    keep_failed: bool = False
    format: str = dtypes.PTH
    dtype: str = dtypes.KEEP
    profile: str | None = None  # the program that is to run the result

    def __post_init__(self) -> None:
        # A library's user may well pass text, and one clip where there may be several.
        for name in ("source", "config", "vocab", "base", "output"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, parse_location(value))
        clips = [self.speaker_wavs] if isinstance(self.speaker_wavs, (str, Path)) else self.speaker_wavs
        object.__setattr__(self, "speaker_wavs", tuple(map(parse_location, clips)))
        object.__setattr__(
            self, "speakers", (self.speakers,) if isinstance(self.speakers, str) else tuple(self.speakers)
        )
        object.__setattr__(self, "texts", (self.texts,) if isinstance(self.texts, str) else tuple(self.texts))
        if self.expect not in ("speech", "sound"):
            raise ValueError(f"expect is {self.expect!r}: pass 'speech' or 'sound'")

    def demands(self, checks: Iterable[Check], heard: bool) -> frozenset[str]:
        """Return the names of those checks that decide the verdict.

        Args:
            heard: whether the model spoke; where it did not, untrained weights are no reason to refuse it.
        """
        is_speech = heard and self.expect == "speech"
        return frozenset(check.name for check in checks if is_speech or check.basic)


def job_of(source: str | Path, **options: Any) -> Job:
    """Return the job of keyword options, which are the fields of `Job`.

    Raises:
        TypeError: there is no such option.
    """
    return Job(source=parse_location(source), **options)


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
    source = job.source
    # A folder may be called like a command, or begin like an option.
    first = str(source) if "/" in str(source) or "\\" in str(source) else f"./{source}"
    return [first, *_options(job)]


def _options(job: Job) -> Iterator[str]:
    """Yield the options for the fields that differ from their default."""
    for field in fields(job):
        value = getattr(job, field.name)
        if field.name == "source" or value == field.default:
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
