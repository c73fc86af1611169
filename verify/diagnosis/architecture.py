"""Read from the shapes what the weights call for, and hold it against the config and the vocabulary."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verify import settings
from verify.checkpoint.tensors import TensorRecord
from verify.diagnosis.vocabulary import Vocabulary, base_version
from verify.errors import Cause

# config field -> (tensor, axis, what the axis has more than the field); offsets from TTS/tts/layers/xtts/gpt.py:
# max_mel_tokens = gpt_max_audio_tokens + 2 + max_conditioning_inputs (1), max_text_tokens = gpt_max_text_tokens + 2.
# fmt: off
READ_FROM = {
    "gpt_n_model_channels":   ("gpt.text_embedding.weight", 1, 0),
    "gpt_number_text_tokens": ("gpt.text_embedding.weight", 0, 0),
    "gpt_num_audio_tokens":   ("gpt.mel_embedding.weight", 0, 0),
    "gpt_max_audio_tokens":   ("gpt.mel_pos_embedding.emb.weight", 0, 3),
    "gpt_max_text_tokens":    ("gpt.text_pos_embedding.emb.weight", 0, 2),
    "decoder_input_dim":      ("hifigan_decoder.waveform_decoder.conv_pre.weight", 1, 0),
    "d_vector_dim":           ("hifigan_decoder.waveform_decoder.cond_layer.weight", 1, 0),
}
# fmt: on
_LAYER = re.compile(r"gpt\.gpt\.h\.(\d{1,6})\.")
# What a wrong field makes the strict load complain about.
_EXPLAINS = {
    "gpt_layers": ("gpt.gpt.h.",),
    "gpt_use_perceiver_resampler": (
        "gpt.conditioning_perceiver.",
        "gpt.prompt_embedding.",
        "gpt.prompt_pos_embedding.",
    ),
    "gpt_number_text_tokens": ("gpt.text_embedding.", "gpt.text_head."),
    "gpt_num_audio_tokens": ("gpt.mel_embedding.", "gpt.mel_head.", "gpt.prompt_embedding."),
    "gpt_max_audio_tokens": ("gpt.mel_pos_embedding.",),
    "gpt_max_text_tokens": ("gpt.text_pos_embedding.",),
    "gpt_n_model_channels": ("gpt.",),
    "decoder_input_dim": ("hifigan_decoder.waveform_decoder.conv_pre.",),
    "d_vector_dim": ("hifigan_decoder.waveform_decoder.cond", "hifigan_decoder.speaker_encoder.fc."),
    "cond_d_vector_in_each_upsampling_layer": ("hifigan_decoder.waveform_decoder.conds.",),
}


# parts that every XTTS has -> how the names of their tensors begin
PARTS = {
    "GPT": "gpt.gpt.",
    "conditioning encoder": "gpt.conditioning_encoder.",
    "vocoder": "hifigan_decoder.waveform_decoder.",
    "speaker encoder": "hifigan_decoder.speaker_encoder.",
    "mel stats": "mel_stats",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What the tensors say of the model that they belong to; `fields` holds only what the shapes determine."""

    version: str | None  # "v1" (prompt embedding) or "v2" (perceiver resampler); None where neither is there
    base: str
    layers: tuple[int, ...]  # numbers of the GPT layers that are there
    fields: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the `architecture` part of report.json."""
        return {"version": self.version, "base": self.base, **self.fields}


def read_architecture(tensors: Mapping[str, TensorRecord]) -> Architecture:
    """Read the architecture from the names and shapes of the tensors under their canonical names."""
    fields: dict[str, Any] = {}
    for field, (key, axis, extra) in READ_FROM.items():
        record = tensors.get(key)
        if record is not None and len(record.shape) > axis:
            fields[field] = record.shape[axis] - extra
    layers = tuple(sorted({int(match[1]) for key in tensors if (match := _LAYER.match(key))}))
    if layers:
        fields["gpt_layers"] = layers[-1] + 1
    version = _version(tensors)
    if version:
        fields["gpt_use_perceiver_resampler"] = version == "v2"
    if any(key.startswith("hifigan_decoder.waveform_decoder.") for key in tensors):
        fields["cond_d_vector_in_each_upsampling_layer"] = "hifigan_decoder.waveform_decoder.conds.0.weight" in tensors
    rows = fields.get("gpt_number_text_tokens")
    return Architecture(version=version, base=base_version(rows) if rows else "unknown", layers=layers, fields=fields)


def _version(tensors: Mapping[str, TensorRecord]) -> str | None:
    if any(key.startswith("gpt.conditioning_perceiver.") for key in tensors):
        return "v2"
    return "v1" if "gpt.prompt_embedding.weight" in tensors else None


def vocabulary_cause(architecture: Architecture, vocabulary: Vocabulary, name: str, origin: str) -> Cause | None:
    """Return the cause where the rows of the text embedding are not the tokens of the vocabulary file `name` (`vocab-rows`)."""
    rows = architecture.fields.get("gpt_number_text_tokens")
    if rows is None or rows == vocabulary.size:
        return None
    fits = base_version(rows)
    if fits.startswith("v"):
        hint = f"The rows match the {fits} vocabulary: pass that vocab.json with --vocab."
    else:
        hint = "Pass the vocab.json that this run was trained with: --vocab FILE."
    held = base_version(vocabulary.size)
    return Cause(
        code="vocab-rows",
        severity="error",
        message=f"gpt.text_embedding.weight has {rows:,} rows; {name} ({origin}) holds {vocabulary.size:,} tokens"
        + (f", those of {held}" if held.startswith("v") else ""),
        hint=hint,
        keys=_EXPLAINS["gpt_number_text_tokens"],
    )


def config_causes(architecture: Architecture, model_args: Mapping[str, Any], origin: str) -> tuple[Cause, ...]:
    """Return one cause for the fields in which config and weights differ (`config-mismatch`), with both values of each."""
    defaults = settings.load("xtts")["defaults"]
    wrong = {}
    for field, calls_for in architecture.fields.items():
        says = model_args.get(field, defaults.get(field))
        if field != "gpt_number_text_tokens" and says is not None and says != calls_for:
            wrong[field] = (says, calls_for)
    if not wrong:
        return ()
    pairs = "; ".join(
        f"{field} is {_show(says, field, model_args)}, the weights call for {_show(need)}"
        for field, (says, need) in wrong.items()
    )
    return (
        Cause(
            code="config-mismatch",
            severity="error",
            message=f"the config ({origin}) does not fit the weights: {pairs}",
            hint=_hint(wrong),
            keys=tuple(prefix for field in wrong for prefix in _EXPLAINS.get(field, ())),
        ),
    )


def missing_parts(tensors: Mapping[str, TensorRecord]) -> tuple[Cause, ...]:
    """Return one cause for the parts of an XTTS of which the file holds nothing at all (`missing-parts`)."""
    absent = {part: prefix for part, prefix in PARTS.items() if not any(key.startswith(prefix) for key in tensors)}
    if not absent:
        return ()
    return (
        Cause(
            code="missing-parts",
            severity="error",
            message=f"the file holds no {' and no '.join(absent)}",
            hint="Save the whole Xtts, or add these tensors from the base model that it was tuned from.",
            keys=tuple(absent.values()),
        ),
    )


def contradictions(architecture: Architecture, model_args: Mapping[str, Any], origin: str) -> tuple[Cause, ...]:
    """Return a cause for each field that no shape shows but that cannot be true beside the others (`config-contradiction`)."""
    defaults = settings.load("xtts")["defaults"]
    value = {field: model_args.get(field, default) for field, default in defaults.items()} | architecture.fields
    found = []
    if value["gpt_n_model_channels"] % value["gpt_n_heads"]:
        found.append(
            f"gpt_n_heads is {value['gpt_n_heads']}, which does not divide the width {value['gpt_n_model_channels']}"
        )
    for field in ("gpt_start_audio_token", "gpt_stop_audio_token"):
        if value[field] >= value["gpt_num_audio_tokens"]:
            shown = _show(value[field], field, model_args)
            found.append(f"{field} is {shown}; the weights have {value['gpt_num_audio_tokens']} audio codes")
    return tuple(
        Cause(
            code="config-contradiction",
            severity="error",
            message=f"the config ({origin}): {message}",
            hint="Pass the config.json of the run that made this checkpoint: --config FILE.",
        )
        for message in found
    )


def _hint(wrong: Mapping[str, tuple[Any, Any]]) -> str:
    says, calls_for = wrong.get("gpt_layers", (0, 0))
    if says > calls_for:
        return f"Either layers {calls_for} to {says - 1} are lost from the file (get a whole one), or pass the config.json of its run: --config FILE."
    fields = ", ".join(f"model_args.{field} to {_show(need)}" for field, (_, need) in wrong.items())
    return f"Pass the config.json of the run that made this checkpoint (--config FILE), or set {fields}."


def _show(value: Any, field: str = "", model_args: Mapping[str, Any] | None = None) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"{text} (the default)" if model_args is not None and field not in model_args else text
