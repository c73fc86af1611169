"""The main job, top to bottom: read, map, write, load strictly, speak, judge, publish. Each step takes the one before."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from verify import options
from verify.background import Background
from verify.checkpoint import reader
from verify.commands.steps import judge_bytes, script_of
from verify.conversion import dtypes, formats, writer
from verify.conversion.cast import Losses
from verify.diagnosis import environment, weights_check
from verify.errors import Cause, any_error
from verify.files import output, staging
from verify.files.local import CHUNK_BYTES, open_regular
from verify.files.location import Location, local_path
from verify.files.output import default_output
from verify.options import Job
from verify.plan import Plan, plan
from verify.profiles import bundle
from verify.progress import Silent, Watch, timed
from verify.report import page
from verify.result import OutputFile, Result
from verify.source.companions import MAX_VOCAB_BYTES
from verify.source.find import input_paths

_PIECE_BYTES = 2**25  # of the source, hashed at a time beside the import; torch alone takes 25 times as much memory

NOT_VERIFIED = Cause(
    code="not-verified",
    severity="warning",
    message="--no-verify: the model was neither loaded nor heard",
    hint="Run `verify` on the folder before you rely on it.",
)


def convert(job: Job, watch: Watch | None = None) -> Result:
    """Turn a training checkpoint into a model folder that has loaded strictly and spoken.

    Raises:
        ConversionError: it could not run; nothing was left behind.
    """
    watch = watch or Silent()
    target = _target(job)
    planned = plan(job)
    bundle.require(planned)
    watch.found(planned.report())
    script = script_of(planned)
    if not job.keep_failed and any_error(planned.causes):
        return _compare_only(planned, watch)
    writer.require_room(staging.workplace(target), bundle.room(planned))
    with staging.staging(target) as stage:
        rooms = _importing() if job.verify else None
        digest = _hashing(planned) if job.verify or job.format == dtypes.SAFETENSORS else None
        written = _write(planned, stage.folder, digest, watch)
        report = _with_losses(judge_bytes(planned, written.scan, watch), written.losses, job.dtype)
        if rooms:
            report = _imported(rooms, planned, watch)(
                planned, report, script, watch, folder=stage.folder, written=written.path
            )
        else:
            report = replace(report, causes=(*report.causes, NOT_VERIFIED))
        if job.verify or digest:
            report = _digested(report, digest, planned, watch)
        if not any_error(report.causes):
            report = bundle.make(planned, report, stage, watch)
        return _publish(planned, report, stage, {written.path.name: written.sha256}, watch)


def _with_losses(report: Result, losses: Losses, dtype: str) -> Result:
    """Return the report with what casting cost, and a cause where a value was lost."""
    causes = (*report.causes, *weights_check.overflow_causes(losses, dtype))
    return replace(report, cast=weights_check.as_json(losses, dtype), causes=causes)


def _compare_only(planned: Plan, watch: Watch) -> Result:
    """Return what a real Xtts lacks and has too much, where the file is known not to load: nothing is written for that."""
    if not planned.job.verify:
        return planned.report()
    return _imported(_importing(), planned, watch)(planned, planned.report(), None, watch)


def verify(job: Job, watch: Watch | None = None) -> Result:
    """Load a model that exists already, strictly, and let it speak. Writes only where `job.output` names a folder.

    Raises:
        ConversionError: it could not run.
    """
    watch = watch or Silent()
    if job.output:
        staging.check_target(job.output, input_paths(job), job.force)
    planned = plan(job)
    watch.found(planned.report())
    script = script_of(planned)
    rooms, digest = _importing(), _hashing(planned)
    tensors = planned.ledger.written
    with (
        watch.step("reading the model", planned.ledger.written_bytes, "bytes") as progress,
        timed(planned.seconds, "scan"),
    ):
        data, scan = reader.read_tensors(tensors, progress)
    audition = _imported(rooms, planned, watch)
    report = judge_bytes(planned, scan, watch)
    if job.output is None:
        return _finished(audition(planned, report, script, watch, data=data), digest, planned, watch)
    with staging.staging(job.output) as stage:
        report = audition(planned, report, script, watch, folder=stage.folder, data=data)
        return _publish(planned, _finished(report, digest, planned, watch), stage, {}, watch, "verify")


def _finished(report: Result, digest: Background | None, planned: Plan, watch: Watch) -> Result:
    """Return the report with the hash of the source, and with what the program of the profile would find lacking."""
    report = _digested(report, digest, planned, watch)
    return bundle.checked(planned, report, planned.archive.path.parent, watch)


def dry_run(job: Job) -> Result:
    """Say what `convert` would do, refuse what it would refuse, and write nothing.

    Raises:
        ConversionError: as `convert` would, before its long work.
    """
    target = _target(job)
    planned = plan(job)
    bundle.require(planned)
    script_of(planned)
    writer.require_room(staging.workplace(target), bundle.room(planned))
    return planned.report(causes=planned.foreseen())


def _target(job: Job) -> Location:
    """Return where the output goes, having refused what cannot become it, before anything is read."""
    target, inputs = job.output or default_output(job.source), input_paths(job)
    staging.check_target(target, inputs, job.force)
    if job.keep_failed:
        staging.check_target(output.failed(target), inputs, force=True)
    return target


def _importing() -> Background:
    """Begin to import coqui-tts, which takes seconds."""
    return Background(environment.import_coqui, "verify.coqui.run")


def _hashing(planned: Plan) -> Background | None:
    """Begin to hash the source, most of which nobody else reads; None where that would download it."""
    path = local_path(planned.archive.path)
    piece_bytes = _PIECE_BYTES if planned.job.verify else CHUNK_BYTES
    return Background(staging.sha256, path, piece_bytes) if path else None


def _imported(rooms: Background, planned: Plan, watch: Watch) -> Callable[..., Result]:
    """Return `audition.audition` when the import is done.

    Raises:
        EnvironmentFault: it failed.
    """
    with watch.step("importing coqui-tts"), timed(planned.seconds, "import"):
        return rooms.wait().audition


def _digested(report: Result, digest: Background | None, planned: Plan, watch: Watch) -> Result:
    """Return the report with the SHA-256 of the source when it is known.

    Raises:
        ArchiveError: it changed while it was read.
    """
    if digest is None:
        return replace(report, causes=(*report.causes, _not_hashed(planned)))
    return replace(report, source_sha256=_hashed(digest, planned, watch))


def _hashed(digest: Background, planned: Plan, watch: Watch) -> str:
    with watch.step("hashing the source"), timed(planned.seconds, "hash"):
        return digest.wait()


def _not_hashed(planned: Plan) -> Cause:
    archive = planned.archive
    message = f"the SHA-256 of {archive.path} is not known: only what is kept of its {archive.bytes:,} bytes was read"
    hint = "Each kept tensor was held against the checksum in the file; download it to hash all of it."
    return Cause(code="source-not-hashed", severity="note", message=message, hint=hint)


def _write(planned: Plan, folder: Path, digest: Background | None, watch: Watch) -> writer.Written:
    """Write the model, config.json, vocab.json and, where there are voices, speakers_xtts.pth."""
    job, about = planned.job, dict[str, str]()
    if job.format == dtypes.SAFETENSORS:
        sha256 = _hashed(digest, planned, watch) if digest else ""
        about = formats.metadata(planned.archive, sha256, environment.versions())
    with (
        watch.step(f"writing model.{job.format}", planned.ledger.written_bytes, "bytes") as progress,
        timed(planned.seconds, "write"),
    ):
        written = formats.write_model(
            folder, planned.ledger.written, planned.config, about, progress, kind=job.format, dtype=job.dtype
        )
    staging.write_json(folder / "config.json", planned.config)
    with open_regular(planned.vocab) as vocab:
        (folder / "vocab.json").write_bytes(vocab.read(MAX_VOCAB_BYTES))
    if planned.voices:
        writer.write_voices(folder / "speakers_xtts.pth", planned.voices)
    return written


def _publish(
    planned: Plan,
    report: Result,
    stage: staging.Stage,
    hashes: dict[str, str],
    watch: Watch,
    command: str = "convert",
) -> Result:
    """Give the result its name where the model loads and speaks; keep what does not only where the user asked for it.

    Args:
        hashes: SHA-256 of files by name, where it is known already.
        command: what the user asked for, by its name.
    """
    publishable = not any_error(report.causes)
    if not publishable and not planned.job.keep_failed:
        return report
    target = stage.target if publishable else output.failed(stage.target)
    staged = sorted(file for file in stage.folder.rglob("*") if file.is_file())
    files = tuple(_listed(file, stage.folder, hashes) for file in staged)
    report = replace(report, output=str(target), files=files)
    if planned.job.verify:  # the page is for listening; it lists the other files, report.json lists it too
        with timed(planned.seconds, "page"):
            path = page.write_page(stage.folder, report.to_json(), options.command(planned.job, command))
        report = replace(report, files=(*files, _listed(path, stage.folder, hashes)))
    staging.write_json(stage.folder / "report.json", report.to_json())
    with timed(planned.seconds, "publish"):
        staging.publish(stage, target, replace=planned.job.force or not publishable, watch=watch)
    return report


def _listed(file: Path, folder: Path, hashes: dict[str, str]) -> OutputFile:
    name = file.relative_to(folder).as_posix()
    return OutputFile(name=name, bytes=file.stat().st_size, sha256=hashes.get(name) or staging.sha256(file))
