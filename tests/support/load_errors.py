"""Real load errors: what coqui and torch print when a genuine small model is loaded in each wrong way."""

import copy
import json
import logging
import traceback
from pathlib import Path

WRONG_CONFIGS = {
    "no perceiver": {"gpt_use_perceiver_resampler": False},
    "a layer more": {"gpt_layers": 3},
    "a layer less": {"gpt_layers": 1},
    "wider": {"gpt_n_model_channels": 256},
    "v1 config": {"gpt_use_perceiver_resampler": False, "gpt_num_audio_tokens": 8194},
    "positions": {"gpt_max_audio_tokens": 700, "gpt_max_text_tokens": 500},
    "decoder": {"decoder_input_dim": 64, "cond_d_vector_in_each_upsampling_layer": False},
    "speaker width": {"d_vector_dim": 256},
}


def _config(raw, **model_args):
    from TTS.tts.configs.xtts_config import XttsConfig

    config = XttsConfig()
    raw = copy.deepcopy(raw)
    raw["model_args"] = {**raw["model_args"], **model_args}
    config.from_dict(raw)
    return config


def _model(config, vocab):
    from TTS.tts.models.xtts import Xtts

    config.model_args.tokenizer_file = str(vocab)
    return Xtts.init_from_config(config)


def _longer(vocab: Path, folder: Path) -> Path:
    """Write the vocabulary with one token more."""
    tokenizer = json.loads(vocab.read_text())
    tokenizer["model"]["vocab"]["zzyzx"] = max(tokenizer["model"]["vocab"].values()) + 1
    (folder / "vocab.json").write_text(json.dumps(tokenizer))
    return folder / "vocab.json"


def printed(act) -> str:
    """Return the traceback that the call prints."""
    try:
        act()
    except Exception:
        return traceback.format_exc()
    raise AssertionError("this was to fail")


def trainer_lines(model_dict, state, config) -> str:
    """Return what coqui's Trainer logs while it restores what it can."""
    from trainer import generic_utils

    lines = []
    handler = logging.Handler()
    handler.emit = lambda entry: lines.append(entry.getMessage())
    generic_utils.logger.addHandler(handler)
    level = generic_utils.logger.level
    generic_utils.logger.setLevel(logging.INFO)
    try:
        generic_utils.set_partial_state_dict(dict(model_dict), state, config)
    finally:
        generic_utils.logger.removeHandler(handler)
        generic_utils.logger.setLevel(level)
    return " > Restoring Model...\n > Partial model initialization...\n" + "\n".join(lines) + "\n"


def load_checkpoint(model, state, config, vocab, folder: Path) -> str:
    """Return what `Xtts.load_checkpoint` prints for the state dict with this config and vocabulary; it builds the model anew."""
    import torch

    torch.save({"model": state}, folder / "model.pth")
    model.config, model.args = config, config.model_args
    return printed(
        lambda: model.load_checkpoint(config, checkpoint_path=str(folder / "model.pth"), vocab_path=str(vocab))
    )


def make(state, raw, vocab: Path, training_state, folder: Path) -> dict[str, str]:
    """Return one real text for each way in which a load goes wrong."""
    import torch

    model = _model(_config(raw), vocab)
    state = dict(state)
    plain, shell = _model(_config(raw), vocab), _model(_config(raw), vocab)
    texts = {
        name: load_checkpoint(shell, state, _config(raw, **args), vocab, folder) for name, args in WRONG_CONFIGS.items()
    }
    texts["vocabulary"] = load_checkpoint(shell, state, _config(raw), _longer(vocab, folder), folder)
    without_vocoder = {
        key: value for key, value in state.items() if not key.startswith("hifigan_decoder.waveform_decoder.")
    }
    texts["no vocoder"] = load_checkpoint(shell, without_vocoder, _config(raw), vocab, folder)
    without_tensor = {key: value for key, value in state.items() if key != "gpt.gpt.h.1.mlp.c_fc.weight"}
    texts["a tensor lost"] = load_checkpoint(shell, without_tensor, _config(raw), vocab, folder)
    prompted = {**state, "gpt.gpt.h.0.attn.bias": torch.ones(1), "gpt.gpt.h.1.attn.masked_bias": torch.ones(1)}
    texts["masks"] = printed(lambda: model.load_state_dict(prompted))
    texts["raw training"] = printed(lambda: model.load_state_dict(training_state))
    wrapped = {f"module._orig_mod.{key}": value for key, value in state.items()}
    texts["data parallel"] = printed(lambda: model.load_state_dict(wrapped))
    texts["alien"] = printed(lambda: model.load_state_dict({**state, "emb_g.weight": torch.ones(2)}))
    trained = {**model.state_dict(prefix="xtts."), **{k: v for k, v in training_state.items() if k not in state}}
    texts["restore"] = trainer_lines(trained, state, _config(raw))
    model.gpt.init_gpt_for_inference(kv_cache=True)
    texts["inference mode"] = printed(lambda: model.load_state_dict(state))
    texts["inference file"] = printed(lambda: plain.load_state_dict(model.state_dict()))
    return texts
