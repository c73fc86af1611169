"""Compare the config with the weights, field by field."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from verify import resources
from verify.diagnosis import causes
from verify.diagnosis.architecture import UNKNOWABLE, Architecture
from verify.diagnosis.causes import OTHER_CONFIG
from verify.errors import Cause

Args = Mapping[str, Any]
MOST_LAYERS = 256  # as configs/xtts.toml bounds gpt_layers


def value_of(model_args: Args, field: str) -> Any:
    """Return the value of a field, or the default of `XttsArgs` if the config does not set it."""
    value = model_args.get(field)
    return resources.load("xtts")["defaults"].get(field) if value is None else value


def config_causes(architecture: Architecture, model_args: Args, origin: str) -> tuple[Cause, ...]:
    """Return one cause for the fields in which config and weights differ (`config-mismatch`), with both values of each."""
    wrong = differences(architecture, model_args)
    if not wrong:
        return ()
    version = architecture.version
    of_two = f" (the weights are XTTS {version}, the config is one of {'v1' if version == 'v2' else 'v2'})"
    return (
        causes.config_mismatch(
            wrong,
            config=f"the config ({origin})",
            defaults=[field for field in wrong if model_args.get(field) is None],
            remark=of_two if "gpt_use_perceiver_resampler" in wrong else "",
        ),
    )


def differences(architecture: Architecture, model_args: Args) -> dict[str, tuple[Any, Any]]:
    """Return the fields in which config and weights differ, the text rows aside, which vocab.json has: (config, weights)."""
    needed = {**_codes(architecture, model_args), **architecture.fields}
    return {
        field: (value, need)
        for field, need in needed.items()
        if field != "gpt_number_text_tokens" and (value := value_of(model_args, field)) is not None and value != need
    }


def _codes(architecture: Architecture, model_args: Args) -> dict[str, int]:
    """Return the start and stop code where the config's lie beyond the audio codes that the weights have.

    Every published XTTS starts and stops with its last two codes; a dvae beside the weights tells it for certain.
    """
    codes = architecture.fields.get("gpt_num_audio_tokens")
    last_two = {"gpt_start_audio_token": 2, "gpt_stop_audio_token": 1}
    return {field: codes - above for field, above in last_two.items() if codes and value_of(model_args, field) >= codes}


def with_lost_layers(architecture: Architecture, config: Args, embedded: Args | None) -> Architecture:
    """Return the architecture including final layers that both configs state and the file lacks.

    One config may be another run's; where the one that was saved with the weights says the same, the layers are lost.
    """
    layer_counts = [_model_args(either).get("gpt_layers") for either in (config, embedded)]
    present = architecture.fields.get("gpt_layers")
    if (
        present
        and layer_counts[0] == layer_counts[1]
        and type(layer_counts[0]) is int
        and present < layer_counts[0] <= MOST_LAYERS
    ):
        return replace(architecture, fields={**architecture.fields, "gpt_layers": layer_counts[0]})
    return architecture


def _model_args(config: Args | None) -> Args:
    args = config.get("model_args") if config else None
    return args if isinstance(args, dict) else {}


def contradictions(architecture: Architecture, model_args: Args, origin: str) -> tuple[Cause, ...]:
    """Return a cause for each field that cannot be true beside the others, whatever the shapes (`config-contradiction`)."""
    defaults = resources.load("xtts")["defaults"]
    value = {field: value_of(model_args, field) for field in defaults} | architecture.fields
    messages = []
    if value["gpt_n_model_channels"] % value["gpt_n_heads"]:
        messages.append(
            f"gpt_n_heads is {value['gpt_n_heads']}, which does not divide the width {value['gpt_n_model_channels']}"
        )
    if value["decoder_input_dim"] != value["gpt_n_model_channels"] and "decoder_input_dim" in architecture.fields:
        messages.append(
            f"the vocoder takes latents of width {value['decoder_input_dim']}, the GPT makes them "
            f"{value['gpt_n_model_channels']} wide: they are of two models"
        )
    return tuple(
        Cause(
            code="config-contradiction",
            severity="error",
            message=f"the config ({origin}): {message}",
            hint=OTHER_CONFIG,
        )
        for message in messages
    )


def second_opinion(
    architecture: Architecture, model_args: Args, origin: str, embedded: Args, named: bool
) -> tuple[Cause, ...]:
    """Return a cause where the config inside the checkpoint differs in what no shape can tell (`config-differs`).

    Args:
        embedded: `model_args` of the config that was saved with the weights.
        named: the user chose the config with --config, so this is only a warning.
    """
    fields = [field for field in architecture.unknown if field in embedded or field in model_args]
    pairs = [
        f"{field} is {_show(value_of(model_args, field), field, model_args)}, inside {_show(value_of(embedded, field))}"
        for field in fields
        if value_of(model_args, field) != value_of(embedded, field)
    ]
    if not pairs:
        return ()
    return (
        Cause(
            code="config-differs",
            severity="warning" if named else "error",
            message=f"the config ({origin}) is not the one inside the checkpoint, in what no shape can tell: "
            + "; ".join(pairs),
            hint="The one inside was saved with the weights: take the other away, or name the right one with --config.",
        ),
    )


def from_weights(architecture: Architecture, model_args: Args, origin: str) -> tuple[dict[str, Any], tuple[Cause, ...]]:
    """Return `model_args` with every field that the weights determine, and a note of what that changed.

    Fields that they do not determine (`Architecture.unknown`) keep the value of the config or of `XttsArgs`, and are named.
    """
    changed = differences(architecture, model_args)
    pairs = ", ".join(f"{name} {_show(old, name, model_args)} → {_show(new)}" for name, (old, new) in changed.items())
    unknown = ", ".join(f"{field} {_show(value_of(model_args, field), field, model_args)}" for field in UNKNOWABLE)
    is_guessed = "gpt_n_heads" not in model_args  # the rates and the prompt hardly ever differ from the default
    note = Cause(
        code="config-from-weights",
        severity="warning" if is_guessed else "note",
        message=f"the config ({origin}) follows the weights: {pairs or 'nothing had to change'}",
        hint=f"No shape tells these, listen whether they are right: {unknown}.",
    )
    return {**model_args, **{field: new for field, (_, new) in changed.items()}}, (note,)


def _show(value: Any, field: str = "", model_args: Args | None = None) -> str:
    is_default = model_args is not None and model_args.get(field) is None
    return causes.show(value) + (" (the default)" if is_default else "")
