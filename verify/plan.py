"""Everything that can be known without torch and without writing: what is there, and what would happen to it."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from verify.checkpoint import archive as archives
from verify.checkpoint import reader, recognise
from verify.checkpoint.archive import Archive
from verify.checkpoint.companions import Found, Source, gather
from verify.checkpoint.config import inference_config
from verify.checkpoint.ledger import Ledger, build_ledger
from verify.checkpoint.source import Request, find_checkpoint
from verify.checkpoint.tensors import TensorRecord
from verify.diagnosis import architecture, causes, vocabulary
from verify.diagnosis.architecture import Architecture
from verify.diagnosis.vocabulary import Vocabulary
from verify.errors import Cause, ConversionError, SourceError
from verify.reporting.report import Report

Voices = dict[str, dict[str, TensorRecord]]

# Checks that decide the verdict for barely trained weights; `--expect speech` asks for every check.
SOUND_CHECKS = frozenset({"finite", "audible", "plausible length", "cached logits"})


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
    vocabulary: Vocabulary | None
    voices: Voices
    causes: tuple[Cause, ...]
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def vocab(self) -> Path:
        """The vocab.json to use.

        Raises:
            SourceError: none was found.
        """
        if self.source.vocab is None:
            raise no_vocab(self)
        return self.source.vocab.path

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
        ledger = build_ledger(archive.tensors, reader.same_bytes)
        _require_xtts(archive, ledger)
        source = gather(job.request, checkpoint, archive.config)
        config = inference_config(source.config, source.config_origin)
        found = architecture.read_architecture(ledger.written)
        known = [*archive.warnings, *_unknown_keys(ledger), *architecture.missing_parts(ledger.written)]
        known += _config_causes(found, config, source, archive)
        known += architecture.contradictions(found, config["model_args"], source.config_origin)
        voices, refused = _readable_voices(source)
        known += refused
        source = replace(source, speakers=None) if refused else source
        tokens = None
        if source.vocab is not None:
            tokens = vocabulary.read_vocabulary(source.vocab.path)
            known += _vocabulary_causes(found, tokens, source.vocab)
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
        vocabulary=tokens,
        voices=voices,
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
    other = recognise.other_file(keys)
    what = f"this looks like {other}" if other else f"its tensors are {causes.summary(sorted(keys), 5)}"
    raise SourceError("not-xtts", f"{archive.path} holds no XTTS weights: {what}", recognise.TRAINING_FILE_HINT)


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


def _config_causes(found: Architecture, config: dict[str, Any], source: Source, archive: Archive) -> tuple[Cause, ...]:
    """Return where config and weights differ; where the checkpoint holds a config of its own that fits, say so."""
    wrong = architecture.config_causes(found, config["model_args"], source.config_origin)
    embedded = archive.config.get("model_args") if archive.config else None
    if wrong and isinstance(embedded, dict) and not architecture.config_causes(found, embedded, ""):
        hint = "The config inside the checkpoint fits: take the other one away (no --config, no config.json beside it)."
        return tuple(replace(cause, hint=hint) for cause in wrong)
    return wrong


def _vocabulary_causes(found: Architecture, tokens: Vocabulary, vocab: Found) -> list[Cause]:
    cause = architecture.vocabulary_cause(found, tokens, vocab.path.name, vocab.origin)
    known = [cause] if cause else []
    odd = [f"leaves {tokens.holes:,} ids below {tokens.size:,} unused"] if tokens.holes else []
    odd += [f"gives {tokens.shared:,} tokens the id of another"] if tokens.shared else []
    if odd:
        message = f"{vocab.path.name} ({vocab.origin}) {' and '.join(odd)}"
        hint = "Check that it was not edited by hand."
        known.append(Cause(code="vocab-ids", severity="warning", message=message, hint=hint))
    return known


def _readable_voices(source: Source) -> tuple[Voices, list[Cause]]:
    """Return the voices of the speakers file, or why it is left out."""
    if source.speakers is None:
        return {}, []
    try:
        return archives.read_voices(source.speakers.path), []
    except ConversionError as error:
        warning = Cause(
            code="speakers-refused",
            severity="warning",
            message=f"{source.speakers.path.name} was left out: {error}",
            hint="Pass --base with a folder that holds a good speakers_xtts.pth.",
        )
        return {}, [warning]


def no_vocab(planned: Plan) -> SourceError:
    """Return the error for a run whose vocabulary was not found: where it was looked for, and which one would fit."""
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
