"""The main job, top to bottom: read, map, write, load strictly, speak, judge, publish. Each step takes the one before."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from verify import bundle, reproduce
from verify.background import Background
from verify.checkpoint import base as bases
from verify.checkpoint import formats, kinds, publish, reader, writer
from verify.checkpoint import target as targets
from verify.checkpoint.cast import Losses
from verify.checkpoint.companions import MAX_VOCAB_BYTES
from verify.checkpoint.handle import CHUNK_BYTES, open_regular
from verify.checkpoint.remote import RemotePath
from verify.checkpoint.target import default_output
from verify.checkpoint.values import Scan, Values
from verify.diagnosis import casting, environment, parts
from verify.diagnosis.tokens import no_vocab
from verify.diagnosis.values import value_causes, value_checks
from verify.errors import Cause, any_error
from verify.listening import words
from verify.listening.script import Script, prepare
from verify.plan import Job, Plan, plan, timed
from verify.reporting import page
from verify.reporting.report import OutputFile, Report
from verify.watch import Silent, Watch

_PIECE_BYTES = 2**25  # of the source, hashed at a time beside the import; torch alone takes 25 times as much memory

NOT_VERIFIED = Cause(
    code="not-verified",
    severity="warning",
    message="--no-verify: the model was neither loaded nor heard",
    hint="Run `verify` on the folder before you rely on it.",
)


def convert(job: Job, watch: Watch | None = None) -> Report:
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
    writer.require_room(publish.workplace(target), bundle.room(planned))
    with publish.staging(target) as stage:
        rooms = _importing() if job.verify else None
        digest = _hashing(planned) if job.verify or job.format == kinds.SAFETENSORS else None
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


def _with_losses(report: Report, losses: Losses, dtype: str) -> Report:
    """Return the report with what casting cost, and a cause where a value was lost."""
    causes = (*report.causes, *casting.overflow_causes(losses, dtype))
    return replace(report, cast=casting.as_json(losses, dtype), causes=causes)


def _compare_only(planned: Plan, watch: Watch) -> Report:
    """Return what a real Xtts lacks and has too much, where the file is known not to load: nothing is written for that."""
    if not planned.job.verify:
        return planned.report()
    return _imported(_importing(), planned, watch)(planned, planned.report(), None, watch)


def verify(job: Job, watch: Watch | None = None) -> Report:
    """Load a model that exists already, strictly, and let it speak. Writes only where `job.output` names a folder.

    Raises:
        ConversionError: it could not run.
    """
    watch = watch or Silent()
    if job.output:
        publish.check_target(job.output, targets.inputs(job.request), job.force)
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
    with publish.staging(job.output) as stage:
        report = audition(planned, report, script, watch, folder=stage.folder, data=data)
        return _publish(planned, _finished(report, digest, planned, watch), stage, {}, watch, "verify")


def _finished(report: Report, digest: Background | None, planned: Plan, watch: Watch) -> Report:
    """Return the report with the hash of the source, and with what the program of the profile would find lacking."""
    report = _digested(report, digest, planned, watch)
    return bundle.checked(planned, report, planned.archive.path.parent, watch)


def dry_run(job: Job) -> Report:
    """Say what `convert` would do, refuse what it would refuse, and write nothing.

    Raises:
        ConversionError: as `convert` would, before its long work.
    """
    target = _target(job)
    planned = plan(job)
    bundle.require(planned)
    script_of(planned)
    writer.require_room(publish.workplace(target), bundle.room(planned))
    return planned.report(causes=planned.foreseen())


def _target(job: Job) -> Path:
    """Return where the output goes, having refused what cannot become it, before anything is read."""
    target, inputs = job.output or default_output(job.request.source), targets.inputs(job.request)
    publish.check_target(target, inputs, job.force)
    if job.keep_failed:
        publish.check_target(targets.failed(target), inputs, force=True)
    return target


def script_of(planned: Plan) -> Script | None:
    """Refuse before the long work what would be refused after it: no vocabulary, nothing to say, no voice to say it in.

    Raises:
        SourceError: with what is missing.
    """
    job = planned.job
    if planned.vocabulary is None:
        raise no_vocab(planned.architecture, planned.source.searched)
    if not (job.verify and job.sample):
        return None
    if job.prove:
        parts.require_provable(planned.ledger, planned.archive)
        casting.require_uncast(planned.ledger.written, job.dtype)
    script = prepare(job.texts, job.seeds, job.language, planned.source, planned.config, planned.vocabulary)
    return replace(script, whisper=words.locate(job.transcribe)) if job.transcribe else script


def _importing() -> Background:
    """Begin to import coqui-tts, which takes seconds."""
    return Background(environment.import_room, "verify.audition")


def _hashing(planned: Plan) -> Background | None:
    """Begin to hash the source, most of which nobody else reads; None where that would download it."""
    path = planned.archive.path
    piece_bytes = _PIECE_BYTES if planned.job.verify else CHUNK_BYTES
    return None if isinstance(path, RemotePath) else Background(publish.sha256, path, piece_bytes)


def _imported(rooms: Background, planned: Plan, watch: Watch) -> Callable[..., Report]:
    """Return `audition.audition` when the import is done.

    Raises:
        EnvironmentFault: it failed.
    """
    with watch.step("importing coqui-tts"), timed(planned.seconds, "import"):
        return rooms.wait().audition


def _digested(report: Report, digest: Background | None, planned: Plan, watch: Watch) -> Report:
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
    if job.format == kinds.SAFETENSORS:
        sha256 = _hashed(digest, planned, watch) if digest else ""
        about = formats.metadata(planned.archive, sha256, environment.versions())
    with (
        watch.step(f"writing model.{job.format}", planned.ledger.written_bytes, "bytes") as progress,
        timed(planned.seconds, "write"),
    ):
        written = formats.write_model(
            folder, planned.ledger.written, planned.config, about, progress, kind=job.format, dtype=job.dtype
        )
    publish.write_json(folder / "config.json", planned.config)
    with open_regular(planned.vocab) as vocab:
        (folder / "vocab.json").write_bytes(vocab.read(MAX_VOCAB_BYTES))
    if planned.voices:
        writer.write_voices(folder / "speakers_xtts.pth", planned.voices)
    return written


def judge_bytes(planned: Plan, scan: Scan, watch: Watch) -> Report:
    """Return the report with a cause for values that no model can use, and the checks of the others."""
    checks = value_checks(planned.ledger.written, scan, _base_values(planned, watch))
    return planned.report(
        causes=(*planned.causes, *value_causes(scan)), checks=checks, demanded=planned.job.demands(checks, heard=False)
    )


def _base_values(planned: Plan, watch: Watch) -> dict[str, Values]:
    """Return the values of the base's tensors that the source has otherwise, by canonical name."""
    changed = bases.differing(planned.ledger, planned.base) if planned.base else {}
    if not changed:
        return {}
    total = sum(record.bytes for record in changed.values())
    with watch.step("comparing with the base", total, "bytes") as progress, timed(planned.seconds, "base"):
        values = reader.scan_tensors(changed.values(), progress).values
    return {name: values[record] for name, record in changed.items() if record in values}


def _publish(
    planned: Plan,
    report: Report,
    stage: publish.Stage,
    hashes: dict[str, str],
    watch: Watch,
    command: str = "convert",
) -> Report:
    """Give the result its name where the model loads and speaks; keep what does not only where the user asked for it.

    Args:
        hashes: SHA-256 of files by name, where it is known already.
        command: what the user asked for, by its name.
    """
    publishable = not any_error(report.causes)
    if not publishable and not planned.job.keep_failed:
        return report
    target = stage.target if publishable else targets.failed(stage.target)
    staged = sorted(file for file in stage.folder.rglob("*") if file.is_file())
    files = tuple(_listed(file, stage.folder, hashes) for file in staged)
    report = replace(report, output=str(target), files=files)
    if planned.job.verify:  # the page is for listening; it lists the other files, report.json lists it too
        with timed(planned.seconds, "page"):
            path = page.write_page(stage.folder, report.to_json(), reproduce.command(planned.job, command))
        report = replace(report, files=(*files, _listed(path, stage.folder, hashes)))
    publish.write_json(stage.folder / "report.json", report.to_json())
    with timed(planned.seconds, "publish"):
        publish.publish(stage, target, replace=planned.job.force or not publishable, watch=watch)
    return report


def _listed(file: Path, folder: Path, hashes: dict[str, str]) -> OutputFile:
    name = file.relative_to(folder).as_posix()
    return OutputFile(name=name, bytes=file.stat().st_size, sha256=hashes.get(name) or publish.sha256(file))
