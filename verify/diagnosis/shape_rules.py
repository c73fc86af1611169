"""Explain by shapes and layers: which fields of the config, or which vocabulary, the file and the model disagree in."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from verify.conversion.key_map import KEPT, expand
from verify.diagnosis import causes
from verify.diagnosis.architecture import EXPLAINS, PARTS, READ_FROM
from verify.diagnosis.error_text import Shape
from verify.errors import Cause

# Where the tensor of READ_FROM is not among the names (a text cut off, or two fields wrong at once), these tell too.
_ALSO_FROM = (
    ("gpt_n_model_channels", "gpt.mel_embedding.weight", 1, 0),
    ("gpt_n_model_channels", "gpt.final_norm.weight", 0, 0),
    ("gpt_num_audio_tokens", "gpt.mel_head.weight", 0, 0),
    ("gpt_num_audio_tokens", "gpt.prompt_embedding.weight", 0, 0),
    ("d_vector_dim", "hifigan_decoder.speaker_encoder.fc.weight", 0, 0),
)


_TEXT = "gpt_number_text_tokens"
_AURALIS_HINT = (
    "Auralis takes the number from the config.json beside its weights: convert again with a converter that "
    "reads it from the weights (astramind-ai/Auralis pull request 52), as this tool does: --profile auralis."
)


_PERCEIVER, _PROMPT = EXPLAINS["gpt_use_perceiver_resampler"][0], EXPLAINS["gpt_use_perceiver_resampler"][1:]


_CONDS = "hifigan_decoder.waveform_decoder.conds."


_LAYER = re.compile(r"gpt\.gpt\.h\.(\d{1,6})\.")


_PER_LAYER = sum(len(expand(pattern)) for _, pattern in KEPT if pattern.startswith("gpt.gpt.h.#."))


Mismatched = Mapping[str, tuple[Shape, Shape]]  # canonical name -> shape in the file, shape in the model


def vocabulary_cause(mismatched: Mismatched, is_auralis: bool) -> Cause | None:
    """Return the cause where the rows of the text embedding and head differ; `keys` are canonical names (`vocab-rows`)."""
    keys = tuple(key for key in mismatched if key.startswith(EXPLAINS[_TEXT]) and _rows_differ(mismatched[key]))
    if not keys:
        return None
    file, model = next((shapes for key in keys if (shapes := mismatched[key])[0]), (None, None))
    hint = _AURALIS_HINT if is_auralis else ""
    rows, tokens = file[0] if file else None, model[0] if model else None
    return causes.vocab_rows(rows, tokens, vocab="the vocab.json of the model", key=keys[0], hint=hint, keys=keys)


def _rows_differ(shapes: tuple[Shape, Shape]) -> bool:
    file, model = shapes
    return not file or not model or file[0] != model[0]


def wrong_fields(
    missing: Iterable[str], unexpected: Iterable[str], mismatched: Mismatched, model_layers: int
) -> dict[str, tuple[Any, Any]]:
    """Return field to (what the config says, what the weights call for); names are canonical.

    `model_layers` is what the bogus names tell of the model, 0 where they tell nothing.
    """
    missing, unexpected = tuple(missing), tuple(unexpected)
    wrong = _fields_of_shapes(mismatched)
    if any(key.startswith(_PERCEIVER) for key in unexpected) or any(key.startswith(_PROMPT) for key in missing):
        wrong["gpt_use_perceiver_resampler"] = (False, True)
    elif any(key.startswith(_PROMPT) for key in unexpected):
        wrong["gpt_use_perceiver_resampler"] = (True, False)
    if any(key.startswith(_CONDS) for key in unexpected):
        wrong["cond_d_vector_in_each_upsampling_layer"] = (False, True)
    elif (conds := [key for key in missing if key.startswith(_CONDS)]) and _is_alone(conds, missing):
        wrong["cond_d_vector_in_each_upsampling_layer"] = (True, False)
    more, fewer = top_layers(missing, model_layers), top_layers(unexpected, 0)
    if more:
        wrong["gpt_layers"] = (more[-1] + 1, more[0])
    elif fewer:
        wrong["gpt_layers"] = (fewer[0], fewer[-1] + 1)
    return wrong


def _is_alone(some: list[str], missing: tuple[str, ...]) -> bool:
    """Whether nothing else of the vocoder is missing, so that the config and not a loss explains them."""
    return len(some) == sum(key.startswith(PARTS["vocoder"]) for key in missing)


def _fields_of_shapes(mismatched: Mismatched) -> dict[str, tuple[Any, Any]]:
    wrong: dict[str, tuple[Any, Any]] = {}
    for setting, key, axis, extra in (*((name, *where) for name, where in READ_FROM.items()), *_ALSO_FROM):
        file, model = mismatched.get(key, (None, None))
        if setting == _TEXT or setting in wrong or not file or not model or min(len(file), len(model)) <= axis:
            continue
        if file[axis] != model[axis]:
            wrong[setting] = (model[axis] - extra, file[axis] - extra)
    return wrong


def top_layers(keys: Iterable[str], model_layers: int) -> range:
    """Return the run of whole GPT layers up to the last, from another than the first; empty where there is a gap."""
    counts: dict[int, int] = {}
    for key in keys:
        if match := _LAYER.match(key):
            counts[int(match[1])] = counts.get(int(match[1]), 0) + 1
    layers = sorted(counts)
    is_run = layers and layers[0] > 0 and layers[-1] - layers[0] == len(layers) - 1
    if not is_run or any(counts[layer] < _PER_LAYER for layer in layers) or layers[-1] + 1 < model_layers:
        return range(0)
    return range(layers[0], layers[-1] + 1)


def config_cause(
    wrong: Mapping[str, tuple[Any, Any]], missing: Iterable[str], unexpected: Iterable[str], mismatched: Mismatched
) -> Cause | None:
    """Return one cause for all wrong fields, with the canonical names that they explain (`config-mismatch`)."""
    if not wrong:
        return None
    by_name = {"gpt_layers", "gpt_use_perceiver_resampler", "cond_d_vector_in_each_upsampling_layer"} & wrong.keys()
    names = tuple(prefix for field in by_name for prefix in EXPLAINS[field])
    shapes = tuple(prefix for field in wrong.keys() - by_name for prefix in EXPLAINS[field])
    keys = [key for key in (*missing, *unexpected) if names and key.startswith(names)]
    keys += [key for key in mismatched if shapes and key.startswith(shapes)]
    return causes.config_mismatch(wrong, keys=tuple(dict.fromkeys(keys)))
