"""The one way to a loaded model: build it, compare it with the file, load strictly, prove the bytes.

`convert`, `verify`, `compare`, `sweep` and `load_xtts` all take it, so that they refuse the same files for the same reason.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from TTS.tts.layers.xtts.xtts_manager import SpeakerManager
from TTS.tts.models.xtts import Xtts

from verify.checkpoint import reader
from verify.conversion import dtypes
from verify.coqui import model as models
from verify.coqui.model import StateDict
from verify.diagnosis import attribution, components
from verify.diagnosis.vocab_check import no_vocab
from verify.diagnosis.weights_check import value_causes
from verify.errors import Cause, ConversionError, any_error, counted
from verify.options import AnyPath, SourceOptions, job_of
from verify.plan import Plan, plan
from verify.progress import Silent, Stopwatch
from verify.result import Result

if TYPE_CHECKING:
    from typing_extensions import Unpack


def load(
    result: Result, state: Callable[[], StateDict], clock: Stopwatch, *, prove: bool = True
) -> tuple[Result, Xtts | None]:
    """Return the result with how the file fits the model, and the loaded model; None where it must not be used.

    The model is on the CPU and not in inference mode yet.

    Args:
        state: gives the state dict; called only when names, shapes and dtypes fit.
        prove: whether to compare every byte of the loaded model with the source, which reads that once more.
    """
    result, model = _compared(result, clock)
    if model is None or result.load is None:
        return result, None
    with clock.timed("load"):
        result = replace(result, load=models.load_strictly(model, state(), result.load))
    return _proven(result, model, clock) if prove else (result, model)


def _compared(result: Result, clock: Stopwatch) -> tuple[Result, Xtts | None]:
    """Return the result with all that keeps the file from being loaded, and the model without weights; None where it does not fit."""
    plan, tensors = result.plan, result.ledger.written
    try:
        with clock.step("build", "loading into Xtts"):
            model = models.build_skeleton(plan.config, plan.vocab)
    except models.UnbuildableError as error:  # the causes that are known already say it better
        known = any_error(result.causes)
        return (result if known else replace(result, causes=(*result.causes, error.cause))), None
    load = models.compare(model, tensors)
    shapes = {item.key: (item.checkpoint, item.model) for item in load.mismatched}
    causes = attribution.explain(result.causes, load.missing, load.unexpected, shapes)
    causes = components.half_parts(causes, plan.base, plan.ledger)
    result = replace(result, load=load, causes=(*causes, *_wrong_dtypes(models.wrong_dtypes(model, tensors))))
    return result, None if any_error(result.causes) else model


def _proven(result: Result, model: Xtts, clock: Stopwatch) -> tuple[Result, Xtts | None]:
    """Return the result with the comparison of every byte with the source, and the model; None where they differ."""
    ledger, dtype = result.ledger, result.plan.job.dtype
    new = {name: record.dtype for name, record in dtypes.recorded(ledger.written, dtype).items()}
    with clock.step("compare", "comparing every byte", ledger.written_bytes, "bytes") as progress:
        identity = models.prove_identity(model, ledger.written, progress, new)
    result = replace(result, identical=identity)
    if identity.ok:
        return result, model
    return replace(result, causes=(*result.causes, _not_identical(identity.different))), None


def _wrong_dtypes(wrong: Mapping[str, tuple[str, str]]) -> list[Cause]:
    if not wrong:
        return []
    key, (of_file, of_model) = next(iter(wrong.items()))
    more = f" (and {len(wrong) - 1:,} more tensors)" if len(wrong) > 1 else ""
    return [
        Cause(
            code="dtype-mismatch",
            severity="error",
            message=f"{key} holds {of_file} values in the file and {of_model} in the model{more}",
            hint="Save the checkpoint again from the model itself.",
            keys=tuple(wrong),
        )
    ]


def _not_identical(keys: Sequence[str]) -> Cause:
    return Cause(
        code="not-identical",
        severity="error",
        message=f"{counted(len(keys), 'loaded tensor')} differ{'s' * (len(keys) == 1)} from the source: {attribution.summary(keys)}",
        hint="The disk or the memory changed data: check both, then run again.",
        keys=tuple(keys),
    )


def load_xtts(source: AnyPath, device: str, **options: "Unpack[SourceOptions]") -> Xtts:
    """Do what `verify.load_xtts` says, with torch imported."""
    return models.prepare_for_speech(load_planned(plan(job_of(source, **options))), device)


def load_planned(plan: Plan) -> Xtts:
    """Return the strictly loaded model of a plan, on the CPU and not in inference mode yet; each weight is read once.

    Raises:
        ConversionError: it does not load strictly, holds NaN or Inf, or is damaged; with the first cause that forbids it.
    """
    if plan.vocabulary is None:
        raise no_vocab(plan.architecture, plan.source.searched)

    def state() -> StateDict:
        data, scan = reader.read_tensors(plan.ledger.written, lambda _: None)
        _require(value_causes(scan))
        return models.from_bytes(data, plan.ledger.written)

    result, model = load(Result.of(plan), state, Stopwatch(Silent()), prove=False)
    _require(result.causes)
    if model is None:
        raise AssertionError  # pragma: no cover: a cause says why
    model.speaker_manager = _speaker_manager(plan)
    return model


def _require(causes: Sequence[Cause]) -> None:
    """Raise the first cause that forbids to use the model."""
    for cause in causes:
        if cause.severity == "error":
            raise ConversionError(cause.code, cause.message, cause.hint, cause.keys)


def _speaker_manager(plan: Plan) -> SpeakerManager | None:
    """Return coqui's manager of the speakers file's voices, without its own way of reading them; None where there are none."""
    if not plan.voices:
        return None
    manager = SpeakerManager.__new__(SpeakerManager)
    manager.speakers = {}
    for name, parts in plan.voices.items():
        data, _ = reader.read_tensors(parts, lambda _: None)
        tensors = models.from_bytes(data, parts)
        # Xtts takes the two by their position.
        manager.speakers[name] = {
            part: tensors[part] for part in ("gpt_cond_latent", "speaker_embedding") if part in tensors
        }
    return manager
