"""The command `sweep`: every checkpoint of every run speaks the same script; results are stored, and all are ranked."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from verify.audio.clips import Clip
from verify.audio.prompts import Script
from verify.commands.steps import require_sayable, tell_cost
from verify.diagnosis import environment
from verify.errors import Cause, OutputError
from verify.files.location import local_path
from verify.options import CHECKS, MODEL, SPEECH, Job, Workers, command
from verify.options.option import options_of
from verify.plan import Plan
from verify.progress import Silent, Watch
from verify.report.several import sweep_page
from verify.result import Result
from verify.results.comparison import ComparedModel
from verify.results.paired import hold_against
from verify.results.sweep import SweepReport
from verify.results.swept import SweptCheckpoint
from verify.results.trend import trends
from verify.source.find import input_paths
from verify.sweeping import candidates, ranking, ray_backend, store
from verify.sweeping.candidates import Candidate
from verify.sweeping.store import Store
from verify.sweeping.task import Outcome, Task
from verify.sweeping.workers import environment_of, gpus_for, job_count, run_tasks, worker_bytes

FOLDER = "sweep"
# Options of speech that say nothing of how the model is made or used.
LEFT_OUT = {"texts", "standard_texts", "held_out", "held_out_clips", "seed", "seeds", "device"}
# Options that are settled before the first word: the script says what came of them.
SETTLED = {
    "speaker_wavs",
    "texts",
    "standard_texts",
    "held_out",
    "held_out_clips",
    "language",
    "seed",
    "seeds",
    "transcribe",
}


def sweep(job: Job, runs: Sequence[Path], workers: Workers, watch: Watch | None = None) -> SweepReport:
    """Let every checkpoint speak the same script, rank them, and write a page to listen to them.

    Args:
        job: the options for every checkpoint; its own source is ignored.

    Raises:
        ConversionError: the text, the voice, the output, the environment or a source cannot be used. A fault of
            one checkpoint is in the report instead.
        KeyboardInterrupt: the user interrupted; where results are stored, the message says how to resume.
    """
    watch, began = watch or Silent(), time.perf_counter()
    require_sayable(job)
    paths = candidates.find(runs)
    target = local_path(job.output) if job.output else candidates.common_folder(paths) / FOLDER
    if target is None:
        message = f"sweep writes each result as it comes, which needs a folder of this machine, not {job.output}"
        raise OutputError("cannot-write", message, "Pass a folder with -o DIR.")
    inputs = [*runs, *input_paths(replace(job, source=paths[0]))]
    prepared = candidates.prepare(job, paths, watch)
    lead = next((candidate for candidate in prepared if candidate.plan), None)
    if lead is None or lead.script is None:
        return _report(prepared, {}, None, workers, began)
    tell_cost(lead.script, job, watch, sum(bool(item.plan and not item.copy_of) for item in prepared))
    settings = _settings(job, lead.script, workers)
    with store.opened(target, inputs, settings, job.force) as opened:
        try:
            outcomes = _outcomes(prepared, opened, workers, watch)
            report = _report(prepared, outcomes, lead.script, workers, began)
            report = replace(report, settings=settings, output=str(target))
            sweep_page.write(report, opened.folder, opened.write)
        except KeyboardInterrupt as stop:
            if opened.is_empty:
                raise
            raise KeyboardInterrupt(f"what is finished is in {target}: the same command goes on from there") from stop
    return report


def _settings(job: Job, script: Script, workers: Workers) -> dict[str, Any]:
    """Return everything but their own weights that the samples of all checkpoints depend on."""
    asked = {
        item.name: getattr(job, item.name)
        for item, option in options_of(job)
        if "sweep" in option.commands and option.group in (SPEECH, CHECKS) and item.name not in SETTLED
    }
    packages = {name: version for name, version in environment.versions().items() if name != "python"}
    return {
        "texts": list(script.texts),
        "seeds": list(range(job.seed, job.seed + job.seeds)),
        "language": script.language,
        "reference": _digest(script.clips),
        **({"held_out": _digest(script.held_out.clips)} if script.held_out else {}),
        "whisper": str(script.whisper.folder) if script.whisper else None,
        "base": str(job.base) if job.base else None,
        **asked,
        "threads": workers.threads,
        "packages": packages,
    }


def _digest(clips: Sequence[Clip]) -> str:
    """Return a hash of the sound of clips."""
    digest = sha256()
    for clip in clips:
        digest.update(str(clip.rate_hz).encode() + clip.samples.tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """The result of a checkpoint, computed now or stored by an earlier process."""

    found: dict[str, Any] | None
    cause: Cause | None = None
    resumed: bool = False


def _outcomes(prepared: Sequence[Candidate], results: Store, workers: Workers, watch: Watch) -> dict[str, _Outcome]:
    """Return the outcome of each checkpoint by name; each is stored as soon as it is finished."""
    outcomes, todo = dict[str, _Outcome](), list[Candidate]()
    for candidate in prepared:
        if candidate.identity is None or candidate.copy_of:
            continue
        stored = results.result_of(candidate.identity)
        if stored:
            outcomes[candidate.name] = _Outcome(found=stored, resumed=True)
        else:
            todo.append(candidate)
    with watch.step("letting the checkpoints speak", len(todo), "checkpoints") as progress:
        for number, outcome in _run(todo, workers, progress):
            candidate = todo[number]
            if outcome.found and not outcome.cause and candidate.identity:
                results.add(candidate.identity, outcome)
            outcomes[candidate.name] = _Outcome(found=outcome.found, cause=outcome.cause)
            progress(1)
    return outcomes


def _run(todo: Sequence[Candidate], workers: Workers, progress: Callable[[int], None]) -> Iterator[tuple[int, Outcome]]:
    """Yield the number of each checkpoint with its outcome, as they finish."""
    tasks = [
        Task(plan=candidate.plan, script=candidate.script, threads=workers.threads)
        for candidate in todo
        if candidate.plan and candidate.script
    ]
    if not tasks:
        return
    needed = worker_bytes(task.plan for task in tasks)
    if workers.ray:
        yield from ray_backend.run(tasks, workers.ray, needed)
        return
    gpus = gpus_for(tasks[0].plan.job.device) if len(tasks) > 1 and workers.jobs != 1 else ()
    jobs = min(workers.jobs or job_count(len(tasks), workers.threads, needed, len(gpus)), len(tasks))
    gpu_of = [gpus[number % len(gpus)] if gpus else None for number in range(jobs)]
    yield from run_tasks(tasks, [environment_of(workers.threads, gpu) for gpu in gpu_of], progress)


def _report(
    prepared: Sequence[Candidate],
    outcomes: dict[str, _Outcome],
    script: Script | None,
    workers: Workers,
    began: float,
) -> SweepReport:
    """Return the report: the ranked checkpoints first, then the others."""
    swept = [_swept(candidate, outcomes.get(candidate.name)) for candidate in prepared]
    criteria = ranking.read_criteria(swept)
    by_rank = ranking.ranked(swept, criteria)
    heard = [checkpoint for checkpoint in by_rank if checkpoint.rank]
    return SweepReport(
        checkpoints=by_rank,
        ranking=criteria,
        paired=tuple(
            hold_against(other.name, other.samples, heard[0].name, heard[0].samples, criteria) for other in heard[1:]
        ),
        trends=trends(by_rank, criteria),
        reference=script.reference if script else None,
        jobs=workers.jobs,
        ray=workers.ray,
        seconds=time.perf_counter() - began,
    )


def _swept(candidate: Candidate, outcome: _Outcome | None) -> SweptCheckpoint:
    """Return a checkpoint with its result; without one, with what its plan says."""
    cause = outcome.cause if outcome else candidate.cause
    found = outcome.found if outcome and outcome.found else None
    if found is None or cause:
        result = Result.of(candidate.plan) if candidate.plan else None
        found = ComparedModel(name="", path="", report=result, cause=cause).to_json()
    folder = store.folder_name(candidate.identity) if found["samples"] and candidate.identity else None
    return SweptCheckpoint(
        name=candidate.name,
        run=candidate.run,
        path=str(candidate.path),
        copy_of=candidate.copy_of,
        resumed=bool(outcome and outcome.resumed),
        folder=f"{store.RESULTS}/{folder}" if folder else None,
        found=found,
        command=_command(candidate.plan, candidate.path) if candidate.plan and not candidate.copy_of else None,
    )


def _command(plan: Plan, path: Path) -> str:
    """Return what turns a checkpoint into a model folder, with all that the sweep was told of the model and the voice."""
    asked = {
        item.name: getattr(plan.job, item.name)
        for item, option in options_of(plan.job)
        if "convert" in option.commands
        and (item.name == "expect" or (option.group in (MODEL, SPEECH) and item.name not in LEFT_OUT))
    }
    return command(Job(**{**asked, "source": path, "checkpoint": "best"}), "convert")
