"""The commands as functions of plain arguments: what `from verify import ...` gives, and what the command line calls."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from verify.plan import Job, job_of
from verify.reporting.report import Report
from verify.watch import Silent, Watch

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from verify.reporting.clips import ClipsReport
    from verify.reporting.comparison import ComparisonReport

AnyPath = str | Path


class Options(TypedDict, total=False):
    """Every option, called as on the command line: those of `Request`, then those of `Job`."""

    checkpoint: str  # "best", "last" or a step
    config: AnyPath | None
    vocab: AnyPath | None
    base: AnyPath | None
    speaker_wavs: AnyPath | Iterable[AnyPath]
    follow: bool
    config_from_weights: bool
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


def inspect(source: AnyPath | Job, **options: "Unpack[Options]") -> Report:
    """Say what is in the source and what would happen to it: no torch, no writing.

    Raises:
        ConversionError: the source cannot be used.
    """
    from verify import pipeline

    return pipeline.inspect(_job(source, options))


def convert(source: AnyPath | Job, watch: Watch | None = None, **options: "Unpack[Options]") -> Report:
    """Turn a training checkpoint or a run folder into a model folder that has loaded strictly and spoken.

    Raises:
        ConversionError: it could not run; nothing was left behind.
    """
    from verify import pipeline

    return pipeline.convert(_job(source, options), watch)


def verify(source: AnyPath | Job, watch: Watch | None = None, **options: "Unpack[Options]") -> Report:
    """Load a model that exists already, strictly, and let it speak. Writes only where `output` names a folder.

    Raises:
        ConversionError: it could not run.
    """
    from verify import pipeline

    return pipeline.verify(_job(source, options), watch)


def compare(*sources: AnyPath, watch: Watch | None = None, **options: "Unpack[Options]") -> "ComparisonReport":
    """Let 2 to 26 models say the same, and tell how their tensors differ from the first's.

    Raises:
        ConversionError: the text, the voice, the output or the environment cannot be used. What is wrong with one
            model stands in the report.
        ValueError: there are fewer models, or more.
    """
    from verify import comparison

    if not 2 <= len(sources) <= comparison.MOST_MODELS:
        raise ValueError(f"compare takes 2 to {comparison.MOST_MODELS} models, not {len(sources)}")
    return comparison.compare(job_of(sources[0], **options), [Path(source) for source in sources], watch)


def judge(
    *clips: AnyPath, text: str | None = None, language: str = "en", expect: str = "speech", watch: Watch | None = None
) -> "ClipsReport":
    """Judge sound files alone; one that cannot be read is reported beside the others.

    Args:
        text: what is said in every one of them, where that is known.

    Raises:
        ConversionError: the text or the language cannot be used.
    """
    from verify import judging

    return judging.judge([Path(clip) for clip in clips], text, language, expect, watch or Silent())


def _job(source: AnyPath | Job, options: Options) -> Job:
    """Return the job of a source and its options, or the job that was passed, with options of its own replaced."""
    return replace(source, **options) if isinstance(source, Job) else job_of(source, **options)  # type: ignore[arg-type, misc]
