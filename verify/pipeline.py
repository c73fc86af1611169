"""The main job, top to bottom: read, map, write, load strictly, speak, judge, publish. Each step takes the one before."""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from verify import settings
from verify.checkpoint import archive as archives
from verify.checkpoint import publish, writer
from verify.checkpoint.archive import Archive
from verify.checkpoint.config import inference_config
from verify.checkpoint.ledger import Ledger, build_ledger
from verify.checkpoint.source import Request, Source, find_checkpoint, gather
from verify.diagnosis import architecture, causes, environment, vocabulary
from verify.diagnosis.architecture import Architecture
from verify.errors import Cause, ConversionError, SourceError
from verify.reporting.report import OutputFile, Report

# Checks that decide the verdict for barely trained weights; `--expect speech` asks for every check.
SOUND_CHECKS = frozenset({"finite", "audible", "plausible length", "cached logits"})


class Watch(Protocol):
    """Who wants to know how far a long step is."""

    def step(
        self, name: str, total: int | None = None, unit: str = ""
    ) -> contextlib.AbstractContextManager[Callable[[int], None]]:
        """Begin a step of `total` units; the function that it gives is told of each advance."""


class Silent:
    """Nobody watches."""

    @contextlib.contextmanager
    def step(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Callable[[int], None]]:
        yield lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the user asked for."""

    request: Request
    output: Path | None = None
    text: str | None = None
    language: str | None = None
    seed: int = 0
    device: str = "auto"
    expect: str = "speech"
    sample: bool = True
    verify: bool = True
    force: bool = False
    keep_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that is known without torch: what is there, and what would happen."""

    job: Job
    archive: Archive
    ledger: Ledger
    source: Source
    config: dict[str, Any]
    architecture: Architecture
    causes: tuple[Cause, ...]
    seconds: dict[str, float] = field(default_factory=dict)

    def report(self, **found: Any) -> Report:
        """Return the report of this plan with what later steps found."""
        found.setdefault("causes", self.causes)
        return Report(
            source=self.source,
            archive=self.archive,
            ledger=self.ledger,
            architecture=self.architecture,
            config=self.config,
            seconds=self.seconds,
            **found,
        )


@contextlib.contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the time that the block takes to `seconds[name]`."""
    began = time.perf_counter()
    try:
        yield
    finally:
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began


def plan(job: Job) -> Plan:
    """Read and map the source without torch and without writing.

    Raises:
        ConversionError: the source cannot be used; see `docs` of each room.
    """
    seconds: dict[str, float] = {}
    with timed(seconds, "read"):
        checkpoint = find_checkpoint(job.request.source, job.request.checkpoint)
        archive = archives.read_archive(checkpoint)
        ledger = build_ledger(archive.tensors, lambda a, b: writer.same_bytes(checkpoint, a, b))
        _require_xtts(archive, ledger)
        source = gather(job.request, checkpoint, archive.config)
        config = inference_config(source.config, source.config_origin)
        found = architecture.read_architecture(ledger.written)
        known = [*archive.warnings, *_unknown_keys(ledger)]
        known += architecture.config_causes(found, config["model_args"], source.config_origin)
        source, voices = _readable_speakers(source)
        known += voices
        if source.vocab is not None:
            tokens = vocabulary.read_vocabulary(source.vocab.path)
            cause = architecture.vocabulary_cause(found, tokens, source.vocab.origin)
            known += [cause] if cause else []
            config["model_args"] |= {
                "gpt_number_text_tokens": tokens.size,
                "gpt_start_text_token": tokens.start,
                "gpt_stop_text_token": tokens.stop,
            }
    return Plan(
        job=job,
        archive=archive,
        ledger=ledger,
        source=source,
        config=config,
        architecture=found,
        causes=tuple(known),
        seconds=seconds,
    )


def _require_xtts(archive: Archive, ledger: Ledger) -> None:
    """Refuse a file none of whose tensors belong to an XTTS.

    Raises:
        SourceError: with what the file looks like.
    """
    if len(ledger.unknown) < len(ledger.written):
        return
    keys = {record.key for record in archive.tensors}
    other = archives.recognise.other_file(keys)
    what = f"this looks like {other}" if other else f"its tensors are {causes.summary(sorted(keys), 5)}"
    raise SourceError(
        "not-xtts", f"{archive.path} holds no XTTS weights: {what}", archives.recognise.TRAINING_FILE_HINT
    )


def _unknown_keys(ledger: Ledger) -> tuple[Cause, ...]:
    if not ledger.unknown:
        return ()
    count = len(ledger.unknown)
    return (
        Cause(
            code="unknown-keys",
            severity="error",
            message=f"{count:,} tensor{'s' * (count > 1)} in the file belong to no XTTS: {causes.summary(ledger.unknown)}",
            hint="Nothing is left out in silence. If they are yours to drop, delete them from the state dict and save it again.",
            keys=tuple(entry.target for entry in ledger.entries if entry.record.key in ledger.unknown),
        ),
    )


def _readable_speakers(source: Source) -> tuple[Source, tuple[Cause, ...]]:
    """Return the source without its speakers file where that is not safe to pass on, and why."""
    if source.speakers is None:
        return source, ()
    try:
        archives.read_voices(source.speakers.path)
    except ConversionError as error:
        warning = Cause(
            code="speakers-refused",
            severity="warning",
            message=f"{source.speakers.path.name} was left out: {error}",
            hint="Pass --base with a folder that holds a good speakers_xtts.pth.",
        )
        return replace(source, speakers=None), (warning,)
    return source, ()


def inspect(job: Job) -> Report:
    """Say what is in the source and what would happen to it: no torch, no writing."""
    planned = plan(job)
    if planned.source.vocab is None:
        note = Cause(
            code="no-vocab",
            severity="warning",
            message=_no_vocab(planned).cause.message,
            hint=_no_vocab(planned).cause.hint,
        )
        return planned.report(causes=(*planned.causes, note))
    return planned.report()


def default_output(source: Path) -> Path:
    """Return `inference/` in a run folder, or `<stem>-inference/` beside a file."""
    return source / "inference" if source.is_dir() else source.parent / f"{source.stem}-inference"


def convert(job: Job, watch: Watch | None = None) -> Report:
    """Turn a training checkpoint into a model folder that has loaded strictly and spoken.

    Raises:
        ConversionError: it could not run; nothing was left behind.
    """
    watch = watch or Silent()
    checkpoint = find_checkpoint(job.request.source, job.request.checkpoint)
    target = job.output or default_output(job.request.source)
    publish.check_target(target, job.request.source, checkpoint, job.force)
    planned = plan(job)
    if planned.source.vocab is None:
        raise _no_vocab(planned)
    writer.require_room(target.parent, planned.ledger.written)
    with publish.staging(target) as stage:
        rooms = _BackgroundImport() if job.verify else None
        written = _write(planned, stage.folder, watch)
        report = _judge_bytes(planned, written.scan)
        if rooms:
            audition = rooms.wait(planned, watch)
            report = audition(planned, report, stage.folder, written.path, watch)
        else:
            report = replace(report, causes=(*report.causes, _NOT_VERIFIED))
        return _finish(planned, report, stage, written)


_NOT_VERIFIED = Cause(
    code="not-verified",
    severity="warning",
    message="--no-verify: the model was neither loaded nor heard",
    hint="Run `verify` on the folder before you rely on it.",
)


class _BackgroundImport:
    """Imports coqui-tts, which takes seconds, while the file is written."""

    def __init__(self) -> None:
        self._room: Any = None
        self._error: ConversionError | None = None
        self._thread = threading.Thread(target=self._run, name="import", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._room = environment.import_room("verify.audition")
        except ConversionError as error:
            self._error = error

    def wait(self, planned: Plan, watch: Watch) -> Callable[..., Report]:
        """Return `audition.audition` when the import is done.

        Raises:
            EnvironmentFault: it failed.
        """
        with watch.step("importing coqui-tts"), timed(planned.seconds, "import"):
            while self._thread.is_alive():
                self._thread.join(0.2)  # in short waits, so that Ctrl-C is heard on Windows too
        if self._error:
            raise self._error
        return self._room.audition


def _no_vocab(planned: Plan) -> SourceError:
    rows = planned.architecture.fields.get("gpt_number_text_tokens")
    base = planned.architecture.base
    fits = (
        f"; the weights have {rows:,} text rows" + (f", those of the {base} vocabulary" if base.startswith("v") else "")
        if rows
        else ""
    )
    return SourceError(
        "no-vocab",
        f"no vocab.json was found{fits}. Looked at: {'; '.join(planned.source.searched)}",
        "Pass the vocab.json that the run was trained with: --vocab FILE.",
    )


def _write(planned: Plan, folder: Path, watch: Watch) -> writer.Written:
    """Write model.pth, config.json, vocab.json and, where there is one, speakers_xtts.pth."""
    tensors = planned.ledger.written
    total = sum(record.bytes for record in tensors.values())
    with watch.step("writing model.pth", total, "bytes") as progress, timed(planned.seconds, "write"):
        written = writer.write_model(folder / "model.pth", planned.archive.path, tensors, planned.config, progress)
    publish.write_json(folder / "config.json", planned.config)
    if planned.source.vocab:
        shutil.copyfile(planned.source.vocab.path, folder / "vocab.json")
    if planned.source.speakers:
        shutil.copyfile(planned.source.speakers.path, folder / "speakers_xtts.pth")
    return written


def _judge_bytes(planned: Plan, scan: writer.Scan) -> Report:
    """Return the report with a cause for values that no model can use."""
    found = list(planned.causes)
    if scan.non_finite:
        found.append(
            Cause(
                code="non-finite",
                severity="error",
                message=f"{len(scan.non_finite):,} tensors hold NaN or Inf: {causes.summary(scan.non_finite)}",
                hint="Training diverged. Use an earlier checkpoint: --checkpoint STEP.",
                keys=scan.non_finite,
            )
        )
    if scan.overflowing:
        key, value = scan.overflowing[0]
        found.append(
            Cause(
                code="float32-overflow",
                severity="error",
                message=f"{key} holds {value:.3g}, which float32 cannot hold: it would become Inf on load",
                hint="Look at how this float64 checkpoint was made; no trained weight is that large.",
                keys=tuple(name for name, _ in scan.overflowing),
            )
        )
    return planned.report(causes=tuple(found))


def _finish(planned: Plan, report: Report, stage: publish.Stage, written: writer.Written) -> Report:
    """Publish what loaded; keep what did not only where the user asked for it."""
    publishable = not any(cause.severity == "error" for cause in report.causes)
    if not publishable and not planned.job.keep_failed:
        return report
    target = stage.target if publishable else stage.target.with_name(f"{stage.target.name}.failed")
    if not publishable:
        publish.check_target(target, planned.job.request.source, planned.archive.path, force=True)
    files = tuple(
        OutputFile(
            name=file.name,
            bytes=file.stat().st_size,
            sha256=written.sha256 if file == written.path else publish.sha256(file),
        )
        for file in sorted(stage.folder.iterdir())
    )
    report = replace(report, output=str(target), files=files)
    publish.write_json(stage.folder / "report.json", report.to_json())
    with timed(planned.seconds, "publish"):
        publish.publish(stage, target, replace=planned.job.force or not publishable)
    return report


def verify(job: Job, watch: Watch | None = None) -> Report:
    """Load a model that exists already, strictly, and let it speak. Writes only where `job.output` names a folder.

    Raises:
        ConversionError: it could not run.
    """
    watch = watch or Silent()
    checkpoint = find_checkpoint(job.request.source, job.request.checkpoint)
    if job.output:
        publish.check_target(job.output, job.request.source, checkpoint, job.force)
    planned = plan(job)
    if planned.source.vocab is None:
        raise _no_vocab(planned)
    rooms = _BackgroundImport()
    total = sum(record.bytes for record in planned.ledger.written.values())
    with watch.step("checking the bytes", total, "bytes") as progress, timed(planned.seconds, "scan"):
        scan = writer.scan_tensors(planned.archive.path, planned.ledger.written, progress)
    audition = rooms.wait(planned, watch)
    report = _judge_bytes(planned, scan)
    if job.output is None:
        return audition(planned, report, None, None, watch)
    with publish.staging(job.output) as stage:
        report = audition(planned, report, stage.folder, None, watch)
        files = tuple(
            OutputFile(name=file.name, bytes=file.stat().st_size, sha256=publish.sha256(file))
            for file in sorted(stage.folder.iterdir())
        )
        report = replace(report, output=str(job.output), files=files)
        publish.write_json(stage.folder / "report.json", report.to_json())
        publish.publish(stage, job.output, replace=job.force)
    return report


def choose_language(job: Job, source: Source, config: dict[str, Any]) -> str:
    """Return the language to speak: the user's, else the run's, else English.

    Raises:
        SourceError: it is none that XTTS knows, or none of this model's.
    """
    known = settings.load("sentences").keys()
    language = job.language or source.language or "en"
    language = "zh-cn" if language in ("zh", "zh-CN") else language
    allowed = [name for name in known if name in config.get("languages", known)]
    if language not in allowed:
        if job.language is None:
            return "en" if "en" in allowed else allowed[0]
        raise SourceError(
            "bad-language",
            f"language {language!r:.40} is not one of this model's",
            f"Pass --language with one of: {' '.join(allowed)}.",
        )
    return language
