"""The command `verify`: load an existing model strictly and let it speak."""

from dataclasses import replace
from pathlib import Path

from verify.audio.prompts import Script
from verify.background import Background
from verify.checkpoint import reader
from verify.commands import steps
from verify.files import staging
from verify.options import Job
from verify.places import interpreter, trial
from verify.places.interpreter import Interpreter
from verify.plan import plan
from verify.profiles import bundle
from verify.progress import Silent, Stopwatch, Watch
from verify.result import Result
from verify.source.find import input_paths


def verify(job: Job, watch: Watch | None = None) -> Result:
    """Load an existing model strictly and let it speak. Writes only where `job.output` names a folder.

    Raises:
        ConversionError: it could not run.
    """
    clock, pythons = Stopwatch(watch or Silent()), interpreter.find_all(job.pythons)
    if job.output:
        staging.check_target(job.output, input_paths(job), job.force)
    planned = plan(job).as_it_stands()
    if pythons:
        trial.require_folder(planned)
    result = Result.of(planned)
    clock.watch.found(result)
    script = steps.script_of(planned, unasked=True)
    steps.tell_cost(script, job, clock.watch)
    if planned.is_hopeless:
        return replace(result, causes=planned.foreseen())
    importing, digest = steps.importing(), steps.hashing(planned)
    with clock.step("scan", "reading the model", planned.ledger.written_bytes, "bytes") as progress:
        data, scan = reader.read_tensors(planned.ledger.written, progress)
    coqui = steps.imported(importing, clock)
    result = steps.judge_bytes(result, scan, clock)
    if job.output is None:
        result = coqui.load_and_speak(result, script, data, clock)
        del data  # or it would be in memory beside the model of another Python
        result = _elsewhere(result, script, pythons, clock)
        return steps.with_seconds(_finished(result, digest, clock), clock)
    with staging.staging(job.output) as stage:
        result = coqui.load_and_speak(result, script, data, clock, folder=stage.folder)
        del data
        result = _elsewhere(result, script, pythons, clock, stage.folder)
        return steps.publish(_finished(result, digest, clock), stage, {}, clock, "verify")


def _elsewhere(
    result: Result, script: Script | None, pythons: tuple[Interpreter, ...], clock: Stopwatch, out: Path | None = None
) -> Result:
    """Return the result with how the folder fares in other Pythons."""
    return trial.tried(result, script, trial.opened(result.archive), pythons, clock, out) if pythons else result


def _finished(result: Result, digest: Background | None, clock: Stopwatch) -> Result:
    """Return the result with the hash of the source and, with a profile, the check of the folder against it."""
    result = steps.with_hash(result, digest, clock)
    profile = bundle.profile_of(result.plan.job)
    return bundle.checked(result, profile, result.archive.path.parent, clock) if profile else result
