"""Steps that several commands share."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from verify import options
from verify.audio import cost, whisper
from verify.audio.prompts import Script, prepare, require_few, require_text
from verify.audio.references import reference_clips
from verify.background import Background
from verify.checkpoint import reader
from verify.checkpoint.archive import read_voices
from verify.checkpoint.tensor_stats import Scan, Values
from verify.conversion import formats
from verify.diagnosis import components, environment, weights_check
from verify.diagnosis.vocab_check import no_vocab
from verify.errors import Cause, any_error
from verify.files import local, output, staging
from verify.files.local import CHUNK_BYTES, missing
from verify.files.location import local_path
from verify.files.names import CARD
from verify.findings import OutputFile
from verify.options import Job
from verify.plan import Plan
from verify.profiles import card
from verify.progress import Stopwatch, Watch, announce
from verify.report import page
from verify.result import Result
from verify.source import base as bases
from verify.source.companions import Found

_PIECE_BYTES = 2**25  # of the source, hashed at a time during the import; torch alone takes 25 times as much memory


def require_sayable(job: Job) -> None:
    """Refuse at once a text that no model could speak, and a clip that no model could use.

    Raises:
        SourceError: there is one.
    """
    for text in job.texts:
        require_text(text)
    require_few(len(job.texts) or 1, job.seeds)
    for path in job.speaker_wavs:
        if not path.exists():
            raise missing(path)
    reference_clips([Found(path=path, origin="--speaker-wav") for path in job.speaker_wavs])


def script_of(plan: Plan, unasked: bool = False) -> Script | None:
    """Return what to speak; None without a sample. Refuses before the long work what would fail after it.

    Args:
        unasked: whether a Whisper that is on this machine may hear it; not where models are held against each other, of
            which it might hear one and not the next.

    Raises:
        SourceError: there is no vocabulary, no text that can be spoken, or no usable voice.
    """
    job = plan.job
    if plan.vocabulary is None:
        raise no_vocab(plan.architecture, plan.source.searched)
    if not (job.sample and (job.verify or job.pythons)):
        return None
    if job.prove:
        components.require_provable(plan.ledger, plan.archive)
        weights_check.require_uncast(plan.ledger.written, job.dtype)
    script = prepare(job, plan.source, plan.config, plan.vocabulary, plan.voices)
    if job.transcribe is None:
        return replace(script, at_hand=whisper.at_hand(script.language)) if unasked else script
    return script if job.transcribe == whisper.NONE else replace(script, whisper=whisper.locate(job.transcribe))


def tell_cost(script: Script | None, job: Job, watch: Watch, models: int = 1) -> None:
    """Tell the watch what will be said, before the long work."""
    if script:
        announce(watch, cost.in_words(script, job.seeds, models))


def judge_bytes(result: Result, scan: Scan, clock: Stopwatch) -> Result:
    """Return the result with the checks of the values, and a cause for NaN and Inf."""
    plan = result.plan
    checks = weights_check.value_checks(plan.ledger.written, scan, _base_values(plan, clock))
    return replace(
        result,
        causes=(*result.causes, *weights_check.value_causes(scan)),
        checks=checks,
        demanded=plan.job.demands(checks, has_samples=False),
    )


def _base_values(plan: Plan, clock: Stopwatch) -> dict[str, Values]:
    """Return the statistics of those base tensors that differ from the source, by canonical name."""
    changed = bases.differing(plan.ledger, plan.base) if plan.base else {}
    if not changed:
        return {}
    total = sum(record.bytes for record in changed.values())
    with clock.step("base", "comparing with the base", total, "bytes") as progress:
        values = reader.scan_tensors(changed.values(), progress).values
    return {name: values[record] for name, record in changed.items() if record in values}


def importing() -> Background:
    """Start importing coqui-tts in the background, which takes seconds."""
    return Background(environment.import_coqui, "verify.coqui.run")


def imported(coqui: Background, clock: Stopwatch) -> Any:
    """Wait for the import and return the module `verify.coqui.run`.

    Raises:
        EnvironmentFault: it cannot be imported.
    """
    with clock.step("import", "importing coqui-tts") as progress:
        return coqui.wait(progress)


def hashing(plan: Plan) -> Background | None:
    """Start hashing the whole source in the background, where that is wanted; a remote one would have to be downloaded."""
    path = local_path(plan.archive.path) if _wants_hash(plan) else None
    piece_bytes = _PIECE_BYTES if plan.job.verify else CHUNK_BYTES
    return Background(local.sha256, path, piece_bytes) if path else None


def hashed(digest: Background, clock: Stopwatch) -> str:
    """Wait for the SHA-256 of the source and return it.

    Raises:
        ArchiveError: it changed while it was read.
    """
    with clock.step("hash", "hashing the source") as progress:
        return digest.wait(progress)


def _wants_hash(plan: Plan) -> bool:
    """Whether it is asked for, or the only way to tell the source from another: its container holds no checksums."""
    job = plan.job
    return job.hash_source or (plan.archive.fingerprint is None and (job.verify or formats.of(job.format).names_source))


def with_hash(result: Result, digest: Background | None, clock: Stopwatch) -> Result:
    """Return the result with the SHA-256 of the source, or with a note where it is wanted and not known.

    Raises:
        ArchiveError: it changed while it was read.
    """
    if digest:
        return replace(result, source_sha256=hashed(digest, clock))
    return replace(result, causes=(*result.causes, _not_hashed(result.plan))) if _wants_hash(result.plan) else result


def _not_hashed(plan: Plan) -> Cause:
    archive = plan.archive
    message = f"the SHA-256 of {archive.path} is not known: only what is kept of its {archive.bytes:,} bytes was read"
    hint = "Each kept tensor was held against the checksum in the file; download it to hash all of it."
    return Cause(code="source-not-hashed", severity="note", message=message, hint=hint)


def with_seconds(result: Result, clock: Stopwatch) -> Result:
    """Return the result with the time of each part of the work so far."""
    return replace(result, seconds={**Result.of(result.plan).seconds, **clock.seconds})


def publish(
    result: Result, stage: staging.Stage, hashes: Mapping[str, str], clock: Stopwatch, command: str = "convert"
) -> Result:
    """Publish the staged folder where the model loads and speaks; keep a failed one only with `--keep-failed`.

    Args:
        hashes: SHA-256 of those files, by name, for which it is known already.
        command: the name of the command that runs.
    """
    job, publishable = result.plan.job, not any_error(result.causes)
    if not publishable and not job.keep_failed:
        return with_seconds(result, clock)
    target = stage.target if publishable else output.failed(stage.target)
    staged = sorted(file for file in stage.folder.rglob("*") if file.is_file())
    files = tuple(_listed(file, stage.folder, hashes) for file in staged)
    if command == "convert" and job.card == "yes" and publishable:
        files = (*files, _listed(_write_card(result, files, stage.folder), stage.folder, hashes))
    result = replace(result, output=str(target), files=files)
    if job.verify:  # the page is for listening; it lists the other files, and report.json lists the page too
        with clock.timed("page"):
            document = with_seconds(result, clock).to_json()
            path = page.write_page(stage.folder, document, options.command(job, command))
        result = replace(result, files=(*files, _listed(path, stage.folder, hashes)))
    local.write_json(stage.folder / "report.json", with_seconds(result, clock).to_json())
    with clock.timed("publish"):
        staging.publish(stage, target, replace=job.force or not publishable, watch=clock.watch)
    return with_seconds(result, clock)


def _write_card(result: Result, files: Sequence[OutputFile], folder: Path) -> Path:
    """Write the model card and return its path."""
    speakers, path = folder / "speakers_xtts.pth", folder / CARD
    voices = tuple(read_voices(speakers)) if speakers.is_file() else ()
    path.write_bytes(card.card(result, files, voices).encode("utf-8"))
    return path


def _listed(file: Path, folder: Path, hashes: Mapping[str, str]) -> OutputFile:
    name = file.relative_to(folder).as_posix()
    return OutputFile(name=name, bytes=file.stat().st_size, sha256=hashes.get(name) or local.sha256(file))
