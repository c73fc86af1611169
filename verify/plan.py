"""Everything that can be known without torch and without writing: what is there, and what would happen to it."""

import contextlib
import time
from dataclasses import dataclass, replace
from typing import Any

from verify.checkpoint import archive as archives
from verify.checkpoint.archive import Archive
from verify.checkpoint.equality import same_bytes
from verify.checkpoint.tensors import TensorRecord
from verify.conversion.key_map import names_of
from verify.conversion.ledger import Ledger, build_ledger
from verify.diagnosis import components, config_check, vocab_check
from verify.diagnosis.architecture import Architecture, read_architecture
from verify.diagnosis.attribution import explain
from verify.errors import Cause, ConversionError, any_error
from verify.files.location import Location, redirect_notes
from verify.options import Job
from verify.source.base import Base, Likeness, fill, read_base
from verify.source.base import likeness as likeness_to
from verify.source.companions import Found, Source, gather
from verify.source.config import inference_config
from verify.source.find import find_checkpoint
from verify.source.vocabulary import Vocabulary, read_vocabulary

Voices = dict[str, dict[str, TensorRecord]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that is known without torch: what is there, and what would happen."""

    job: Job
    archive: Archive
    ledger: Ledger
    base: Base | None
    likeness: tuple[Likeness, ...]
    source: Source
    config: dict[str, Any]
    architecture: Architecture
    vocabulary: Vocabulary | None
    voices: Voices
    causes: tuple[Cause, ...]
    seconds: float  # that reading and mapping took

    @property
    def vocab(self) -> Location:
        """The vocab.json to use.

        Raises:
            SourceError: none was found.
        """
        if self.source.vocab is None:
            raise vocab_check.no_vocab(self.architecture, self.source.searched)
        return self.source.vocab.path

    def foreseen(self) -> tuple[Cause, ...]:
        """The causes with the names that the file is known to lack without a model to compare it with."""
        wanted = names_of(self.architecture.fields.get("gpt_layers", 0), self.architecture.version)
        lacking = sorted(wanted - self.ledger.written.keys())
        return components.half_parts(explain(self.causes, lacking, (), {}), self.base, self.ledger)


def plan(job: Job) -> Plan:
    """Read and map the source without torch and without writing.

    Raises:
        ConversionError: the source cannot be used.
    """
    began = time.perf_counter()
    checkpoint = find_checkpoint(job.source, job.checkpoint)
    archive = archives.read_archive(checkpoint)
    own, base = build_ledger(archive.tensors, same_bytes), read_base(job.base)
    components.require_xtts(archive, own, filling=base is not None)
    source = gather(job, checkpoint, archive.config)
    ledger, likeness = fill(own, base), likeness_to(own, base)
    architecture = config_check.with_lost_layers(read_architecture(ledger.by_name), source.config, archive.config)
    config, config_causes = _config(architecture, source, archive, job)
    causes = [
        *archive.warnings,
        *components.unknown_keys(ledger),
        *components.filled_parts(ledger, base),
        *components.missing_parts(ledger.written, job.base),
        *components.missing_layers(architecture),
        *config_causes,
        *redirect_notes(checkpoint),
    ]
    voices, refused = _readable_voices(source)
    source = replace(source, speakers=None) if refused else source
    vocabulary, vocabulary_causes = _vocabulary(architecture, source, config, job)
    causes += [*refused, *vocabulary_causes]
    causes += components.unchanged(likeness, base, checkpoint) if not any_error(causes) else ()
    return Plan(
        job=job,
        archive=archive,
        ledger=ledger,
        base=base,
        likeness=likeness,
        source=source,
        config=config,
        architecture=architecture,
        vocabulary=vocabulary,
        voices=voices,
        causes=components.half_parts(causes, base, ledger),
        seconds=time.perf_counter() - began,
    )


def _config(
    architecture: Architecture, source: Source, archive: Archive, job: Job
) -> tuple[dict[str, Any], list[Cause]]:
    """Return the inference config, and how it fits the weights; where the one inside the checkpoint fits, say so."""
    config = inference_config(source.config, source.config_origin)
    args, origin = config["model_args"], source.config_origin
    causes: list[Cause] = []
    if job.config_from_weights:
        config["model_args"], changed = config_check.from_weights(architecture, args, origin)
        causes += changed
        args = config["model_args"]
    wrong = (
        *config_check.config_causes(architecture, args, origin),
        *config_check.contradictions(architecture, args, origin),
    )
    embedded = archive.config.get("model_args") if archive.config else None
    if isinstance(embedded, dict):
        if wrong and not (
            config_check.config_causes(architecture, embedded, "")
            or config_check.contradictions(architecture, embedded, "")
        ):
            hint = "The config inside the checkpoint fits: take the other away (no --config, no config.json beside it)."
            wrong = tuple(replace(cause, hint=hint) for cause in wrong)
        elif not wrong:
            causes += config_check.second_opinion(architecture, args, origin, embedded, named=job.config is not None)
    return config, [*wrong, *causes]


def _vocabulary(
    architecture: Architecture, source: Source, config: dict[str, Any], job: Job
) -> tuple[Vocabulary | None, list[Cause]]:
    """Return the vocabulary and what is wrong with it; its size and its start and stop go into the config."""
    if source.vocab is None:
        return None, []
    vocabulary = read_vocabulary(source.vocab.path)
    config["model_args"] |= {
        "gpt_number_text_tokens": vocabulary.size,
        "gpt_start_text_token": vocabulary.start,
        "gpt_stop_text_token": vocabulary.stop,
    }
    causes = vocab_check.vocabulary_causes(architecture, vocabulary, source.vocab)
    if any(cause.code == "vocab-rows" for cause in causes) and (fitting := _fitting(architecture, source)):
        hint = f"{fitting.path} ({fitting.origin}) has as many tokens as the weights have rows: pass it with --vocab."
        causes = [replace(cause, hint=hint) if cause.code == "vocab-rows" else cause for cause in causes]
    of_base = job.base / "vocab.json" if job.base else None
    if of_base and of_base.is_file() and of_base != source.vocab.path:
        causes += vocab_check.order_causes(vocabulary, source.vocab, read_vocabulary(of_base), of_base)
    return vocabulary, causes


def _fitting(architecture: Architecture, source: Source) -> Found | None:
    """Return another vocabulary, of those that could have been taken, that has a token for each row of the weights."""
    for other in source.other_vocabs:
        with contextlib.suppress(ConversionError):
            if read_vocabulary(other.path).size == architecture.fields.get("gpt_number_text_tokens"):
                return other
    return None


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
