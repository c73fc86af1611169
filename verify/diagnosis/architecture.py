"""Derive the model's architecture from tensor names and shapes, and name the fields that they do not determine."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verify.checkpoint.tensors import TensorRecord
from verify.conversion.key_map import LAYER
from verify.source.vocabulary import base_version

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
# What a wrong field makes the strict load complain about; a field without a line here changes no shape.
EXPLAINS = {
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
# fmt: on
# part of the key table -> how the names of its tensors begin
PARTS = {
    "GPT": ("gpt.gpt.", "gpt.text_", "gpt.mel_", "gpt.final_norm."),
    "conditioning": ("gpt.conditioning_", "gpt.prompt_"),
    "vocoder": ("hifigan_decoder.waveform_decoder.",),
    "speaker encoder": ("hifigan_decoder.speaker_encoder.",),
    "mel stats": ("mel_stats",),
}
# Not visible in any shape: a model with a wrong value here still loads, but speaks nonsense.
UNKNOWABLE = ("gpt_n_heads", "gpt_max_prompt_tokens", "input_sample_rate", "output_sample_rate")

DVAE_HOP_SAMPLES = 256  # of the mel frames that the dvae codes: TorchMelSpectrogram's default, GPTTrainer passes none
_DVAE_STRIDED = re.compile(r"dvae\.encoder\.\d+\.0\.weight")  # each halves the number of frames
_UPSAMPLING = re.compile(r"hifigan_decoder\.waveform_decoder\.ups\.(\d{1,3})\.parametrizations\.weight\.original1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """The architecture that the tensors show; `fields` holds only what names and shapes determine."""

    version: str | None  # "v1" (prompt embedding) or "v2" (perceiver resampler); None if there is neither
    base: str
    layers: tuple[int, ...]  # numbers of the GPT layers in the file
    fields: dict[str, Any]

    @property
    def unknown(self) -> tuple[str, ...]:
        """Fields that inference needs and that only a config can provide."""
        return (*UNKNOWABLE, *(() if "gpt_code_stride_len" in self.fields else ("gpt_code_stride_len",)))

    def as_json(self) -> dict[str, Any]:
        """Return the `architecture` part of report.json."""
        return {"version": self.version, "base": self.base, **self.fields, "unknown": list(self.unknown)}


def read_architecture(tensors: Mapping[str, TensorRecord]) -> Architecture:
    """Read the architecture from the tensors under their canonical names, those that only training needs included."""
    fields: dict[str, Any] = {}
    for field, (key, axis, extra) in READ_FROM.items():
        record = tensors.get(key)
        if record is not None and len(record.shape) > axis:
            fields[field] = record.shape[axis] - extra
    layers = tuple(sorted({int(match[1]) for key in tensors if (match := LAYER.match(key))}))
    if layers:
        fields["gpt_layers"] = layers[-1] + 1
    version = _version(tensors)
    if version:
        fields["gpt_use_perceiver_resampler"] = version == "v2"
    if any(key.startswith("hifigan_decoder.waveform_decoder.") for key in tensors):
        fields["cond_d_vector_in_each_upsampling_layer"] = "hifigan_decoder.waveform_decoder.conds.0.weight" in tensors
    fields |= _of_the_vocoder(tensors) | _of_the_dvae(tensors)
    rows = fields.get("gpt_number_text_tokens")
    return Architecture(version=version, base=base_version(rows) if rows else "unknown", layers=layers, fields=fields)


def _version(tensors: Mapping[str, TensorRecord]) -> str | None:
    if any(key.startswith("gpt.conditioning_perceiver.") for key in tensors):
        return "v2"
    return "v1" if "gpt.prompt_embedding.weight" in tensors else None


def _of_the_vocoder(tensors: Mapping[str, TensorRecord]) -> dict[str, int]:
    """Return the samples per frame of the vocoder: its kernels are twice its strides (`hifigan_decoder.py`).

    Empty if the chain from `conv_pre` to `conv_post` has a gap: a lost layer does not mean another hop length.
    """
    shapes = {int(match[1]): record.shape for key, record in tensors.items() if (match := _UPSAMPLING.fullmatch(key))}
    layers = [shapes[number] for number in sorted(shapes)]
    first, last = (tensors.get(f"hifigan_decoder.waveform_decoder.{name}.weight") for name in ("conv_pre", "conv_post"))
    if (
        not layers
        or first is None
        or last is None
        or any(len(shape) != 3 for shape in (*layers, first.shape, last.shape))
    ):
        return {}
    ends = [first.shape[0], *(shape[1] for shape in layers)]
    begins = [*(shape[0] for shape in layers), last.shape[1]]
    return {"output_hop_length": math.prod(shape[2] // 2 for shape in layers)} if ends == begins else {}


def _of_the_dvae(tensors: Mapping[str, TensorRecord]) -> dict[str, int]:
    """Return the audio codes, and the samples per code, from the discrete VAE of a training checkpoint.

    GPTTrainer makes it with `gpt_num_audio_tokens - 2` codes; the two that follow them start and stop a sentence.
    """
    fields = {}
    strided = [record for key, record in tensors.items() if _DVAE_STRIDED.fullmatch(key) and len(record.shape) == 3]
    if strided:
        fields["gpt_code_stride_len"] = DVAE_HOP_SAMPLES * 2 ** len(strided)
    codebook = tensors.get("dvae.codebook.embed")
    if codebook is not None and len(codebook.shape) == 2:
        codes = codebook.shape[1]
        fields |= {"gpt_start_audio_token": codes, "gpt_stop_audio_token": codes + 1}
    return fields
