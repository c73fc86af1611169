"""Plan a run without torch and without writing: what the source holds, and what would happen to it."""

import contextlib
import time
from dataclasses import dataclass, replace
from typing import Any

from verify import resources
from verify.checkpoint import archive as archives
from verify.checkpoint.archive import Archive
from verify.checkpoint.equality import same_bytes
from verify.checkpoint.tensors import TensorRecord
from verify.conversion.key_map import names_of
from verify.conversion.ledger import Ledger, build_ledger
from verify.diagnosis import components, config_check, vocab_check, vocab_rows
from verify.diagnosis.architecture import Architecture, read_architecture
from verify.diagnosis.attribution import explain
from verify.errors import Cause, ConversionError, UnreadFormatError, any_error
from verify.files.location import Location, redirect_notes
from verify.options import Job
from verify.source.base import Base, Likeness, fill, read_base
from verify.source.base import likeness as likeness_to
from verify.source.companions import Found, Source, gather
from verify.source.config import inference_config
from verify.source.find import find_checkpoint, only_run_note, run_of
from verify.source.sampling import to_save
from verify.source.vocabulary import Vocabulary, read_vocabulary

Voices = dict[str, dict[str, TensorRecord]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the source holds, and what would happen to it."""

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
    unopenable: Cause | None  # a speakers file beside the checkpoint with which coqui-tts opens no model
    causes: tuple[Cause, ...]
    seconds: float  # the time for reading and mapping

    @property
    def vocab(self) -> Location:
        """The vocab.json to use.

        Raises:
            SourceError: none was found.
        """
        if self.source.vocab is None:
            raise vocab_check.no_vocab(self.architecture, self.source.searched)
        return self.source.vocab.path

    def as_it_stands(self) -> "Plan":
        """Return the plan for a folder that is used as it is: there is no output that leaves a bad speakers file out."""
        if self.unopenable is None:
            return self
        others = (cause for cause in self.causes if cause.code != "speakers-refused")
        return replace(self, causes=(self.unopenable, *others))

    def foreseen(self) -> tuple[Cause, ...]:
        """The causes, with the keys that are known even before a model is built: those that the file lacks, and the vocabulary's."""
        expected, written = (
            names_of(self.architecture.fields.get("gpt_layers", 0), self.architecture.version),
            self.ledger.written,
        )
        missing = sorted(expected - written.keys())
        return components.half_parts(explain(self.causes, missing, (), self._wrong_rows()), self.base, self.ledger)

    @property
    def is_hopeless(self) -> bool:
        """Whether it cannot load for the vocabulary's sake alone, so that building a model would tell nothing more."""
        wrong = {cause.code for cause in self.foreseen() if cause.severity == "error"}
        return bool(wrong) and wrong <= vocab_check.ERRORS

    def _wrong_rows(self) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
        """Return the tensors that have another number of rows than the vocabulary has tokens: shape here, shape in the model."""
        if self.vocabulary is None:
            return {}
        size = self.vocabulary.size
        own = {name: self.ledger.written[name].shape for name in vocab_check.TENSORS if name in self.ledger.written}
        return {name: (shape, (size, *shape[1:])) for name, shape in own.items() if shape[:1] != (size,)}


def plan(job: Job) -> Plan:
    """Read and map the source without torch and without writing.

    Raises:
        ConversionError: the source cannot be used.
    """
    start = time.perf_counter()
    run = run_of(job.source)
    checkpoint = find_checkpoint(run, job.checkpoint)
    archive = archives.read_archive(checkpoint)
    own_ledger, base = build_ledger(archive.tensors, same_bytes), read_base(job.base)
    components.require_xtts(archive, own_ledger, filling=base is not None)
    source = gather(job, checkpoint, archive.config)
    ledger, likeness = fill(own_ledger, base), likeness_to(own_ledger, base)
    architecture = config_check.with_lost_layers(read_architecture(ledger.by_name), source.config, archive.config)
    config, config_causes = _config(architecture, source, archive, job)
    causes = [
        *archive.warnings,
        *components.of_tensors(ledger, base, job.base, architecture),
        *config_causes,
        *only_run_note(job.source, run),
        *redirect_notes(checkpoint),
    ]
    voices, refused, unopenable = _readable_voices(source, checkpoint)
    source = replace(source, speakers=None) if refused else source
    vocabulary, vocabulary_causes = _vocabulary(architecture, source, config, job)
    causes += [*refused, *vocabulary_causes]
    if vocabulary and not any_error(vocabulary_causes):
        causes += vocab_rows.untrained_languages(archive, ledger.written, vocabulary)
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
        unopenable=unopenable,
        causes=components.half_parts(causes, base, ledger),
        seconds=time.perf_counter() - start,
    )


def _config(
    architecture: Architecture, source: Source, archive: Archive, job: Job
) -> tuple[dict[str, Any], list[Cause]]:
    """Return the inference config, and how it fits the weights; the causes point to the config inside the checkpoint where that one fits."""
    config = inference_config(source.config, source.config_origin)
    if job.save_sampling:
        config |= to_save(config, job)
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
    """Return the vocabulary and what is wrong with it; put its size and its start and stop tokens into the config."""
    if source.vocab is None:
        return None, []
    vocabulary = read_vocabulary(source.vocab.path)
    config["model_args"] |= {
        "gpt_number_text_tokens": vocabulary.size,
        "gpt_start_text_token": vocabulary.start,
        "gpt_stop_text_token": vocabulary.stop,
    }
    if vocabulary.added_languages:  # `Xtts.synthesize` refuses a language that the config does not list
        listed = config.get("languages", list(resources.load("sentences")))
        config["languages"] = list(dict.fromkeys([*listed, *vocabulary.added_languages]))
    causes = vocab_check.vocabulary_causes(architecture, vocabulary, source.vocab)
    if any(cause.code == "vocab-rows" for cause in causes) and (fitting := _fitting(architecture, source)):
        hint = f"{fitting.path} ({fitting.origin}) has as many tokens as the weights have rows: pass it with --vocab."
        causes = [replace(cause, hint=hint) if cause.code == "vocab-rows" else cause for cause in causes]
    base_vocab = job.base / "vocab.json" if job.base else None
    if base_vocab and base_vocab.is_file() and base_vocab != source.vocab.path:
        causes += vocab_check.order_causes(vocabulary, source.vocab, read_vocabulary(base_vocab), base_vocab)
    return vocabulary, causes


def _fitting(architecture: Architecture, source: Source) -> Found | None:
    """Return another vocabulary that was found and that has as many tokens as the weights have rows."""
    for other in source.other_vocabs:
        with contextlib.suppress(ConversionError):
            if read_vocabulary(other.path).size == architecture.fields.get("gpt_number_text_tokens"):
                return other
    return None


def _readable_voices(source: Source, checkpoint: Location) -> tuple[Voices, list[Cause], Cause | None]:
    """Return the voices of the speakers file, else why it is left out, and why the folder of the checkpoint cannot be used as it is."""
    if source.speakers is None:
        return {}, [], None
    file = source.speakers.path
    try:
        return archives.read_voices(file), [], None
    except ConversionError as error:
        warning = Cause(
            code="speakers-refused",
            severity="warning",
            message=f"{file.name} was left out: {error}",
            hint="Pass --base with a folder that holds a good speakers_xtts.pth.",
        )
        stays_closed = file.parent == checkpoint.parent and not isinstance(error, UnreadFormatError)
        return {}, [warning], _unopenable(file, error) if stays_closed else None


def _unopenable(file: Location, error: ConversionError) -> Cause:
    return Cause(
        code="speakers-damaged",
        severity="error",
        message=f"coqui-tts opens {file.name} with the model wherever it stands beside it, and this one stops it: {error}",
        hint=f"Delete {file}, or put the one of the base model in its place; to convert the folder leaves it out.",
    )
