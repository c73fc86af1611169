"""What casting the weights cost, part by part, and whether a value got lost for good."""

from collections.abc import Mapping
from typing import Any

from verify.checkpoint.cast import Loss, Losses
from verify.checkpoint.keytable import part_of
from verify.checkpoint.kinds import changes
from verify.checkpoint.tensors import TensorRecord
from verify.errors import Cause, SourceError, counted

_ROOM = {"float16": "the largest float16 is 65,504", "bfloat16": "bfloat16 ends at 3.39e38", "float32": "float32 ends at 3.4e38"}  # fmt: skip


def as_json(losses: Losses, dtype: str) -> dict[str, Any] | None:
    """Return the report's `cast`: by part the worst relative error of an element and of a tensor; None without a cast."""
    if not losses:
        return None
    parts: dict[str, dict[str, Loss]] = {}
    for name, loss in losses.items():
        parts.setdefault(part_of(name) or "unknown", {})[name] = loss
    return {"dtype": dtype, "parts": [_part(part, members) for part, members in parts.items()]}


def _part(part: str, losses: Mapping[str, Loss]) -> dict[str, Any]:
    worst = max(losses, key=lambda name: losses[name].relative)
    return {
        "part": part,
        "tensors": len(losses),
        "worst_element": max(loss.worst for loss in losses.values()),
        "worst_tensor": losses[worst].relative,
        "tensor": worst,
        "to_zero": sum(loss.to_zero for loss in losses.values()),
    }


def overflow_causes(losses: Losses, dtype: str) -> tuple[Cause, ...]:
    """Return the error for finite values that the dtype cannot hold; none where there are none."""
    lost = {name: loss.overflow for name, loss in losses.items() if loss.overflow is not None}
    if not lost:
        return ()
    name, value = max(lost.items(), key=lambda item: abs(item[1]))
    others = f", and {counted(len(lost) - 1, 'other tensor')}" if len(lost) > 1 else ""
    return (
        Cause(
            code="dtype-overflow",
            severity="error",
            message=f"--dtype {dtype}: {name} holds {value:,.6g}{others}; {_ROOM[dtype]}, so it would become Inf",
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
