"""Write a training checkpoint with coqui's own `GPTTrainer` and `trainer.io.save_checkpoint`; needs torch and coqui-tts."""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from trainer.io import save_checkpoint
from TTS.tts.configs.xtts_config import XttsAudioConfig
from TTS.tts.layers.xtts.dvae import DiscreteVAE
from TTS.tts.layers.xtts.trainer.gpt_trainer import GPTArgs, GPTTrainer, GPTTrainerConfig
from TTS.tts.models.xtts import Xtts

from verify.demo import weights


def write_checkpoint(
    run: Path,
    sizes: dict[str, Any],
    audio_codes: int,
    tensors: Mapping[str, np.ndarray] | None = None,
    step: int = 0,
    loss: float | None = None,
) -> None:
    """Write `config.json` and `checkpoint_<step>.pth` into the run folder, beside its `vocab.json`.

    The weights are `tensors`, by default random ones with a fixed seed, as those of the dvae always are; keys, shapes,
    dtypes and the optimizer are those of a run of coqui's trainer.
    """
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        parts = Path(folder)
        torch.save(small_dvae(audio_codes).state_dict(), parts / "dvae.pth")
        torch.save(torch.ones(80), parts / "mel_stats.pth")
        config = training_config(run, parts, sizes, audio_codes)
        model = GPTTrainer(config)
    if tensors is not None:
        load_speaking(model.xtts, tensors)
    optimizer = torch.optim.AdamW(model.xtts.gpt.parameters(), lr=config.lr)
    for (
        parameter
    ) in model.xtts.gpt.parameters():  # one step, so that the file contains Adam's moments, as after real training
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    # The paths in the config point to files that no longer exist, as they do when a run is converted on another machine.
    config.save_json(str(run / "config.json"))
    losses: dict[str, Any] = {} if loss is None else {"model_loss": {"train_loss": loss, "eval_loss": None}}
    with _quiet("trainer"):  # it logs each file that it saves
        save_checkpoint(config, model, str(run), current_step=step, epoch=0, optimizer=[optimizer], **losses)


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    log = logging.getLogger(name)
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


def load_speaking(model: Xtts, tensors: Mapping[str, np.ndarray]) -> None:
    """Load the tensors of a trained model, and into its speaker encoder the weights that are generated from a seed."""
    state = model.state_dict()
    fixed = {key: values for key, values in state.items() if weights.is_fixed(key)}
    shapes = {key: tuple(values.shape) for key, values in state.items()}
    seeded = {key: weights.seeded(key, shape) for key, shape in shapes.items() if weights.is_seeded(key, shape)}
    loaded = {key: torch.from_numpy(values) for key, values in {**tensors, **seeded}.items()}
    model.load_state_dict({**fixed, **loaded}, strict=True)


def small_dvae(audio_codes: int) -> DiscreteVAE:
    """Return the discrete VAE of coqui's training recipe with this number of audio codes."""
    return DiscreteVAE(
        channels=80,
        normalization=None,
        positional_dims=1,
        num_tokens=audio_codes,
        codebook_dim=512,
        hidden_dim=512,
        num_resnet_blocks=3,
        kernel_size=3,
        num_layers=2,
        use_transposed_convs=False,
    )


def training_config(run: Path, parts: Path, sizes: dict[str, Any], audio_codes: int) -> GPTTrainerConfig:
    """Return the config of a run whose files `dvae.pth` and `mel_stats.pth` lie in `parts`."""
    args = GPTArgs(
        tokenizer_file=str(run / "vocab.json"),
        mel_norm_file=str(parts / "mel_stats.pth"),
        dvae_checkpoint=str(parts / "dvae.pth"),
        gpt_num_audio_tokens=audio_codes + 2,
        gpt_start_audio_token=audio_codes,
        gpt_stop_audio_token=audio_codes + 1,
        gpt_use_perceiver_resampler=True,
        **sizes,
    )
    audio = XttsAudioConfig(sample_rate=22050, dvae_sample_rate=22050, output_sample_rate=24000)
    return GPTTrainerConfig(
        output_path=str(run),
        model_args=args,
        audio=audio,
        optimizer="AdamW",
        optimizer_params={"betas": [0.9, 0.96], "eps": 1e-8, "weight_decay": 1e-2},
        optimizer_wd_only_on_weights=True,
    )
