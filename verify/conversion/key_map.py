"""Every tensor name an XTTS checkpoint is known to carry, and its fate: data with a reason on each line.

`#` stands for one integer, `{a,b}` for a or b, a trailing `*` for any rest. Names are those of coqui-tts 0.28; a test
holds the kept lines and the aliases against a live `Xtts`, so a line that lies or is missing is found.
"""

import re
from dataclasses import dataclass
from functools import cache

# Wrappers around the whole model, taken off from the front as often as they occur.
PREFIXES = (
    ("xtts.", "GPTTrainer holds the Xtts model under this name"),
    ("module.", "torch.nn.DataParallel and DistributedDataParallel"),
    ("_orig_mod.", "torch.compile"),
)

_NORM = "{weight,bias,running_mean,running_var,num_batches_tracked}"
_SPEAKER = "hifigan_decoder.speaker_encoder"
_VOCODER = "hifigan_decoder.waveform_decoder"
_WEIGHT_NORM = "{bias,parametrizations.weight.original0,parametrizations.weight.original1}"

# part of the model -> names that are kept
# fmt: off
KEPT = (
    ("GPT",             "gpt.{text,mel}_embedding.weight"),
    ("GPT",             "gpt.{text,mel}_pos_embedding.emb.weight"),
    ("GPT",             "gpt.{text,mel}_head.{weight,bias}"),
    ("GPT",             "gpt.final_norm.{weight,bias}"),
    ("GPT",             "gpt.gpt.ln_f.{weight,bias}"),
    ("GPT",             "gpt.gpt.h.#.{ln_1,ln_2}.{weight,bias}"),
    ("GPT",             "gpt.gpt.h.#.attn.{c_attn,c_proj}.{weight,bias}"),
    ("GPT",             "gpt.gpt.h.#.mlp.{c_fc,c_proj}.{weight,bias}"),
    ("conditioning",    "gpt.conditioning_encoder.init.{weight,bias}"),
    ("conditioning",    "gpt.conditioning_encoder.attn.#.{norm,qkv,proj_out}.{weight,bias}"),
    ("conditioning",    "gpt.conditioning_perceiver.latents"),              # XTTS v2
    ("conditioning",    "gpt.conditioning_perceiver.norm.gamma"),
    ("conditioning",    "gpt.conditioning_perceiver.layers.#.0.{to_q,to_kv,to_out}.weight"),
    ("conditioning",    "gpt.conditioning_perceiver.layers.#.1.{0,2}.{weight,bias}"),
    ("conditioning",    "gpt.prompt_embedding.weight"),                     # XTTS v1
    ("conditioning",    "gpt.prompt_pos_embedding.emb.weight"),
    ("vocoder",         f"{_VOCODER}.conv_pre.{{weight,bias}}"),
    ("vocoder",         f"{_VOCODER}.conv_post.weight"),
    ("vocoder",         f"{_VOCODER}.cond_layer.{{weight,bias}}"),
    ("vocoder",         f"{_VOCODER}.conds.#.{{weight,bias}}"),
    ("vocoder",         f"{_VOCODER}.ups.#.{_WEIGHT_NORM}"),
    ("vocoder",         f"{_VOCODER}.resblocks.#.{{convs1,convs2}}.#.{_WEIGHT_NORM}"),
    ("speaker encoder", f"{_SPEAKER}.conv1.{{weight,bias}}"),
    ("speaker encoder", f"{_SPEAKER}.bn1.{_NORM}"),
    ("speaker encoder", f"{_SPEAKER}.layer{{1,2,3,4}}.#.{{conv1,conv2}}.weight"),
    ("speaker encoder", f"{_SPEAKER}.layer{{1,2,3,4}}.#.{{bn1,bn2}}.{_NORM}"),
    ("speaker encoder", f"{_SPEAKER}.layer{{1,2,3,4}}.#.se.fc.#.{{weight,bias}}"),
    ("speaker encoder", f"{_SPEAKER}.layer{{2,3,4}}.#.downsample.#.{_NORM}"),
    ("speaker encoder", f"{_SPEAKER}.torch_spec.0.filter"),
    ("speaker encoder", f"{_SPEAKER}.torch_spec.1.spectrogram.window"),
    ("speaker encoder", f"{_SPEAKER}.torch_spec.1.mel_scale.fb"),
    ("speaker encoder", f"{_SPEAKER}.attention.#.{_NORM}"),
    ("speaker encoder", f"{_SPEAKER}.fc.{{weight,bias}}"),
    ("mel stats",       "mel_stats"),
)

# names -> why they are left out
DROPPED = (
    ("dvae.*",                                "discrete VAE that codes the training audio: training only"),
    ("torch_mel_spectrogram_style_encoder.*", "mel filter bank and window of the training loop: training only"),
    ("torch_mel_spectrogram_dvae.*",          "mel filter bank and window of the training loop: training only"),
    ("gpt.gpt.h.#.attn.{bias,masked_bias}",   "causal mask that old versions of transformers saved: computed, not learned"),
    ("gpt.gpt_inference.transformer.h.#.attn.{bias,masked_bias}", "causal mask that old versions of transformers saved: computed, not learned"),
)

# another name -> the canonical name of the same Parameter in a live model (gpt.init_gpt_for_inference makes the first)
ALIASES = (
    ("gpt.gpt_inference.transformer.wte.*",            "gpt.mel_embedding.*"),
    ("gpt.gpt_inference.transformer.*",                "gpt.gpt.*"),
    ("gpt.gpt_inference.embeddings.*",                 "gpt.mel_embedding.*"),
    ("gpt.gpt_inference.pos_embedding.*",              "gpt.mel_pos_embedding.*"),
    ("gpt.gpt_inference.final_norm.*",                 "gpt.final_norm.*"),
    ("gpt.gpt_inference.lm_head.0.*",                  "gpt.final_norm.*"),
    ("gpt.gpt_inference.lm_head.1.*",                  "gpt.mel_head.*"),
    ("gpt.gpt.wte.*",                                  "gpt.mel_embedding.*"),
)
ALIAS_REASON = "second name of {target}, made by init_gpt_for_inference"
ALONE_REASON = "only name under which the file holds {target}"

# old spelling of one tensor -> the spelling of the installed coqui-tts
RESPELLED = (
    (".weight_g", ".parametrizations.weight.original0", "weight norm before torch.nn.utils.parametrizations"),
    (".weight_v", ".parametrizations.weight.original1", "weight norm before torch.nn.utils.parametrizations"),
)
# fmt: on

GPT_PREFIX = "gpt."
GPT_ALONE = "the GPT was saved by itself, without its prefix `gpt.`"

LAYER = re.compile(r"gpt\.gpt\.h\.(\d{1,3})\.")  # a layer of the GPT; XTTS v2 has 30
_WRAPPERS = re.compile(f"(?:{'|'.join(re.escape(prefix) for prefix, _ in PREFIXES)})*")
_NUMBER = re.compile(r"(?<=\.)\d{1,3}(?=\.|$)")
_CHOICE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Name:
    """A tensor's name without wrappers, in today's spelling."""

    text: str
    respelled: str = ""  # why, where the spelling changed


def expand(pattern: str) -> list[str]:
    """Return every name that the `{a,b}` choices of the pattern stand for."""
    choice = _CHOICE.search(pattern)
    if not choice:
        return [pattern]
    return [
        name
        for option in choice[1].split(",")
        for name in expand(pattern[: choice.start()] + option + pattern[choice.end() :])
    ]


@cache
def _kept() -> dict[str, str]:
    return {_NUMBER.sub("#", name): part for part, pattern in KEPT for name in expand(pattern)}


@cache
def _dropped() -> tuple[tuple[str, str], ...]:
    return tuple((name, reason) for pattern, reason in DROPPED for name in expand(pattern))


def normalise(key: str) -> Name:
    """Take the wrappers off the front of the key and spell it as the installed coqui-tts does."""
    text = _WRAPPERS.sub("", key, count=1)
    for old, new, reason in RESPELLED:
        if text.startswith("hifigan_decoder.") and text.endswith(old):
            return Name(text.removesuffix(old) + new, reason)
    if not is_known(text) and is_known(GPT_PREFIX + text):
        return Name(GPT_PREFIX + text, GPT_ALONE)
    return Name(text)


def is_wrapped(key: str) -> bool:
    """Whether the key begins with a wrapper, as those of a trainer do."""
    return key.startswith(tuple(prefix for prefix, _ in PREFIXES))


def is_known(name: str) -> bool:
    """Whether a line of the table knows the name, whatever its fate."""
    return any(look(name) is not None for look in (part_of, drop_reason, alias_target))


def part_of(name: str) -> str | None:
    """Return the part of the model that keeps the name, or None where no line knows it."""
    return _kept().get(_NUMBER.sub("#", name))


def is_buffer(name: str) -> bool:
    """Whether the name is that of a buffer, a statistic or a filter bank, not of a learned weight."""
    return name == "mel_stats" or name.endswith((".running_mean", ".running_var")) or f"{_SPEAKER}.torch_spec." in name


def names_of(layers: int, version: str | None) -> frozenset[str]:
    """Return the names that every XTTS with this number of GPT layers has, except those that depend on other numbers."""
    of_other_version = {"v1": ("gpt.conditioning_perceiver.",), "v2": ("gpt.prompt_",)}
    left_out = of_other_version.get(version or "", ("gpt.conditioning_perceiver.", "gpt.prompt_"))
    names = {name for _, pattern in KEPT if "#" not in pattern for name in expand(pattern)}
    for _, pattern in KEPT:
        if pattern.startswith("gpt.gpt.h.#."):
            names |= {name.replace("#", str(layer)) for layer in range(layers) for name in expand(pattern)}
    return frozenset(name for name in names if not name.startswith(left_out))


def matches(name: str, pattern: str) -> bool:
    """Whether the name is one that the pattern, in which `#` stands for a number, describes."""
    return _NUMBER.sub("#", name) in _expanded(pattern)


@cache
def _expanded(pattern: str) -> frozenset[str]:
    return frozenset(expand(pattern))


def drop_reason(name: str) -> str | None:
    """Return why the name is left out, or None."""
    numberless = _NUMBER.sub("#", name)
    for pattern, reason in _dropped():
        if (pattern.endswith("*") and name.startswith(pattern[:-1])) or numberless == pattern:
            return reason
    return None


def alias_target(name: str) -> str | None:
    """Return the canonical name where this one is an alias, or None."""
    for alias, canonical in ALIASES:
        if name.startswith(alias[:-1]):
            return canonical[:-1] + name.removeprefix(alias[:-1])
    return None
