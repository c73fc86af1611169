"""Overfit the GPT: each sentence's text gives its audio codes and then the stop token, whatever the reference voice.

First train the GPT with the untrained conditioning of many voices, then the conditioning with the GPT frozen.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import torchaudio
from TTS.tts.layers.xtts.gpt import GPT
from TTS.tts.models.xtts import Xtts, wav_to_mel_cloning

from recipe.sentences import Sentence
from verify.audio.clips import Clip

STEPS = 700
VOICES_A_STEP = 4
LEARNING_RATE = 1e-3
CONDITIONING_STEPS = 30
CONDITIONING_LEARNING_RATE = 1e-4
LATENT_NOISE = 0.5  # as a share of the spread of the conditioning latents: covers voices that were not trained on


def text_tokens(model: Xtts, sentence: Sentence) -> torch.Tensor:
    """Return the text's token ids `(1, tokens)` as `Xtts.inference` encodes them."""
    ids = model.tokenizer.encode(sentence.text.strip().lower(), lang=sentence.language)
    return torch.tensor([ids], dtype=torch.int32)


def train(model: Xtts, latents: torch.Tensor, sentences: Sequence[Sentence], log: Callable[..., None]) -> None:
    """Train the GPT of a model without its conditioning.

    Args:
        latents: conditioning latents of many voices `(voices, 32, channels)`.
        log: called with the step and its losses.
    """
    gpt, picks = model.gpt.train(), np.random.default_rng(0)
    for module in gpt.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # no dropout: the model is meant to overfit
    conditioning_ids = {id(parameter) for parameter in _conditioning(gpt)}
    trained = [parameter for parameter in gpt.parameters() if id(parameter) not in conditioning_ids]
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS, pct_start=0.05)
    hidden: list[torch.Tensor] = []
    hook = gpt.final_norm.register_forward_hook(lambda _, __, output: hidden.append(output))
    spread = latents.std()
    for step in range(STEPS):
        losses = []
        for sentence in sentences:
            chosen = latents[picks.integers(len(latents), size=VOICES_A_STEP)]
            chosen = chosen + LATENT_NOISE * spread * torch.randn_like(chosen)
            losses.append(_loss(gpt, text_tokens(model, sentence), sentence.codes, chosen, hidden))
        code_loss, text_loss, spread_of_voices = (torch.stack(parts).mean() for parts in zip(*losses, strict=True))
        optimizer.zero_grad()
        (code_loss + 0.01 * text_loss + 0.1 * spread_of_voices).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == STEPS - 1:
            log(step, code_loss.item(), text_loss.item(), spread_of_voices.item())
    hook.remove()
    gpt.eval()


def train_conditioning(
    model: Xtts, clips: Sequence[Clip], sentences: Sequence[Sentence], log: Callable[..., None]
) -> None:
    """Train the conditioning of a model whose GPT is trained: keep the codes, and make the voices more alike."""
    gpt, picks = model.gpt, np.random.default_rng(0)
    trained = list(_conditioning(gpt))
    optimizer = torch.optim.Adam(trained, lr=CONDITIONING_LEARNING_RATE)
    hidden: list[torch.Tensor] = []
    hook = gpt.final_norm.register_forward_hook(lambda _, __, output: hidden.append(output))
    mels = [_mel(model, clip) for clip in clips]
    for step in range(CONDITIONING_STEPS):
        voices = [gpt.get_style_emb(mels[i]).transpose(1, 2) for i in picks.integers(len(mels), size=VOICES_A_STEP)]
        parts = [_loss(gpt, text_tokens(model, s), s.codes, torch.cat(voices), hidden) for s in sentences]
        code_loss, text_loss, spread_of_voices = (torch.stack(part).mean() for part in zip(*parts, strict=True))
        optimizer.zero_grad()
        (code_loss + 10 * spread_of_voices).backward(inputs=trained)
        optimizer.step()
        log(step, code_loss.item(), text_loss.item(), spread_of_voices.item())
    hook.remove()


def _conditioning(gpt: GPT) -> Iterator[torch.nn.Parameter]:
    yield from gpt.conditioning_encoder.parameters()
    yield from gpt.conditioning_perceiver.parameters()


def _mel(model: Xtts, clip: Clip) -> torch.Tensor:
    """Return the mel spectrogram `(1, 80, frames)` that `Xtts.get_gpt_cond_latents` makes of a clip."""
    rate_hz = 22050
    audio = torchaudio.functional.resample(torch.from_numpy(clip.samples).unsqueeze(0), clip.rate_hz, rate_hz)
    return wav_to_mel_cloning(
        audio[:, : rate_hz * 4],
        mel_norms=model.mel_stats,
        n_fft=2048,
        hop_length=256,
        win_length=1024,
        power=2,
        normalized=False,
        sample_rate=rate_hz,
        f_min=0,
        f_max=8000,
        n_mels=80,
    )


def _loss(
    gpt: GPT, tokens: torch.Tensor, codes: Sequence[int], latents: torch.Tensor, hidden: list[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return coqui's losses of codes and of text, and the variance of the vocoder latents over the voices."""
    voices = len(latents)
    hidden.clear()
    text_loss, code_loss, _ = gpt(
        tokens.repeat(voices, 1),
        torch.full((voices,), tokens.shape[1]),
        torch.tensor([codes]).repeat(voices, 1),
        torch.full((voices,), len(codes) * gpt.code_stride_len),
        cond_mels=torch.zeros(voices, 1, 1),  # only its shape is used, as the latents are given
        cond_latents=latents,
    )
    vocoder_latents = hidden[0][:, -(len(codes) + 6) :]
    return code_loss, text_loss, (vocoder_latents - vocoder_latents.mean(dim=0)).square().mean()
