"""The options as keywords of the library's functions."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypedDict

from verify.options.job import Card, Dtype, Expect, Format, Job
from verify.options.option import names_of, require_known

AnyPath = str | Path


class SourceOptions(TypedDict, total=False):
    """The fields of `Job` that help to read a source, for type checkers and editors."""

    checkpoint: str  # "best", "last" or a step
    config: AnyPath | None
    vocab: AnyPath | None
    base: AnyPath | None
    speaker_wavs: AnyPath | Iterable[AnyPath]
    speakers: str | Iterable[str]  # "NAME=FILE": voices to make
    follow: bool
    config_from_weights: bool


class Options(SourceOptions, total=False):
    """All fields of `Job` except the source, for type checkers and editors."""

    voice: str | None  # of the model's own speakers file
    output: AnyPath | None
    texts: str | Iterable[str]
    standard_texts: bool
    held_out: str | None  # "auto", or the folder or the metadata file of the dataset
    held_out_clips: int
    language: str | None
    seed: int
    seeds: int
    temperature: float | None
    top_k: int | None
    top_p: float | None
    repetition_penalty: float | None
    length_penalty: float | None
    speed: float | None
    save_sampling: bool
    vary: str | Iterable[str]
    transcribe: str | None
    prove: bool
    stream: bool
    device: str
    pythons: AnyPath | Iterable[AnyPath]  # other Pythons that are to load and speak it
    expect: Expect
    sample: bool
    verify: bool
    force: bool
    keep_failed: bool
    format: Format
    hash_source: bool
    dtype: Dtype
    card: Card
    profile: str | None  # the program that is to run the result


def job_of(source: AnyPath, **options: Any) -> Job:
    """Return the job of a source and keyword options, which are the fields of `Job`.

    Raises:
        OptionError: an option does not exist, or its value is invalid.
    """
    require_known(options, names_of(Job) - {"source"})
    return Job(source=source, **options)  # type: ignore[arg-type]  # read by the field's own option
