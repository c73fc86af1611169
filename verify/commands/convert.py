"""The main job, top to bottom: read, map, write, load strictly, speak, judge, publish. Each step takes the result of the one before."""

from dataclasses import replace
from pathlib import Path

from verify.background import Background
from verify.commands import steps
from verify.conversion import formats, safetensors_writer, writer
from verify.conversion.cast import Losses
from verify.diagnosis import environment, weights_check
from verify.errors import Cause, any_error
from verify.files import local, output, staging
from verify.files.local import open_regular
from verify.files.location import Location
from verify.files.output import default_output
from verify.options import Job
from verify.places import interpreter, trial
from verify.plan import Plan, plan
from verify.profiles import bundle
from verify.progress import Silent, Stopwatch, Watch
from verify.result import Result
from verify.source.companions import MAX_VOCAB_BYTES
from verify.source.find import input_paths, run_of


def convert(job: Job, watch: Watch | None = None) -> Result:
    """Turn a training checkpoint into a model folder that has loaded strictly and spoken.

    Raises:
        ConversionError: it could not run; nothing was left behind.
    """
    clock = Stopwatch(watch or Silent())
    target, pythons = _target(job), interpreter.find_all(job.pythons)
    planned = plan(job)
    result = Result.of(planned)
    clock.watch.found(result)
    script = steps.script_of(planned, unasked=True)
    steps.tell_cost(script, job, clock.watch)
    extras = bundle.prepare(planned, script)
    if not job.keep_failed and any_error(planned.causes):
        return _compare_only(result, clock)
    writer.require_room(staging.workplace(target), extras.tensors(planned))
    with staging.staging(target) as stage:
        importing = steps.importing() if job.verify else None
        digest = steps.hashing(planned)
        written = _write(planned, stage.folder, digest, clock)
        result = _with_losses(steps.judge_bytes(result, written.scan, clock), written.losses)
        if importing:
            coqui = steps.imported(importing, clock)
            result = coqui.load_and_speak(
                result, script, written.path, clock, folder=stage.folder, voices=extras.voices
            )
        else:
            result = replace(result, causes=(*result.causes, _not_verified(bool(pythons))))
        result = steps.with_hash(result, digest, clock)
        if not any_error(result.causes):
            result = bundle.make(result, extras, stage, clock)
        result = trial.tried(result, script, stage.folder, pythons, clock, stage.folder)
        return steps.publish(result, stage, {written.path.name: written.sha256}, clock)


def dry_run(job: Job) -> Result:
    """Return what `convert` would do, refuse what it would refuse, and write nothing.

    Raises:
        ConversionError: as `convert` would, before its long work.
    """
    target = _target(job)
    interpreter.find_all(job.pythons)
    planned = plan(job)
    extras = bundle.prepare(planned, steps.script_of(planned))
    writer.require_room(staging.workplace(target), extras.tensors(planned))
    return replace(Result.of(planned), causes=planned.foreseen())


def _not_verified(is_tried_elsewhere: bool) -> Cause:
    """Return the warning of `--no-verify`, which means this Python alone."""
    return Cause(
        code="not-verified",
        severity="warning",
        message=f"--no-verify: the model was neither loaded nor heard{' here' if is_tried_elsewhere else ''}",
        hint="Run `verify` on the folder before you rely on it.",
    )


def _target(job: Job) -> Location:
    """Return the output folder, after refusing one that must not be replaced; nothing is read yet."""
    target, inputs = job.output or default_output(run_of(job.source)), input_paths(job)
    staging.check_target(target, inputs, job.force)
    if job.keep_failed:
        staging.check_target(output.failed(target), inputs, force=True)
    return target


def _compare_only(result: Result, clock: Stopwatch) -> Result:
    """Return the comparison with a real Xtts for a file that is known not to load, without writing it."""
    if not result.plan.job.verify:
        return result
    if result.plan.is_hopeless:
        return replace(result, causes=result.plan.foreseen())
    coqui = steps.imported(steps.importing(), clock)
    return steps.with_seconds(coqui.load_and_speak(result, None, {}, clock), clock)


def _with_losses(result: Result, losses: Losses) -> Result:
    """Return the result with the rounding errors of the cast, and a cause where a value overflowed."""
    dtype = result.plan.job.dtype
    causes = (*result.causes, *weights_check.overflow_causes(losses, dtype))
    return replace(result, cast=weights_check.cast_result(losses, dtype), causes=causes)


def _write(plan: Plan, folder: Path, digest: Background | None, clock: Stopwatch) -> writer.Written:
    """Write the model, config.json, vocab.json and, where there are voices, speakers_xtts.pth."""
    job, format_, metadata = plan.job, formats.of(plan.job.format), dict[str, str]()
    if format_.names_source:
        sha256 = steps.hashed(digest, clock) if digest else ""
        metadata = safetensors_writer.metadata(plan.archive, sha256, environment.versions())
    model = formats.Model(tensors=plan.ledger.written, config=plan.config, metadata=metadata)
    with clock.step("write", f"writing {format_.file_name}", plan.ledger.written_bytes, "bytes") as progress:
        written = format_.write(folder / format_.file_name, model, progress, job.dtype)
    local.write_json(folder / "config.json", plan.config)
    with open_regular(plan.vocab) as vocab:
        (folder / "vocab.json").write_bytes(vocab.read(MAX_VOCAB_BYTES))
    if plan.voices:
        writer.write_voices(folder / "speakers_xtts.pth", plan.voices)
    return written
