"""Ways to damage the demo model so that it still loads strictly: each changes a training run in place."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

VOCODER = "hifigan_decoder.waveform_decoder."


@dataclass(slots=True, kw_only=True)
class Run:
    """The content of a run folder: the tensors by their keys in an `Xtts`, config.json and vocab.json."""

    tensors: dict[str, torch.Tensor]
    config: dict[str, Any]
    vocab: dict[str, Any]
    draw: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))

    def names(self, prefix: str, ending: str = "") -> list[str]:
        return [name for name in self.tensors if name.startswith(prefix) and name.endswith(ending)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """One way to damage a run."""

    name: str
    apply: Callable[[Run], None]


def _noise(prefix, share):
    """Add noise to each matrix, with this share of its RMS."""

    def apply(run):
        for name in run.names(prefix):
            tensor = run.tensors[name]
            if tensor.dim() > 1:
                noise = torch.randn(tensor.shape, generator=run.draw)
                run.tensors[name] = tensor + share * tensor.square().mean().sqrt() * noise

    return apply


def _each(prefix, change, ending="", least_dimensions=1):
    """Change each floating-point tensor of these names that has at least so many dimensions."""

    def apply(run):
        for name in run.names(prefix, ending):
            if run.tensors[name].dim() >= least_dimensions and run.tensors[name].is_floating_point():
                run.tensors[name] = change(run.tensors[name])

    return apply


def _fresh(prefix):
    """Replace matrices by roughly the values of an untrained model; keep vectors."""

    def apply(run):
        for name in run.names(prefix):
            if run.tensors[name].dim() > 1:
                run.tensors[name] = 0.02 * torch.randn(run.tensors[name].shape, generator=run.draw)

    return apply


def _swap(first, second):
    def apply(run):
        for name in run.names(first):
            other = second + name.removeprefix(first)
            run.tensors[name], run.tensors[other] = run.tensors[other], run.tensors[name]

    return apply


def _rows(name, change):
    def apply(run):
        run.tensors[name] = change(run.tensors[name], run.draw)

    return apply


def _shuffled(tensor, draw):
    return tensor[torch.randperm(len(tensor), generator=draw)]


def _config(**values):
    """Set these fields wherever the config has them."""

    def apply(run):
        for part in (run.config, run.config["model_args"], run.config["audio"]):
            part.update({name: value for name, value in values.items() if name in part})

    return apply


def _levels(tensor, bits):
    """Quantize each row to this number of bits."""
    top = tensor.abs().amax(dim=tuple(range(1, tensor.dim())), keepdim=True).clamp(min=1e-12) / (2 ** (bits - 1) - 1)
    return (tensor / top).round() * top


def _vocabulary(run):
    """Assign the ids of the letters in reverse order."""
    vocab = run.vocab["model"]["vocab"]
    letters = [token for token in vocab if len(token) == 1]
    for token, number in zip(letters, [vocab[token] for token in reversed(letters)], strict=True):
        vocab[token] = number


def _languages(run):
    """Assign the ids of the languages in reverse order."""
    vocab = run.vocab["model"]["vocab"]
    names = [item for item in run.vocab["added_tokens"] if item["content"].strip("[]").islower()]
    ids = [item["id"] for item in names]
    for item, number in zip(names, reversed(ids), strict=True):
        item["id"] = vocab[item["content"]] = number


def _never_stops(run):
    run.tensors["gpt.mel_head.bias"][run.config["model_args"]["gpt_stop_audio_token"]] -= 30


def _stops_early(run):
    run.tensors["gpt.mel_head.bias"][run.config["model_args"]["gpt_stop_audio_token"]] += 12


def _twin(run):
    """Add the duplicate inference keys with the weights of an older step, as a file saved in inference mode may have them."""
    for name in run.names("gpt.gpt.h."):
        twin = name.replace("gpt.gpt.", "gpt.gpt_inference.transformer.", 1)
        run.tensors[twin] = run.tensors[name] + 0.01 * torch.randn(run.tensors[name].shape, generator=run.draw)


def _from_stage(stage, names):
    """Take these parts from an earlier step of the same training."""

    def apply(run):
        for name in run.tensors:
            if name.startswith(names):
                run.tensors[name] = stage[name]

    return apply


def harms(stages: dict[str, dict[str, torch.Tensor]]) -> tuple[Harm, ...]:
    """Return every damage; those that mix training steps need `stages`, the tensors of other steps by name."""
    last_block = VOCODER + "resblocks.11."
    kinds: dict[str, Callable[[Run], None]] = {
        "GPT: its two layers swapped": _swap("gpt.gpt.h.0.", "gpt.gpt.h.1."),
        "GPT: first layer initialised again": _fresh("gpt.gpt.h.0."),
        "GPT: last layer initialised again": _fresh("gpt.gpt.h.1."),
        **{f"GPT: noise of {share:.0%}": _noise("gpt.gpt.", share) for share in (0.01, 0.05, 0.2, 0.5)},
        "GPT: square matrices transposed": _each("gpt.gpt.h.", lambda t: t.T.contiguous(), "attn.c_proj.weight"),
        "GPT: queries and keys swapped": _each("gpt.gpt.h.", lambda t: torch.cat([t[..., 128:256], t[..., :128], t[..., 256:]], -1), "attn.c_attn.weight"),
        "GPT: LayerNorm weights one too low": _each("gpt.gpt.h.", lambda t: t - 1, "ln_1.weight"),
        "GPT: final norm doubled": _each("gpt.final_norm.weight", lambda t: 2 * t),
        "GPT: biases zeroed": _each("gpt.gpt.", torch.zeros_like, ".bias"),
        "GPT: audio embeddings shuffled": _rows("gpt.mel_embedding.weight", _shuffled),
        "GPT: text embeddings shuffled": _rows("gpt.text_embedding.weight", _shuffled),
        "GPT: audio positions one late": _rows("gpt.mel_pos_embedding.emb.weight", lambda t, _: t.roll(1, 0)),
        "GPT: text positions one late": _rows("gpt.text_pos_embedding.emb.weight", lambda t, _: t.roll(1, 0)),
        "GPT: rows of the audio head shuffled": _rows("gpt.mel_head.weight", _shuffled),
        "GPT: never stops": _never_stops,
        "GPT: stops early": _stops_early,
        "GPT: the twin in inference mode is of another step": _twin,
        "GPT: text head zeroed": _each("gpt.text_head.", torch.zeros_like),
        "conditioning: perceiver initialised again": _fresh("gpt.conditioning_perceiver."),
        "conditioning: encoder initialised again": _fresh("gpt.conditioning_encoder."),
        "conditioning: mel_stats a hundredth": _each("mel_stats", lambda t: t / 100),
        "conditioning: mel_stats a hundredfold": _each("mel_stats", lambda t: t * 100),
        "speaker encoder: initialised again": _fresh("hifigan_decoder.speaker_encoder."),
        **{f"vocoder: noise of {share:.0%}": _noise(VOCODER, share) for share in (0.01, 0.05, 0.2, 0.5)},
        "vocoder: first block zeroed": _each(VOCODER + "resblocks.0.", torch.zeros_like, least_dimensions=2),
        "vocoder: last block's lengths zeroed": _each(last_block, torch.zeros_like, "original0"),
        "vocoder: last block initialised again": _fresh(last_block),
        "vocoder: a block's two chains swapped": _swap(VOCODER + "resblocks.1.convs1.", VOCODER + "resblocks.1.convs2."),
        "vocoder: kernels reversed in time": _each(VOCODER + "resblocks.", lambda t: t.flip(-1), "original1"),
        "vocoder: weight norm's lengths set to one": _each(VOCODER, torch.ones_like, "original0"),
        "vocoder: biases zeroed": _each(VOCODER, torch.zeros_like, ".bias"),
        "vocoder: speaker layers initialised again": _fresh(VOCODER + "cond"),
        "vocoder: last convolution doubled": _each(VOCODER + "conv_post.", lambda t: 2 * t),
        "vocoder: last convolution tenfold": _each(VOCODER + "conv_post.", lambda t: 10 * t),
        "vocoder: last convolution negative": _each(VOCODER + "conv_post.", torch.neg),
        "vocoder: first convolution's channels shuffled": _rows(VOCODER + "conv_pre.weight", _shuffled),
        "all: through float16": _each("", lambda t: t.half().float()),
        "all: through bfloat16": _each("", lambda t: t.bfloat16().float()),
        "all: through 8-bit floats": _each("", lambda t: t.clamp(-448, 448).to(torch.float8_e4m3fn).float(), least_dimensions=2),
        "all: rounded to 6 bits": _each("", lambda t: _levels(t, 6), least_dimensions=2),
        "all: rounded to 4 bits": _each("", lambda t: _levels(t, 4), least_dimensions=2),
        "all: clipped at 0.1, an overflow": _each("", lambda t: t.clamp(-0.1, 0.1), least_dimensions=2),
        "vocab.json: letters in another order": _vocabulary,
        "vocab.json: languages in another order": _languages,
        "config: 8 heads for 4": _config(gpt_n_heads=8),
        "config: output of 22.05 kHz": _config(output_sample_rate=22050),
        "config: input of 16 kHz": _config(input_sample_rate=16000),
        "config: temperature of 20": _config(temperature=20.0, top_p=1.0, top_k=1026),
    }  # fmt: skip
    for name, stage in stages.items():
        kinds[f"vocoder: of {name}"] = _from_stage(stage, (VOCODER,))
        kinds[f"vocoder: its first half of {name}"] = _from_stage(
            stage, (VOCODER + "ups.0", VOCODER + "ups.1", VOCODER + "conv_pre")
        )
    return tuple(Harm(name=name, apply=apply) for name, apply in kinds.items())
