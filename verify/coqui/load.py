"""Load a model: build it, compare it with the file, load strictly, prove the bytes.

`convert`, `verify`, `compare`, `sweep` and `load_xtts` all use this, so that they refuse the same files for the same reasons.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from TTS.tts.layers.xtts.xtts_manager import SpeakerManager
from TTS.tts.models.xtts import Xtts

from verify.checkpoint import reader
from verify.conversion import dtypes
from verify.coqui import model as models
from verify.coqui.devices import choose_device
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
    """Return the result with its `load` report, and the loaded model; None where the model must not be used.

    The model is on the CPU and not in inference mode yet.

    Args:
        state: returns the state dict; called only when names, shapes and dtypes fit.
        prove: whether to compare every byte of the loaded model with the source, which reads the source again.
    """
    result, model = _compared(result, clock)
    if model is None or result.load is None:
        return result, None
    with clock.timed("load"):
        result = replace(result, load=models.load_strictly(model, state(), result.load))
    return _proven(result, model, clock) if prove else (result, model)


def _compared(result: Result, clock: Stopwatch) -> tuple[Result, Xtts | None]:
    """Return the result with the causes that forbid loading, and the model without weights; None where the file does not fit."""
    plan, tensors = result.plan, result.ledger.written
    try:
        with clock.step("build", "loading into Xtts"):
            model = models.build_skeleton(plan.config, plan.vocab)
    except models.UnbuildableError as error:  # an error that is known already explains it better
        is_explained = any_error(result.causes)
        return (result if is_explained else replace(result, causes=(*result.causes, error.cause))), None
    load = models.compare(model, tensors)
    shapes = {item.key: (item.checkpoint, item.model) for item in load.mismatched}
    causes = attribution.explain(result.causes, load.missing, load.unexpected, shapes)
    causes = components.half_parts(causes, plan.base, plan.ledger)
    result = replace(result, load=load, causes=(*causes, *_wrong_dtypes(models.wrong_dtypes(model, tensors))))
    return result, None if any_error(result.causes) else model


def _proven(result: Result, model: Xtts, clock: Stopwatch) -> tuple[Result, Xtts | None]:
    """Return the result with every byte compared with the source, and the model; None where they differ."""
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
    key, (file_dtype, model_dtype) = next(iter(wrong.items()))
    more = f" (and {len(wrong) - 1:,} more tensors)" if len(wrong) > 1 else ""
    return [
        Cause(
            code="dtype-mismatch",
            severity="error",
            message=f"{key} holds {file_dtype} values in the file and {model_dtype} in the model{more}",
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
    """Implement `verify.load_xtts`, with torch imported."""
    chosen = choose_device(device)  # before the weights are read
    return models.prepare_for_speech(load_planned(plan(job_of(source, **options))), chosen)


def load_planned(plan: Plan) -> Xtts:
    """Return the strictly loaded model of a plan, on the CPU and not in inference mode yet; each weight is read once.

    Raises:
        ConversionError: it does not load strictly, holds NaN or Inf, or is damaged; the error carries the first cause.
    """
    if plan.vocabulary is None:
        raise no_vocab(plan.architecture, plan.source.searched)

    def state() -> StateDict:
        """Return the tensors, read from the source, whose values can be used."""
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
    """Raise the first cause that is an error."""
    for cause in causes:
        if cause.severity == "error":
            raise ConversionError(cause.code, cause.message, cause.hint, cause.keys)


def _speaker_manager(plan: Plan) -> SpeakerManager | None:
    """Return coqui's manager of named voices, filled by our own reader instead of `torch.load`; None without voices."""
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
