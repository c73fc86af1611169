"""The command `compare`: speak the same sentences with the same seeds and voice through several models in turn.

Memory holds the first model and, of the current one, only the tensors that differ from it.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from verify.audio.prompts import Script
from verify.background import Background
from verify.checkpoint import reader
from verify.checkpoint.tensor_stats import Scan
from verify.commands import steps
from verify.commands.hold import held, named
from verify.commands.own_vocabulary import plan_one_of
from verify.conversion import diff
from verify.conversion.diff import Difference, Held
from verify.errors import Cause, ConversionError, EnvironmentFault, cause_of
from verify.files import local, staging
from verify.files.location import Location
from verify.options import CompareOptions, Job
from verify.plan import Plan
from verify.progress import PrefixedProgress, Silent, Stopwatch, Watch
from verify.report.several import compare_page
from verify.result import Result
from verify.results.comparison import LETTERS, ComparedModel, ComparisonReport
from verify.source.find import STEP_NAME, input_paths
from verify.source.sampling import in_words, varied

MOST_MODELS = len(LETTERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A model to compare: its plan and its script, or the cause why it cannot be used."""

    model: ComparedModel
    plan: Plan | None = None
    script: Script | None = None


def compare(
    job: Job, sources: Sequence[Location], watch: Watch | None = None, asked: CompareOptions | None = None
) -> ComparisonReport:
    """Let every model speak the same script, and compare their tensors with those of the first.

    Args:
        job: the options for every model; its own source is ignored.
        asked: whether a model is a gate for the others, and the smallest differences that count.

    Raises:
        ConversionError: the text, the voice, the output or the environment cannot be used. A fault of one
            model is in the report instead.
    """
    watch, asked = watch or Silent(), asked or CompareOptions()
    columns_asked = _asked(job, sources)
    against = named(asked.not_worse_than, [source for _, source, _ in columns_asked], job)
    steps.require_sayable(job)
    if job.output:
        staging.check_target(job.output, _inputs(job, sources), job.force)
    candidates = _candidates(columns_asked)
    if sum(candidate.plan is not None for candidate in candidates) < 2:
        models = [
            replace(candidate.model, report=Result.of(candidate.plan)) if candidate.plan else candidate.model
            for candidate in candidates
        ]
        return _report(models, candidates)
    readable = sum(candidate.plan is not None for candidate in candidates)
    steps.tell_cost(_script(candidates), job, watch, readable)
    importing = steps.importing()
    if job.output is None:
        return held(_report(_compared(candidates, importing, None, watch), candidates), against, asked)
    with staging.staging(job.output) as stage:
        report = held(_report(_compared(candidates, importing, stage.folder, watch), candidates), against, asked)
        return report if report.causes else _publish(report, job, stage)


def _script(candidates: Sequence[_Candidate]) -> Script | None:
    """Return the script that all follow."""
    return next((candidate.script for candidate in candidates if candidate.plan), None)


def _inputs(job: Job, sources: Sequence[Location]) -> list[Location]:
    """Return every path that the user named: none of them may become the output."""
    inputs: list[Location] = []
    for source in sources:
        try:
            inputs += input_paths(replace(job, source=source, checkpoint="best"))
        except (ConversionError, OSError):
            inputs.append(source)  # the report says later why it cannot be used
    return inputs


def columns(models: int, job: Job) -> int:
    """Return how many models are heard: each with its own sampling, and once more with that of each `--vary`."""
    return models * (1 + len(job.vary))


def _asked(job: Job, sources: Sequence[Location]) -> list[tuple[Job, Location, str]]:
    """Return the job of each column, its source, and in words what `--vary` sets for it.

    Raises:
        OptionError: a `--vary` sets nothing of the sampling, or a value that cannot be.
    """
    settings = [(job, ""), *((varied(job, setting), in_words(setting)) for setting in job.vary)]
    return [(of_setting, source, words) for source in sources for of_setting, words in settings]


def _candidates(asked: Sequence[tuple[Job, Location, str]]) -> list[_Candidate]:
    """Plan each model; the first usable one determines the sentences, the language and the voice for all."""
    candidates: list[_Candidate] = []
    lead: tuple[Plan, Script | None] | None = None
    for number, (job, source, setting) in enumerate(asked):
        model = ComparedModel(name=LETTERS[number], path=str(source), setting=setting)
        try:
            planned = plan_one_of(_job_for(job, source))
            planned, script = follow(planned, *lead) if lead else (planned, steps.script_of(planned))
        except (ConversionError, OSError) as error:
            candidates.append(_Candidate(model=replace(model, cause=cause_of(error))))
            continue
        lead = lead or (planned, script)
        candidates.append(_Candidate(model=model, plan=planned, script=script))
    return candidates


def _job_for(job: Job, source: Location) -> Job:
    """Return the job for one model; a `--checkpoint` step applies to run folders, not to a model folder."""
    which = job.checkpoint
    if which not in ("best", "last") and source.is_dir():
        which = which if any(STEP_NAME.fullmatch(entry.name) for entry in source.iterdir()) else "best"
    return replace(job, source=source, checkpoint=which)


def follow(plan: Plan, lead: Plan, script: Script | None) -> tuple[Plan, Script | None]:
    """Return the plan and the script of a model that speaks the lead model's script in the same voice.

    Args:
        lead: the plan of the lead model.
        script: the script of the lead model.

    Raises:
        SourceError: the model lacks the language, or a vocabulary.
    """
    if script:
        job = replace(plan.job, texts=script.texts, standard_texts=False, held_out=None, language=script.language)
        plan = replace(plan, job=job, source=replace(plan.source, clips=lead.source.clips))
    own = steps.script_of(plan)
    return plan, replace(own, warnings=(), held_out=script.held_out if script else None) if own else None


def _compared(
    candidates: Sequence[_Candidate], importing: Background, folder: Path | None, watch: Watch
) -> list[ComparedModel]:
    """Read each model and let it speak, one after another; a model's own memory is freed before the next."""
    models: list[ComparedModel] = []
    first: tuple[str, Held] | None = None
    for candidate in candidates:
        if candidate.plan is None:
            models.append(candidate.model)
            continue
        clock = Stopwatch(PrefixedProgress(candidate.model.name, watch))
        try:
            data, scan, difference = _read(candidate.plan, first[1] if first else None, clock)
        except (ConversionError, OSError) as error:
            models.append(replace(candidate.model, cause=cause_of(error)))
            continue
        against = first[0] if first else None
        first = first or (candidate.model.name, Held(tensors=candidate.plan.ledger.written, data=data))
        result = steps.judge_bytes(Result.of(candidate.plan), scan, clock)
        result = _speak(result, candidate, data, importing, folder, clock)
        del data
        models.append(replace(candidate.model, report=result, against=against, difference=difference))
    return models


def _read(plan: Plan, first: Held | None, clock: Stopwatch) -> tuple[dict[str, Any], Scan, Difference | None]:
    """Read the model into memory, sharing the tensors that equal those of the first.

    Raises:
        ArchiveError: it is damaged.
    """
    tensors = plan.ledger.written
    with clock.step("scan", "reading the model", plan.ledger.written_bytes, "bytes") as progress:
        if first:
            return diff.read_beside(tensors, first, progress)
        return *reader.read_tensors(tensors, progress), None


def _speak(
    result: Result, candidate: _Candidate, data: Any, importing: Background, folder: Path | None, clock: Stopwatch
) -> Result:
    """Load the model strictly and let it speak; its clips are named after its letter.

    Raises:
        EnvironmentFault: the installed packages are at fault, for all models alike.
    """
    coqui, letter = steps.imported(importing, clock), candidate.model.name
    subfolder = folder / letter if folder else None
    if subfolder:
        subfolder.mkdir()
    try:
        result = coqui.load_and_speak(result, candidate.script, data, clock, folder=subfolder)
    except EnvironmentFault:
        raise
    except ConversionError as error:
        result = replace(result, causes=(*result.causes, error.cause))
    result = steps.with_seconds(result, clock)
    return _renamed(result, letter, folder, subfolder) if folder and subfolder else result


def _renamed(result: Result, letter: str, folder: Path, subfolder: Path) -> Result:
    """Move the clips of a model beside those of the others, as `<letter>-<number>.wav`; the reference is kept once."""
    samples = []
    for number, sample in enumerate(result.samples, start=1):
        name = f"{letter}-{number:02}.wav"
        (subfolder / str(sample.path)).rename(folder / name)
        stream = sample.stream
        if stream and stream.path:
            (subfolder / stream.path).rename(folder / f"{letter}-stream.wav")
            stream = replace(stream, path=f"{letter}-stream.wav")
        samples.append(replace(sample, path=name, stream=stream))
    for shared in (*subfolder.glob("reference.wav"), *subfolder.glob("held-out-*.wav")):
        shared.replace(folder / shared.name)
    shutil.rmtree(subfolder)
    return replace(result, samples=tuple(samples))


def _report(models: Sequence[ComparedModel], candidates: Sequence[_Candidate]) -> ComparisonReport:
    """Return the report; fewer than two readable models are an error."""
    readable = sum(model.report is not None for model in models)
    lead = next((candidate for candidate in candidates if candidate.plan), None)
    script, job = (lead.script, lead.plan.job) if lead and lead.plan else (None, None)
    too_few = Cause(
        code="nothing-to-compare",
        severity="error",
        message=f"{readable} of {len(models)} models could be read; a comparison needs two",
        hint="Each of the others has its cause above: mend or replace them, then compare again.",
    )
    return ComparisonReport(
        models=tuple(models),
        texts=script.texts if script else (),
        seeds=tuple(range(job.seed, job.seed + job.seeds)) if script and job else (),
        language=script.language if script else None,
        reference=script.reference if script else None,
        causes=(too_few,) if readable < 2 else (),
    )


def _publish(report: ComparisonReport, job: Job, stage: staging.Stage) -> ComparisonReport:
    """Write compare.json and compare.html beside the clips, and move the folder to its final name."""
    report = replace(report, output=str(stage.target))
    local.write_json(stage.folder / "compare.json", report.to_json())
    compare_page.write_page(report, stage.folder)
    staging.publish(stage, stage.target, replace=job.force)
    return report
