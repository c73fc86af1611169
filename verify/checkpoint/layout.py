"""Separate the state dict in an unpickled index from the plain data beside it."""

import math
from typing import Any

from verify.checkpoint import allowlist, file_type
from verify.checkpoint.budget import Budget
from verify.errors import ArchiveError, counted
from verify.files.location import Location

MAX_PLAIN_DEPTH = 32
STATE_DICTS = ("model", "state_dict")  # names under which a file holds its state dict, where it holds more than that
_CHARACTERS_A_VALUE = 32  # this much text costs the same as one value: one text may be referenced many times


def split(path: Location, root: Any, budget: Budget) -> dict[str, Any]:
    """Separate the state dict from the plain data beside it, and name the layout."""
    if not isinstance(root, dict):
        raise _no_state_dict(path, root)
    wrapper = next((name for name in STATE_DICTS if isinstance(root.get(name), dict)), None)
    state = root[wrapper] if wrapper else root
    tensors = sum(isinstance(value, (allowlist.TensorSpec, allowlist.OddTensor)) for value in state.values())
    if not tensors:
        raise _no_state_dict(path, root)
    budget.spend("tensors", tensors)
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, (allowlist.TensorSpec, allowlist.OddTensor)):
            raise ArchiveError(
                "not-a-state-dict",
                f"{path}: the state dict has {key!r:.80} with a value of type {type(value).__name__}, not a tensor",
            )
    if wrapper is None:
        return {"layout": "state_dict", "state": state, "moments": [], "plain": {}}
    config = plain(root.get("config"), budget)
    return {
        "layout": "trainer" if "optimizer" in root else "inference",
        "state": state,
        "moments": moments(root.get("optimizer")),
        "plain": {
            "config": config if isinstance(config, dict) else None,
            "step": root["step"] if type(root.get("step")) is int else None,
            "epoch": root["epoch"] if type(root.get("epoch")) is int else None,
            "date": root["date"][:100] if isinstance(root.get("date"), str) else None,
            "loss": plain(root.get("model_loss"), budget),
        },
    }


def moments(optimizer: Any) -> list[allowlist.TensorSpec]:
    """Return Adam's second moments of the matrices, in the order of its parameters: zero where no gradient ever came.

    Of the optimizer nothing else is looked at; of one that is not as the trainer saves it, nothing.
    """
    saved = optimizer[0] if isinstance(optimizer, list) and optimizer else optimizer
    state = saved.get("state") if isinstance(saved, dict) else None
    values = state.values() if isinstance(state, dict) else ()
    found = (value.get("exp_avg_sq") for value in values if isinstance(value, dict))
    return [spec for spec in found if isinstance(spec, allowlist.TensorSpec) and len(spec.shape) == 2]


def _no_state_dict(path: Location, root: Any) -> ArchiveError:
    """Return the error that says what the file holds in place of a state dict."""
    if isinstance(root, allowlist.TensorSpec):
        shape = "x".join(map(str, root.shape))
        content = (
            f"one tensor of shape {shape}: this looks like mel_stats.pth"
            if root.shape == (80,)
            else f"one tensor of shape {shape}"
        )
    elif isinstance(root, dict):
        names = ", ".join(repr(name)[:60] for name in list(root)[:10])
        voices = [value for value in root.values() if isinstance(value, dict) and "gpt_cond_latent" in value]
        content = (
            f"voices: this looks like speakers_xtts.pth ({counted(len(voices), 'voice')})"
            if voices
            else f"no model; the top-level names are {names or 'none'}"
        )
    else:
        content = f"a value of type {type(root).__name__} in place of a state dict"
    return ArchiveError("not-a-state-dict", f"{path} holds {content}", file_type.TRAINING_FILE_HINT)


def _name(key: Any) -> str:
    return str(key[:200] if isinstance(key, (str, bytes)) else key)[:200]


def plain(value: Any, budget: Budget, depth: int = 0) -> Any:
    """Return pickled plain data as JSON-like values; an object of a known class becomes its state, the rest None.

    Raises:
        ArchiveError: it nests too deep, or holds more values or text than the budget has (`pickle-limit`).
    """
    budget.spend("plain_values", 1 + (len(value) // _CHARACTERS_A_VALUE if isinstance(value, str) else 0))
    if depth > MAX_PLAIN_DEPTH:
        raise ArchiveError("pickle-limit", f"the config inside the checkpoint is nested deeper than {MAX_PLAIN_DEPTH}")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no NaN; a diverged loss is still worth saying
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, dict):
        return {_name(key): plain(item, budget, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, budget, depth + 1) for item in value]
    if isinstance(value, allowlist.Instance) and isinstance(value.state, dict):
        return plain(value.state, budget, depth + 1)
    return None
