"""Check the values of the weights: finite, not all zero, trained, and of the same scale as the base's."""

from collections.abc import Mapping

from verify import resources
from verify.checkpoint.tensor_stats import Scan, Values
from verify.checkpoint.tensors import TensorRecord
from verify.checks import SCALE, TRAINED, ZEROED, Check
from verify.conversion.cast import Loss, Losses
from verify.conversion.dtypes import changes
from verify.conversion.key_map import matches, part_of
from verify.diagnosis.attribution import summary
from verify.errors import Cause, SourceError, counted
from verify.findings import CastPart, CastResult

# names of tensors that the modules of coqui-tts fill with one value, and which training moves -> that value
# (LayerNorm, GroupNorm, BatchNorm, RMSNorm; `zero_module` in conditioning_encoder; the biases of transformers' Conv1D)
# fmt: off
INITIAL = (
    ("gpt.final_norm.weight",                                                     1.0),
    ("gpt.final_norm.bias",                                                       0.0),
    ("gpt.gpt.ln_f.weight",                                                       1.0),
    ("gpt.gpt.ln_f.bias",                                                         0.0),
    ("gpt.gpt.h.#.{ln_1,ln_2}.weight",                                            1.0),
    ("gpt.gpt.h.#.{ln_1,ln_2}.bias",                                              0.0),
    ("gpt.gpt.h.#.attn.{c_attn,c_proj}.bias",                                     0.0),
    ("gpt.gpt.h.#.mlp.{c_fc,c_proj}.bias",                                        0.0),
    ("gpt.conditioning_encoder.attn.#.norm.weight",                               1.0),
    ("gpt.conditioning_encoder.attn.#.norm.bias",                                 0.0),
    ("gpt.conditioning_encoder.attn.#.proj_out.{weight,bias}",                    0.0),
    ("gpt.conditioning_perceiver.norm.gamma",                                     1.0),
    ("hifigan_decoder.speaker_encoder.bn1.{weight,running_var}",                  1.0),
    ("hifigan_decoder.speaker_encoder.bn1.{bias,running_mean}",                   0.0),
    ("hifigan_decoder.speaker_encoder.layer{1,2,3,4}.#.{bn1,bn2}.{weight,running_var}", 1.0),
    ("hifigan_decoder.speaker_encoder.layer{1,2,3,4}.#.{bn1,bn2}.{bias,running_mean}",  0.0),
    ("mel_stats",                                                                 1.0),
)
# fmt: on


def initial_value(name: str) -> float | None:
    """Return the one value that the tensor of this name has before training, or None where it starts at random."""
    return next((value for pattern, value in INITIAL if matches(name, pattern)), None)


def value_causes(scan: Scan) -> tuple[Cause, ...]:
    """Return an error for each kind of value that no model can use."""
    causes = []
    if scan.non_finite:
        causes.append(
            Cause(
                code="non-finite",
                severity="error",
                message=f"NaN or Inf in {counted(len(scan.non_finite), 'tensor')}: {summary(scan.non_finite)}",
                hint="Training diverged. Use an earlier checkpoint: --checkpoint STEP.",
                keys=scan.non_finite,
            )
        )
    if scan.overflowing:
        key, value = scan.overflowing[0]
        causes.append(
            Cause(
                code="float32-overflow",
                severity="error",
                message=f"{key} holds {value:.3g}, which float32 cannot hold: it would become Inf on load",
                hint="Look at how this float64 checkpoint was made; no trained weight is that large.",
                keys=tuple(name for name, _ in scan.overflowing),
            )
        )
    return tuple(causes)


def value_checks(tensors: Mapping[str, TensorRecord], scan: Scan, base: Mapping[str, Values]) -> tuple[Check, ...]:
    """Return the checks of what one pass saw of the values.

    Args:
        tensors: the written tensors by their canonical names.
        scan: what the pass saw of them.
        base: values of the base's tensors that differ from these, by canonical name; empty without `--base`.
    """
    values = {name: scan.values[record] for name, record in tensors.items() if record in scan.values}
    checks = [_zeroed(values, tensors), _trained(values)]
    return (*checks, *([_scale(values, base)] if base else []))


def _zeroed(values: Mapping[str, Values], tensors: Mapping[str, TensorRecord]) -> Check:
    """Find matrices and filters that are all zero: a bias may be zero, and tensors that start at zero belong to the next check."""
    zeroed = [
        name
        for name, tensor_values in values.items()
        if tensor_values.zero
        and len(tensors[name].shape) > 1
        and tensor_values.elements
        and initial_value(name) is None
    ]
    return Check(
        name=ZEROED,
        ok=not zeroed,
        measured=len(zeroed),
        high=0,
        unit="tensors",
        basic=True,
        hint=f"All zero, so this part does nothing: {summary(zeroed, 3)}." if zeroed else "",
    )


def _trained(values: Mapping[str, Values]) -> Check:
    """Find parts in which every tensor that training changes is still at its initial value."""
    moved: dict[str, bool] = {}
    for name, tensor_values in values.items():
        initial, part = initial_value(name), part_of(name)
        if initial is not None and part:
            as_begun = tensor_values.zero if initial == 0 else tensor_values.constant == initial
            moved[part] = moved.get(part, False) or not as_begun
    untrained = [part for part, has_moved in moved.items() if not has_moved]
    return Check(
        name=TRAINED,
        ok=not untrained,
        measured=len(untrained),
        high=0,
        unit="parts",
        hint=f"Still at the values it begins with, never trained: {', '.join(untrained)}." if untrained else "",
    )


def _scale(values: Mapping[str, Values], base: Mapping[str, Values]) -> Check:
    """Compare the RMS of each tensor with the base's."""
    highest = resources.load("limits")["values"]["scale_ratio"]
    ratios = {name: _ratio(values[name].rms, base_values.rms) for name, base_values in base.items() if name in values}
    exceeding = sorted((name for name, ratio in ratios.items() if ratio > highest), key=lambda name: -ratios[name])
    return Check(
        name=SCALE,
        ok=not exceeding,
        measured=max(ratios.values(), default=1.0),
        high=highest,
        unit="times more or less",
        basic=True,
        hint=f"{len(exceeding)} tensors, {summary(exceeding, 3)}: fine-tuning does not move weights so far."
        if exceeding
        else "",
    )


def _ratio(a: float, b: float) -> float:
    """Return how many times the larger is the smaller; what begins at zero has no scale to keep."""
    return max(a, b) / min(a, b) if min(a, b) > 0 else 1.0


_ROOM = {"float16": "the largest float16 is 65,504", "bfloat16": "bfloat16 ends at 3.39e38", "float32": "float32 ends at 3.4e38"}  # fmt: skip


def cast_result(losses: Losses, dtype: str) -> CastResult | None:
    """Return what casting cost, by part; None without a cast."""
    if not losses:
        return None
    parts: dict[str, dict[str, Loss]] = {}
    for name, loss in losses.items():
        parts.setdefault(part_of(name) or "unknown", {})[name] = loss
    return CastResult(dtype=dtype, parts=tuple(_part(part, members) for part, members in parts.items()))


def _part(part: str, losses: Mapping[str, Loss]) -> CastPart:
    worst = max(losses, key=lambda name: losses[name].relative)
    return CastPart(
        part=part,
        tensors=len(losses),
        worst_element=max(loss.worst for loss in losses.values()),
        worst_tensor=losses[worst].relative,
        tensor=worst,
        to_zero=sum(loss.to_zero for loss in losses.values()),
    )


def overflow_causes(losses: Losses, dtype: str) -> tuple[Cause, ...]:
    """Return the error for finite values that the dtype cannot hold; none where there are none."""
    lost = {name: loss.overflow for name, loss in losses.items() if loss.overflow is not None}
    if not lost:
        return ()
    name, value = max(lost.items(), key=lambda item: abs(item[1]))
    more = f", and {counted(len(lost) - 1, 'other tensor')}" if len(lost) > 1 else ""
    return (
        Cause(
            code="dtype-overflow",
            severity="error",
            message=f"--dtype {dtype}: {name} holds {value:,.6g}{more}; {_ROOM[dtype]}, so it would become Inf",
            hint="Pass --dtype bfloat16, which reaches as far as float32, or leave --dtype away."
            if dtype == "float16"
            else "Leave --dtype away.",
            keys=tuple(lost),
        ),
    )


def require_uncast(tensors: Mapping[str, TensorRecord], dtype: str) -> None:
    """Refuse to prove that cast weights say the same as the original: they round otherwise.

    Raises:
        SourceError: the cast changes a tensor.
    """
    if changes(tensors, dtype):
        raise SourceError(
            "cannot-prove",
            f"--prove: cast to {dtype}, the weights do not say the same as the original, bit for bit",
            "Leave --prove or --dtype away: every tensor is compared with what torch's own cast makes of the source.",
        )
