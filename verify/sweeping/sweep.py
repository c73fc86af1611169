"""The command `sweep`: every checkpoint of every run says the same; what is finished is kept, and all are ranked."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from verify.audio.prompts import Script
from verify.commands.compare import require_sayable
from verify.diagnosis import environment
from verify.errors import Cause, OutputError
from verify.files.location import local_path
from verify.options import Job
from verify.progress import Silent, Watch
from verify.report import sweep_page
from verify.report.compare import ComparedModel
from verify.report.sweep import SweepReport, SweptCheckpoint, ranked
from verify.result import Result
from verify.source.find import input_paths
from verify.sweeping import candidates, ray_backend, store, workers
from verify.sweeping.candidates import Contender
from verify.sweeping.store import Store
from verify.sweeping.task import Outcome, Task

FOLDER = "sweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """Who does the work: so many processes here, as many as there is room for, or a Ray cluster."""

    jobs: int | None = None
    threads: int = 1  # of each; the samples depend on it, so it does not follow the machine
    ray: str | None = None


def sweep(job: Job, runs: Sequence[Path], hands: Hands, watch: Watch | None = None) -> SweepReport:
    """Let every checkpoint say the same, rank them, and leave a page to listen through.

    Args:
        job: what applies to each of them; its own source is not looked at.

    Raises:
        ConversionError: the text, the voice, the output, the environment or a source cannot be used. What is wrong
            with one checkpoint stands in the report.
        KeyboardInterrupt: with what is left, and how to go on.
    """
    watch, began = watch or Silent(), time.perf_counter()
    require_sayable(job)
    paths = candidates.find(runs)
    target = local_path(job.output) if job.output else candidates.common_folder(paths) / FOLDER
    if target is None:
        message = f"sweep writes each result as it comes, which needs a folder of this machine, not {job.output}"
        raise OutputError("cannot-write", message, "Pass a folder with -o DIR.")
    inputs = [*runs, *input_paths(replace(job, source=paths[0]))]
    found = candidates.prepare(job, paths, watch)
    lead = next((one for one in found if one.plan), None)
    if lead is None or lead.script is None:
        return _report(found, {}, None, hands, began)
    settings = _settings(job, lead.script, hands)
    with store.opened(target, inputs, settings, job.force) as kept:
        try:
            results = _hear(found, kept, hands, watch)
            report = replace(_report(found, results, lead.script, hands, began), settings=settings, output=str(target))
            sweep_page.write(report, kept.folder, kept.write)
        except KeyboardInterrupt as stop:
            if kept.is_empty:
                raise
            raise KeyboardInterrupt(f"what is finished is in {target}: the same command goes on from there") from stop
    return report


def _settings(job: Job, script: Script, hands: Hands) -> dict[str, Any]:
    """Return what all checkpoints have in common, and what their samples depend on beside their own weights."""
    voice = sha256()
    for clip in script.clips:
        voice.update(str(clip.rate_hz).encode() + clip.samples.tobytes())
    packages = {name: version for name, version in environment.versions().items() if name != "python"}
    return {
        "texts": list(script.texts),
        "seeds": list(range(job.seed, job.seed + job.seeds)),
        "language": script.language,
        "reference": voice.hexdigest(),
        "whisper": str(script.whisper) if script.whisper else None,
        "base": str(job.base) if job.base else None,
        "expect": job.expect,
        "device": job.device,
        "threads": hands.threads,
        "packages": packages,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """What was found of a checkpoint, now or when this sweep was begun."""

    found: dict[str, Any] | None
    cause: Cause | None = None
    resumed: bool = False


def _hear(found: Sequence[Contender], kept: Store, hands: Hands, watch: Watch) -> dict[str, _Finding]:
    """Return the result of each checkpoint by name; each is kept as soon as it is there."""
    results, todo = dict[str, _Finding](), list[Contender]()
    for one in found:
        if one.identity is None or one.copy_of:
            continue
        known = kept.known(one.identity)
        if known:
            results[one.name] = _Finding(found=known, resumed=True)
        else:
            todo.append(one)
    with watch.step("letting the checkpoints speak", len(todo), "checkpoints") as progress:
        for number, outcome in _work(todo, hands):
            one = todo[number]
            if outcome.found and not outcome.cause and one.identity:
                kept.keep(one.identity, outcome)
            results[one.name] = _Finding(found=outcome.found, cause=outcome.cause)
            progress(1)
    return results


def _work(todo: Sequence[Contender], hands: Hands) -> Iterator[tuple[int, Outcome]]:
    """Yield the number of each checkpoint with its outcome, as they are done."""
    tasks = [Task(plan=one.plan, script=one.script, threads=hands.threads) for one in todo if one.plan and one.script]
    if not tasks:
        return
    needed = workers.worker_bytes(task.plan for task in tasks)
    if hands.ray:
        yield from ray_backend.run(tasks, hands.ray, needed)
        return
    gpus = workers.gpus(tasks[0].plan.job.device) if len(tasks) > 1 and hands.jobs != 1 else ()
    jobs = min(hands.jobs or workers.jobs(len(tasks), hands.threads, needed, len(gpus)), len(tasks))
    places = [workers.place(hands.threads, gpus[number % len(gpus)] if gpus else None) for number in range(jobs)]
    yield from workers.run(tasks, places)


def _report(
    found: Sequence[Contender], results: dict[str, _Finding], script: Script | None, hands: Hands, began: float
) -> SweepReport:
    """Return the report: the ranked ones first, then those without a rank."""
    swept = [_swept(one, results.get(one.name)) for one in found]
    return SweepReport(
        checkpoints=ranked(swept),
        reference=script.reference if script else None,
        jobs=hands.jobs,
        ray=hands.ray,
        seconds=time.perf_counter() - began,
    )


def _swept(one: Contender, result: _Finding | None) -> SweptCheckpoint:
    """Return a checkpoint with what is known of it, be it only what its index says."""
    cause = result.cause if result else one.cause
    told = result.found if result and result.found else None
    if told is None or cause:
        report = Result.of(one.plan) if one.plan else None
        told = ComparedModel(name="", path="", report=report, cause=cause).to_json()
    return SweptCheckpoint(
        name=one.name,
        run=one.run,
        path=str(one.path),
        copy_of=one.copy_of,
        resumed=bool(result and result.resumed),
        folder=f"{store.RESULTS}/{store.place_of(one.identity)}" if told["samples"] and one.identity else None,
        found=told,
    )
