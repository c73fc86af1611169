"""The layout of Auralis: a file for the GPT, which vllm runs, a file for the rest, and its names of tensors and fields."""

from collections.abc import Mapping
from typing import Any, TypeVar

from verify import resources

CORE, GPT = "core_xttsv2/xtts-v2.safetensors", "gpt/gpt2_model.safetensors"

# canonical name, or prefix before `*` -> name in Auralis; all other tensors are in the core, without `gpt.`
_GPT_NAMES = (
    ("gpt.mel_embedding.weight", "gpt.wte.weight"),
    ("gpt.mel_pos_embedding.emb.weight", "gpt.wpe.emb.weight"),
    ("gpt.mel_head.*", "mel_head.*"),
    ("gpt.gpt.*", "gpt.*"),
)
_SHARED = "gpt.final_norm."  # in both files

Value = TypeVar("Value")


def split(tensors: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
    """Return the tensors of each of the two files under the names that Auralis uses."""
    files: dict[str, dict[str, Value]] = {CORE: {}, GPT: {}}
    for name, value in tensors.items():
        if gpt_name := _gpt_name(name):
            files[GPT][gpt_name] = value
            continue
        short = name.removeprefix("gpt.")
        files[CORE][short] = value
        if name.startswith(_SHARED):
            files[GPT][short] = value
    return files


def _gpt_name(name: str) -> str | None:
    for canonical, auralis_name in _GPT_NAMES:
        if name == canonical or (canonical.endswith("*") and name.startswith(canonical[:-1])):
            return auralis_name.rstrip("*") + name.removeprefix(canonical.rstrip("*"))
    return None


def configs(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the three JSON files of the layout, by name, for an inference config of coqui's."""
    table = resources.load("profiles/auralis")
    args = {**resources.load("xtts")["defaults"], **config["model_args"]}
    rates = {"sample_rate": args["input_sample_rate"], "output_sample_rate": args["output_sample_rate"]}
    gpt = {**table["gpt_values"], **{name: args[field] for name, field in table["gpt_fields"].items()}}
    gpt |= {"n_inner": 4 * gpt["hidden_size"], "audio_config": {"mel_channels": 80, **rates}}
    core = {**table["core_values"], **{name: args[field] for name, field in table["core_fields"].items()}}
    core |= {"audio_config": {"mel_channels": 80, **rates}, "gpt_config": gpt}
    core |= {"languages": config["languages"]} if "languages" in config else {}
    return {
        "core_xttsv2/config.json": core,
        "gpt/config.json": gpt,
        "gpt/tokenizer_config.json": dict(table["tokenizer"]),
    }
