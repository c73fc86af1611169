"""The options of the library, called as on the command line, for type checkers and editors."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

AnyPath = str | Path


class SourceOptions(TypedDict, total=False):
    """What helps to read a source: the fields of `Request`."""

    checkpoint: str  # "best", "last" or a step
    config: AnyPath | None
    vocab: AnyPath | None
    base: AnyPath | None
    speaker_wavs: AnyPath | Iterable[AnyPath]
    speakers: str | Iterable[str]  # "NAME=FILE": voices to make
    follow: bool
    config_from_weights: bool


class Options(SourceOptions, total=False):
    """Those and the fields of `Job`."""

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
