"""Load a folder made by --profile auralis with Auralis' own published modules, strictly; vllm is not needed.

    pip download --no-deps auralis==0.2.8.post2 && python benchmarks/auralis.py auralis-*.whl FOLDER

`Core` has the modules that XTTSv2Engine (auralis/models/xttsv2/XTTSv2.py) registers, under its names, built from the
configs of the folder by Auralis' own config classes. The names and shapes of the GPT, which vllm runs, are compared with
those of the parameters that load_weights (components/vllm_mm_gpt.py) demands.
"""

import importlib
import json
import sys
import tempfile
import types
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

LAYERS = "models.xttsv2.components.tts.layers.xtts"


def main(wheel: Path, folder: Path) -> None:
    """Check the folder; the first tensor or field that does not fit ends it with an error."""
    with tempfile.TemporaryDirectory() as unpacked:
        zipfile.ZipFile(wheel).extractall(unpacked)
        open_packages(Path(unpacked) / "auralis")
        core, gpt = configs(folder)
        check_core(folder, core, gpt)
    check_gpt(folder, gpt)
    check_tokenizer(folder)


def open_packages(root: Path) -> None:
    """Make the packages of the wheel importable without running their __init__, which would import vllm."""
    for path in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        name = ".".join(path.relative_to(root.parent).parts)
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(path)]
    utilities = types.ModuleType(
        "auralis.common.utilities"
    )  # imports the whole engine; the decoder takes one name from it
    utilities.load_fsspec = None
    sys.modules[utilities.__name__] = utilities


def auralis_module(name: str) -> types.ModuleType:
    return importlib.import_module(f"auralis.{name}")


def configs(folder: Path) -> tuple:
    """Return the two configs as Auralis' from_pretrained makes them."""
    config = json.loads((folder / "core_xttsv2" / "config.json").read_text())
    gpt = json.loads((folder / "gpt" / "config.json").read_text())
    assert config["gpt_config"] == gpt
    core = auralis_module("models.xttsv2.config.xttsv2_config").XTTSConfig(**config)
    return core, auralis_module("models.xttsv2.config.xttsv2_gpt_config").XTTSGPTConfig(**config["gpt_config"])


def check_core(folder: Path, config: object, gpt: object) -> None:
    core = nn.Module()
    core.register_buffer("mel_stats", torch.ones(80))
    width = gpt.hidden_size
    encoder = auralis_module(f"{LAYERS}.latent_encoder").ConditioningEncoder
    core.conditioning_encoder = encoder(gpt.audio_config.mel_channels, width, num_attn_heads=gpt.num_attention_heads)
    core.text_embedding = nn.Embedding(gpt.number_text_tokens, width)
    core.text_pos_embedding = nn.Module()
    core.text_pos_embedding.emb = nn.Embedding(gpt.max_text_tokens + 2, width)
    core.conditioning_perceiver = auralis_module(f"{LAYERS}.perceiver_encoder").PerceiverResampler(
        dim=width, depth=2, dim_context=width, num_latents=32, dim_head=64, heads=8, ff_mult=4, use_flash_attn=False
    )
    core.hifigan_decoder = auralis_module(f"{LAYERS}.hifigan_decoder").HifiDecoder(
        input_sample_rate=config.input_sample_rate,
        output_sample_rate=config.output_sample_rate,
        output_hop_length=config.output_hop_length,
        ar_mel_length_compression=config.gpt_code_stride_len,
        decoder_input_dim=config.decoder_input_dim,
        d_vector_dim=config.d_vector_dim,
        cond_d_vector_in_each_upsampling_layer=config.cond_d_vector_in_each_upsampling_layer,
    )
    core.final_norm = nn.LayerNorm(width, eps=1e-5, bias=True)
    core.text_head = nn.Linear(width, gpt.number_text_tokens, bias=True)
    state = load_file(folder / "core_xttsv2" / "xtts-v2.safetensors")
    core.load_state_dict(state)
    print(f"core: load_state_dict of {len(state)} tensors, strictly: fits")


def check_gpt(folder: Path, gpt: object) -> None:
    width, inner = gpt.hidden_size, gpt.n_inner
    expected = {
        "gpt.wte.weight": (gpt.num_audio_tokens, width),
        "gpt.wpe.emb.weight": (gpt.max_audio_tokens + 3, gpt.decoder_input_dim),
        "mel_head.weight": (gpt.num_audio_tokens, width),
        "mel_head.bias": (gpt.num_audio_tokens,),
    }
    for name in (
        "final_norm",
        "gpt.ln_f",
        *(f"gpt.h.{n}.ln_{k}" for n in range(gpt.num_hidden_layers) for k in (1, 2)),
    ):
        expected |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    for layer in range(gpt.num_hidden_layers):
        for name, (rows, columns) in {  # as GPT-2 saves them; load_weights transposes
            "attn.c_attn": (width, 3 * width),
            "attn.c_proj": (width, width),
            "mlp.c_fc": (width, inner),
            "mlp.c_proj": (inner, width),
        }.items():
            expected |= {f"gpt.h.{layer}.{name}.weight": (rows, columns), f"gpt.h.{layer}.{name}.bias": (columns,)}
    actual = {name: tuple(value.shape) for name, value in load_file(folder / "gpt" / "gpt2_model.safetensors").items()}
    assert actual == expected, sorted(actual.items() ^ expected.items())
    print(f"gpt: names and shapes of {len(actual)} tensors: fit")


def check_tokenizer(folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "gpt")
    print(f"tokenizer: {len(tokenizer)} tokens; {tokenizer.bos_token} {tokenizer.bos_token_id}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
