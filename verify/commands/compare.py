"""The command `compare`: the same sentences, seeds and voice through several models, one after another.

In memory are the first model and, of the one that speaks, what differs from it: tensors that are the same are there once.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from verify.audio.prompts import Script, reference_clips, require_few, require_text
from verify.background import Background
from verify.checkpoint import reader
from verify.checkpoint.tensor_stats import Scan
from verify.commands.steps import judge_bytes, script_of
from verify.conversion import diff
from verify.conversion.diff import Difference, Held
from verify.diagnosis import environment
from verify.errors import Cause, ConversionError, EnvironmentFault, cause_of
from verify.files import staging
from verify.files.location import Location
from verify.options import Job
from verify.plan import Plan, plan
from verify.progress import Lettered, Silent, Watch, timed
from verify.report import compare_page
from verify.report.compare import ComparedModel, ComparisonReport
from verify.result import Result
from verify.source.companions import Found
from verify.source.find import STEP_NAME, input_paths, missing

MOST_MODELS = 26  # each has a letter


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A model that is about to be compared: its plan and what it will say, or why it cannot be used."""

    model: ComparedModel
    plan: Plan | None = None
    script: Script | None = None


def compare(job: Job, sources: Sequence[Location], watch: Watch | None = None) -> ComparisonReport:
    """Let each model say the same, and tell how their tensors differ from the first's.

    Args:
        job: what applies to each of them; its own source is not looked at.

    Raises:
        ConversionError: the text, the voice, the output or the environment cannot be used. What is wrong with one
            model stands in the report.
    """
    watch = watch or Silent()
    require_sayable(job)
    if job.output:
        staging.check_target(job.output, _inputs(job, sources), job.force)
    entries = _entries(job, sources)
    if sum(entry.plan is not None for entry in entries) < 2:
        models = [replace(entry.model, report=entry.plan.report()) if entry.plan else entry.model for entry in entries]
        return _told(models, entries)
    rooms = Background(environment.import_coqui, "verify.coqui.run")
    if job.output is None:
        return _told(_each(entries, rooms, None, watch), entries)
    with staging.staging(job.output) as stage:
        report = _told(_each(entries, rooms, stage.folder, watch), entries)
        return report if report.causes else _publish(report, job, stage)


def require_sayable(job: Job) -> None:
    """Refuse at once what no model could say, and a voice that none could take.

    Raises:
        SourceError: with what is wrong.
    """
    for text in job.texts:
        require_text(text)
    require_few(len(job.texts) or 1, job.seeds)
    for path in job.speaker_wavs:
        if not path.exists():
            raise missing(path)
    reference_clips([Found(path=path, origin="--speaker-wav") for path in job.speaker_wavs])


def _inputs(job: Job, sources: Sequence[Location]) -> list[Location]:
    """Return every path that the user named: none of them may become the output."""
    inputs: list[Location] = []
    for source in sources:
        try:
            inputs += input_paths(replace(job, source=source, checkpoint="best"))
        except (ConversionError, OSError):
            inputs.append(source)  # why it cannot be used is told later
    return inputs


def _entries(job: Job, sources: Sequence[Location]) -> list[_Entry]:
    """Plan each model. The first that can be used gives the sentences, the language and the voice for all."""
    entries: list[_Entry] = []
    lead: tuple[Plan, Script | None] | None = None
    for number, source in enumerate(sources):
        model = ComparedModel(name=chr(ord("A") + number), path=str(source))
        try:
            planned = plan(_job_for(job, source))
            planned, script = follow(planned, *lead) if lead else (planned, script_of(planned))
        except (ConversionError, OSError) as error:
            entries.append(_Entry(model=replace(model, cause=cause_of(error))))
            continue
        lead = lead or (planned, script)
        entries.append(_Entry(model=model, plan=planned, script=script))
    return entries


def _job_for(job: Job, source: Location) -> Job:
    """Return the job for one model; a step means checkpoints of runs, not the only one of a model folder."""
    which = job.checkpoint
    if which not in ("best", "last") and source.is_dir():
        which = which if any(STEP_NAME.fullmatch(entry.name) for entry in source.iterdir()) else "best"
    return replace(job, source=source, checkpoint=which)


def follow(planned: Plan, lead: Plan, said: Script | None) -> tuple[Plan, Script | None]:
    """Return the plan and the script of a model that is to say what the leading one says, in the same voice.

    Raises:
        SourceError: it has not the language, or no vocabulary.
    """
    if said:
        job = replace(planned.job, texts=said.texts, language=said.language)
        planned = replace(planned, job=job, source=replace(planned.source, clips=lead.source.clips))
    script = script_of(planned)
    return planned, replace(script, warnings=()) if script else None


def _each(entries: Sequence[_Entry], rooms: Background, folder: Path | None, watch: Watch) -> list[ComparedModel]:
    """Read and hear one model after another; what one of them takes for itself is let go before the next."""
    models: list[ComparedModel] = []
    first: tuple[str, Held] | None = None
    for entry in entries:
        if entry.plan is None:
            models.append(entry.model)
            continue
        progress = Lettered(entry.model.name, watch)
        try:
            data, scan, found = _read(entry.plan, first[1] if first else None, progress)
        except (ConversionError, OSError) as error:
            models.append(replace(entry.model, cause=cause_of(error)))
            continue
        against = first[0] if first else None
        first = first or (entry.model.name, Held(tensors=entry.plan.ledger.written, data=data))
        report = _hear(entry, entry.plan, judge_bytes(entry.plan, scan, progress), data, rooms, folder, progress)
        del data
        models.append(replace(entry.model, report=report, against=against, difference=found))
    return models


def _read(planned: Plan, first: Held | None, watch: Watch) -> tuple[dict[str, Any], Scan, Difference | None]:
    """Read the model into memory, beside the first one where there is one.

    Raises:
        ArchiveError: it is damaged.
    """
    tensors, seconds = planned.ledger.written, planned.seconds
    with watch.step("reading the model", planned.ledger.written_bytes, "bytes") as progress, timed(seconds, "scan"):
        if first:
            return diff.read_beside(tensors, first, progress)
        return *reader.read_tensors(tensors, progress), None


def _hear(
    entry: _Entry, planned: Plan, report: Result, data: Any, rooms: Background, folder: Path | None, watch: Watch
) -> Result:
    """Load the model strictly and let it speak; its clips are named by its letter.

    Raises:
        EnvironmentFault: the installed packages are at fault, for all models alike.
    """
    with watch.step("importing coqui-tts"), timed(planned.seconds, "import"):
        audition: Callable[..., Result] = rooms.wait().audition
    own = folder / entry.model.name if folder else None
    if own:
        own.mkdir()
    try:
        report = audition(planned, report, entry.script, watch, folder=own, data=data)
    except EnvironmentFault:
        raise
    except ConversionError as error:
        report = replace(report, causes=(*report.causes, error.cause))
    return _renamed(report, entry.model.name, folder, own) if folder and own else report


def _renamed(report: Result, letter: str, folder: Path, own: Path) -> Result:
    """Move the clips of a model beside those of the others, as `<letter>-<take>.wav`; the reference is there once."""
    samples = []
    for number, take in enumerate(report.samples, start=1):
        name = f"{letter}-{number:02}.wav"
        (own / take["path"]).rename(folder / name)
        samples.append({**take, "path": name})
    if (own / "reference.wav").exists():
        (own / "reference.wav").replace(folder / "reference.wav")
    shutil.rmtree(own)
    return replace(report, samples=tuple(samples))


def _told(models: Sequence[ComparedModel], entries: Sequence[_Entry]) -> ComparisonReport:
    """Return the report; it is an error where fewer than two models could be read."""
    readable = sum(model.report is not None for model in models)
    lead = next((entry for entry in entries if entry.plan), None)
    script, job = (lead.script, lead.plan.job) if lead and lead.plan else (None, None)
    few = Cause(
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
        causes=(few,) if readable < 2 else (),
    )


def _publish(report: ComparisonReport, job: Job, stage: staging.Stage) -> ComparisonReport:
    """Write compare.json and compare.html beside the clips, and give the folder its name."""
    report = replace(report, output=str(stage.target))
    staging.write_json(stage.folder / "compare.json", report.to_json())
    compare_page.write_page(report, stage.folder)
    staging.publish(stage, stage.target, replace=job.force)
    return report
