"""The command `verify`: load an existing model strictly and let it speak."""

from dataclasses import replace

from verify.background import Background
from verify.checkpoint import reader
from verify.commands import steps
from verify.files import staging
from verify.options import Job
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
    clock = Stopwatch(watch or Silent())
    if job.output:
        staging.check_target(job.output, input_paths(job), job.force)
    planned = plan(job)
    result = Result.of(planned)
    clock.watch.found(result)
    script = steps.script_of(planned)
    if planned.is_hopeless:
        return replace(result, causes=planned.foreseen())
    importing, digest = steps.importing(), steps.hashing(planned)
    with clock.step("scan", "reading the model", planned.ledger.written_bytes, "bytes") as progress:
        data, scan = reader.read_tensors(planned.ledger.written, progress)
    coqui = steps.imported(importing, clock)
    result = steps.judge_bytes(result, scan, clock)
    if job.output is None:
        result = coqui.load_and_speak(result, script, data, clock)
        return steps.with_seconds(_finished(result, digest, clock), clock)
    with staging.staging(job.output) as stage:
        result = coqui.load_and_speak(result, script, data, clock, folder=stage.folder)
        return steps.publish(_finished(result, digest, clock), stage, {}, clock, "verify")


def _finished(result: Result, digest: Background | None, clock: Stopwatch) -> Result:
    """Return the result with the hash of the source and, with a profile, the check of the folder against it."""
    result = steps.with_hash(result, digest, clock)
    profile = bundle.profile_of(result.plan.job)
    return bundle.checked(result, profile, result.archive.path.parent, clock) if profile else result
