"""The commands as functions of plain arguments, for `from verify import ...` and for the command line."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verify.errors import OptionError
from verify.files.location import parse_location
from verify.options import (
    AnyPath,
    CompareOptions,
    Expect,
    Job,
    JudgeOptions,
    Options,
    SourceOptions,
    Workers,
    job_of,
    names_of,
)
from verify.options.option import require_known
from verify.progress import Silent, Watch
from verify.result import Result

if TYPE_CHECKING:
    from TTS.tts.models.xtts import Xtts
    from typing_extensions import Unpack

    from verify.audio.clips import Clip
    from verify.profiles.profile import Profile
    from verify.report.env import EnvironmentReport
    from verify.report.explain import ExplanationReport
    from verify.results.clips import ClipsReport
    from verify.results.comparison import ComparisonReport
    from verify.results.sweep import SweepReport
    from verify.results.votes import VotesReport


def _show_in_notebook(report: Result) -> str:
    from verify.report import notebook

    return notebook.render(report.to_json())


Result._repr_html_ = _show_in_notebook  # type: ignore[attr-defined]  # for Jupyter; set here, as a result imports no report


def inspect(source: AnyPath | Job, **options: "Unpack[Options]") -> Result:
    """Return what is in the source and what would happen to it, without torch and without writing.

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
    """Load an existing model strictly and let it speak. Writes only where `output` names a folder.

    Raises:
        ConversionError: it could not run.
    """
    from verify.commands import verify as command

    return command.verify(_job(source, options), watch)


def dry_run(source: AnyPath | Job, **options: "Unpack[Options]") -> Result:
    """Return what `convert` would do, refuse what it would refuse, and write nothing.

    Raises:
        ConversionError: as `convert` would, before its long work.
    """
    from verify.commands import convert as command

    return command.dry_run(_job(source, options))


def compare(
    *sources: AnyPath,
    job: Job | None = None,
    not_worse_than: str | None = None,
    margins: Iterable[str] = (),
    watch: Watch | None = None,
    **options: "Unpack[Options]",
) -> "ComparisonReport":
    """Let 2 to 26 models speak the same script, and compare their tensors with those of the first.

    Args:
        job: the options as a job, whose own source is ignored.
        not_worse_than: the letter or the path of the model that none of the others may be worse than.
        margins: the smallest differences that count, each as `"DNSMOS overall=0.2"`.

    Raises:
        ConversionError: there are fewer models, or more; the text, the voice, the output or the environment cannot be
            used. A fault of one model is in the report instead.
    """
    from verify.commands import compare as comparison

    checked = _job(job or next(iter(sources), ""), options)
    heard = comparison.columns(len(sources), checked)
    if not 2 <= heard <= comparison.MOST_MODELS:  # each has a letter
        message = f"compare takes 2 to {comparison.MOST_MODELS} models, not {heard}"
        hint = "To hear one model under two samplings, add --vary NAME=VALUE." if heard == 1 else ""
        raise OptionError("bad-option", message, hint)
    locations = [parse_location(source) for source in sources]
    asked = CompareOptions(not_worse_than=not_worse_than, margins=margins)  # type: ignore[arg-type]  # read as options are
    return comparison.compare(checked, locations, watch, asked)


def count_votes(*files: AnyPath) -> "VotesReport":
    """Count what listeners chose on the page of a comparison and saved, a file each: who won, and how sure that is.

    Raises:
        ConversionError: a file cannot be read, or is of another comparison than the first.
    """
    from verify.commands import votes

    return votes.count(list(map(Path, files)))


def sweep(
    *runs: AnyPath,
    job: Job | None = None,
    jobs: int | None = None,
    threads: int = 1,
    ray: str | None = None,
    watch: Watch | None = None,
    **options: "Unpack[Options]",
) -> "SweepReport":
    """Let every checkpoint of every run speak the same script, rank them, and write a page to listen to them.

    Args:
        job: the options as a job, whose own source is ignored.
        jobs: number of worker processes; None means as many as cores, memory and GPUs allow.
        threads: threads of each worker; the samples depend on it.
        ray: address of a Ray cluster to run on.

    Raises:
        ConversionError: the text, the voice, the output, the environment or a run cannot be used. A fault of
            one checkpoint is in the report instead.
    """
    workers = Workers(jobs=jobs, threads=threads, ray=ray)
    if not runs:
        raise OptionError("bad-option", "sweep takes at least one run")
    checked = _job(job or runs[0], options)
    from verify.sweeping import sweep as sweeping

    return sweeping.sweep(checked, [Path(run) for run in runs], workers, watch)


def load_xtts(source: AnyPath, *, device: str = "cpu", **options: "Unpack[SourceOptions]") -> "Xtts":
    """Return an `Xtts` that is ready to speak, in inference mode on the device: no file is written, no weight is copied.

    Args:
        source: a training checkpoint, a run folder or a model folder.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps"; "auto" is CUDA where there is one, else the CPU.

    Raises:
        ConversionError: the source cannot be read or does not load strictly, or the device is not there; its `cause` is
            the first error.
    """
    chosen = job_of(source, device=device, **options).device  # a bad option is refused before torch is imported
    if "," in chosen:
        raise OptionError("bad-option", f"--device {chosen[:40]!r}: a model is on one device", "Pass one of them.")
    return _coqui("verify.coqui.load").load_xtts(source, chosen, **options)


def judge(
    *clips: AnyPath,
    text: str | None = None,
    language: str = "en",
    expect: Expect = "speech",
    watch: Watch | None = None,
) -> "ClipsReport":
    """Judge sound files alone; one that cannot be read is reported beside the others.

    Args:
        text: what all of them say, if known.

    Raises:
        ConversionError: the text, the language or `expect` cannot be used.
    """
    checked = JudgeOptions(text=text, language=language, expect=expect)
    from verify.commands import judge as judging

    paths = [Path(clip) for clip in clips]
    return judging.judge(paths, checked.text, checked.language, checked.expect, watch or Silent())


def explain(text: str | bytes) -> "ExplanationReport":
    """Explain a load error from its text, from 'Traceback' to its last line: what it means, and what to do.

    Raises:
        ConversionError: the text contains no load error (`no-load-error`).
    """
    from verify.diagnosis import explain as diagnosis
    from verify.report.explain import ExplanationReport

    return ExplanationReport(explanation=diagnosis.explain(text))


def inspect_environment(watch: Watch | None = None) -> "EnvironmentReport":
    """Check the installed packages and devices with a tiny random model, without a checkpoint."""
    from verify.commands import env

    return env.examine(watch or Silent())


def list_profiles() -> "tuple[Profile, ...]":
    """Return the profiles of the programs that a model can be converted for."""
    from verify.profiles import profile

    return tuple(map(profile.read, profile.names()))


def read_clip(path: AnyPath) -> "Clip":
    """Return a sound file as samples.

    Raises:
        ConversionError: it does not exist or is not audio.
    """
    from verify.audio import clips

    return clips.read_clip(Path(path))


def condition(model: "Xtts", *clips: "Clip | AnyPath") -> Any:
    """Return the voice of the clips, for `speak`.

    Raises:
        ConversionError: a clip cannot be read.
    """
    loaded = [read_clip(clip) if isinstance(clip, str | Path) else clip for clip in clips]
    return _coqui("verify.coqui.synthesis").condition(model, loaded)


def speak(
    model: "Xtts",
    voice: Any,
    text: str,
    language: str = "en",
    seed: int = 0,
    *,
    progress: Callable[[int], None] = lambda _: None,
    **sampling: float,
) -> Any:
    """Synthesize the text in a voice from `condition`; the result has `samples`, `rate_hz` and `seconds`.

    Args:
        progress: is called with the tokens and layers done since; what it raises ends the sentence.
        sampling: `temperature`, `top_k` and their like as the command line has them, in place of those of the model's config.

    Raises:
        ConversionError: the code of coqui-tts fails on the text, or a setting is none.
    """
    from verify.source.sampling import NAMES

    require_known(sampling, NAMES)
    asked = job_of(".", **sampling)
    synthesis = _coqui("verify.coqui.synthesis")
    settings = replace(synthesis.sampling_of_model(model), **{name: getattr(asked, name) for name in sampling})
    return synthesis.speak(model, voice, text, language, seed, progress, settings)


def _coqui(module: str) -> Any:
    from verify.diagnosis.environment import import_coqui

    return import_coqui(module)


def _job(source: AnyPath | Job, options: Options) -> Job:
    """Return the job of a source with its options; where the source is a job, a copy with these options replaced."""
    if not isinstance(source, Job):
        return job_of(source, **options)
    require_known(options, names_of(Job))
    return replace(source, **options)  # type: ignore[arg-type]  # read by the field's own option
