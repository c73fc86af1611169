"""Take a checkpoint or a model folder straight to a ready `Xtts`: no file is written, each weight is read once."""

from typing import TYPE_CHECKING

from TTS.tts.layers.xtts.xtts_manager import SpeakerManager
from TTS.tts.models.xtts import Xtts

from verify.checkpoint import reader
from verify.coqui import model as models
from verify.diagnosis import attribution
from verify.diagnosis.vocab_check import no_vocab
from verify.errors import Cause, ConversionError
from verify.options import AnyPath, SourceOptions, job_of
from verify.plan import Plan, plan

if TYPE_CHECKING:
    from typing_extensions import Unpack


def load_xtts(source: AnyPath, device: str, **options: "Unpack[SourceOptions]") -> Xtts:
    """Do what `verify.load_xtts` says, with torch imported."""
    model = load_planned(plan(job_of(source, **options)))
    return models.prepare_for_speech(model, device)


def load_planned(planned: Plan) -> Xtts:
    """Return the strictly loaded model of a plan, on the CPU and before inference mode.

    Raises:
        ConversionError: it does not load strictly, holds NaN or Inf, or is damaged.
    """
    _require(planned.causes)
    if planned.vocabulary is None:
        raise no_vocab(planned.architecture, planned.source.searched)
    tensors = planned.ledger.written
    model = models.build_skeleton(planned.config, planned.vocab)
    fits = models.compare(model, tensors)
    shapes = {item.key: (item.checkpoint, item.model) for item in fits.mismatched}
    _require(attribution.explain(planned.causes, fits.missing, fits.unexpected, shapes))
    data, scan = reader.read_tensors(tensors, lambda _: None)
    if scan.non_finite:
        raise ConversionError(
            "non-finite", f"NaN or Inf in {attribution.summary(scan.non_finite)}", keys=scan.non_finite
        )
    models.load_strictly(model, models.from_bytes(data, tensors), fits)
    model.speaker_manager = _speaker_manager(planned)
    return model


def _speaker_manager(planned: Plan) -> SpeakerManager | None:
    """Return coqui's manager of the speakers file's voices, without its own way of reading them; None where there are none."""
    if not planned.voices:
        return None
    manager = SpeakerManager.__new__(SpeakerManager)
    manager.speakers = {}
    for name, parts in planned.voices.items():
        data, _ = reader.read_tensors(parts, lambda _: None)
        tensors = models.from_bytes(data, parts)
        # Xtts takes the two by their position.
        manager.speakers[name] = {
            part: tensors[part] for part in ("gpt_cond_latent", "speaker_embedding") if part in tensors
        }
    return manager


def _require(found: tuple[Cause, ...]) -> None:
    """Raise the first cause that forbids to use the model."""
    for cause in found:
        if cause.severity == "error":
            raise ConversionError(cause.code, cause.message, cause.hint, cause.keys)
