"""Judge the values of the weights beside the finite check: all zero, never trained, of another scale than the base's."""

from collections.abc import Mapping

from verify import settings
from verify.checkpoint.keytable import matches, part_of
from verify.checkpoint.tensors import TensorRecord
from verify.checkpoint.values import Scan, Values
from verify.checks import SCALE, TRAINED, ZEROED, Check
from verify.diagnosis.causes import summary
from verify.errors import Cause, counted

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
    """Return why no model can use these values, where that is so."""
    found = []
    if scan.non_finite:
        found.append(
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
        found.append(
            Cause(
                code="float32-overflow",
                severity="error",
                message=f"{key} holds {value:.3g}, which float32 cannot hold: it would become Inf on load",
                hint="Look at how this float64 checkpoint was made; no trained weight is that large.",
                keys=tuple(name for name, _ in scan.overflowing),
            )
        )
    return tuple(found)


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
    """Find matrices and filters that are all zero: a bias may well be, and what starts at zero is the next check's."""
    zeroed = [
        name
        for name, seen in values.items()
        if seen.zero and len(tensors[name].shape) > 1 and seen.elements and initial_value(name) is None
    ]
    return Check(
        name=ZEROED,
        ok=not zeroed,
        measured=len(zeroed),
        limit="<= 0",
        unit="tensors",
        hint=f"All zero, so this part does nothing: {summary(zeroed, 3)}." if zeroed else "",
    )


def _trained(values: Mapping[str, Values]) -> Check:
    """Find parts in which no tensor has moved that training moves."""
    moved: dict[str, bool] = {}
    for name, seen in values.items():
        initial, part = initial_value(name), part_of(name)
        if initial is not None and part:
            as_begun = seen.zero if initial == 0 else seen.constant == initial
            moved[part] = moved.get(part, False) or not as_begun
    untrained = [part for part, has_moved in moved.items() if not has_moved]
    return Check(
        name=TRAINED,
        ok=not untrained,
        measured=len(untrained),
        limit="<= 0",
        unit="parts",
        hint=f"Still at the values it begins with, never trained: {', '.join(untrained)}." if untrained else "",
    )


def _scale(values: Mapping[str, Values], base: Mapping[str, Values]) -> Check:
    """Hold the RMS of each tensor against the base's."""
    most = settings.load("limits")["values"]["scale_ratio"]
    ratios = {name: _ratio(values[name].rms, of.rms) for name, of in base.items() if name in values}
    far = sorted((name for name, ratio in ratios.items() if ratio > most), key=lambda name: -ratios[name])
    return Check(
        name=SCALE,
        ok=not far,
        measured=max(ratios.values(), default=1.0),
        limit=f"<= {most:g}",
        unit="times more or less",
        hint=f"{len(far)} tensors, {summary(far, 3)}: fine-tuning does not move weights so far." if far else "",
    )


def _ratio(a: float, b: float) -> float:
    """Return how many times the larger is the smaller; what begins at zero has no scale to keep."""
    return max(a, b) / min(a, b) if min(a, b) > 0 else 1.0
