"""The commands as functions of plain arguments: what `from verify import ...` gives, and what the command line calls."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from verify.files.location import parse_location
from verify.options import AnyPath, Job, Options, SourceOptions, job_of
from verify.progress import Silent, Watch
from verify.result import Result

if TYPE_CHECKING:
    from TTS.tts.models.xtts import Xtts
    from typing_extensions import Unpack

    from verify.results.clips import ClipsReport
    from verify.results.comparison import ComparisonReport


def _show_in_notebook(report: Result) -> str:
    from verify.report import notebook

    return notebook.render(report.to_json())


Result._repr_html_ = _show_in_notebook  # type: ignore[attr-defined]  # Jupyter looks for it; a result knows no view


def inspect(source: AnyPath | Job, **options: "Unpack[Options]") -> Result:
    """Say what is in the source and what would happen to it: no torch, no writing.

    Raises:
        ConversionError: the source cannot be used.
    """
    from verify.commands import inspect as command

    return command.inspect(_job(source, options))


def convert(source: AnyPath | Job, watch: Watch | None = None, **options: "Unpack[Options]") -> Result:
    """Turn a training checkpoint or a run folder into a model folder that has loaded strictly and spoken.

    Raises:
        ConversionError: it could not run; nothing was left behind.
    """
    from verify.commands import convert as command

    return command.convert(_job(source, options), watch)


def verify(source: AnyPath | Job, watch: Watch | None = None, **options: "Unpack[Options]") -> Result:
    """Load a model that exists already, strictly, and let it speak. Writes only where `output` names a folder.

    Raises:
        ConversionError: it could not run.
    """
    from verify.commands import verify as command

    return command.verify(_job(source, options), watch)


def compare(*sources: AnyPath, watch: Watch | None = None, **options: "Unpack[Options]") -> "ComparisonReport":
    """Let 2 to 26 models say the same, and tell how their tensors differ from the first's.

    Raises:
        ConversionError: the text, the voice, the output or the environment cannot be used. What is wrong with one
            model stands in the report.
        ValueError: there are fewer models, or more.
    """
    from verify.commands import compare as comparison

    if not 2 <= len(sources) <= comparison.MOST_MODELS:
        raise ValueError(f"compare takes 2 to {comparison.MOST_MODELS} models, not {len(sources)}")
    return comparison.compare(job_of(sources[0], **options), [parse_location(source) for source in sources], watch)


def load_xtts(source: AnyPath, *, device: str = "cpu", **options: "Unpack[SourceOptions]") -> "Xtts":
    """Return an `Xtts` that is ready to speak, in inference mode on the device: no file is written, no weight is copied.

    Args:
        source: a training checkpoint, a run folder or a model folder.
        device: "cpu", "cuda", "cuda:1" or "mps".

    Raises:
        ConversionError: the source cannot be read or does not load strictly; its `cause` is the first one found.
    """
    from verify.diagnosis.environment import import_coqui

    return import_coqui("verify.coqui.load").load_xtts(source, device, **options)


def judge(
    *clips: AnyPath, text: str | None = None, language: str = "en", expect: str = "speech", watch: Watch | None = None
) -> "ClipsReport":
    """Judge sound files alone; one that cannot be read is reported beside the others.

    Args:
        text: what is said in every one of them, where that is known.

    Raises:
        ConversionError: the text or the language cannot be used.
    """
    from verify.commands import judge as judging

    return judging.judge([Path(clip) for clip in clips], text, language, expect, watch or Silent())


def _job(source: AnyPath | Job, options: Options) -> Job:
    """Return the job of a source and its options, or the job that was passed, with options of its own replaced."""
    return replace(source, **options) if isinstance(source, Job) else job_of(source, **options)  # type: ignore[arg-type, misc]
