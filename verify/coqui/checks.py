"""Compare cached generation with one teacher-forced pass (a check of the environment), and voices with each other."""

import math

import numpy as np
import torch
from TTS.tts.models.xtts import Xtts

from verify import resources
from verify.audio.clips import Sample
from verify.checks import Check
from verify.coqui.synthesis import Voice, device_faults, encode, speaker_embedding


@torch.inference_mode()
def check_cache(model: Xtts, voice: Voice, text: str, language: str) -> Check:
    """Compare the logits of cached generation with those of one teacher-forced pass over the same tokens.

    Both compute the same function; where they differ, the installed transformers breaks generation.
    Logits are `(tokens, gpt_num_audio_tokens)`; the difference is a share of the largest one.
    """
    limits = resources.load("limits")["logits"]
    gpt = model.gpt
    tokens = encode(model, text, language)
    with device_faults(model):
        codes, generated = gpt.generate(
            voice.latents.to(model.device),
            tokens,
            do_sample=False,
            max_new_tokens=limits["tokens"],
            return_dict_in_generate=True,
            output_logits=True,
        )
    cached = torch.stack([step[0] for step in generated.logits])
    forced = forced_logits(model, voice, tokens, codes)
    share = float((cached - forced).abs().max() / forced.abs().max().clamp_min(1e-12))
    return Check(
        name="cached logits",
        ok=share <= limits["difference_share"],
        measured=share,
        high=limits["difference_share"],
        unit="of the largest logit",
        basic=True,
        hint="environment, not checkpoint: this transformers breaks cached generation; install the pinned versions.",
    )


@torch.inference_mode()
def forced_logits(model: Xtts, voice: Voice, tokens: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Return the logits `(codes, gpt_num_audio_tokens)` of one pass over the text tokens and the codes, each `(1, n)`."""
    gpt = model.gpt
    with device_faults(model):
        inputs = torch.nn.functional.pad(tokens, (1, 0), value=gpt.start_text_token)
        inputs = torch.nn.functional.pad(inputs, (0, 1), value=gpt.stop_text_token)
        previous = torch.nn.functional.pad(codes[:, :-1], (1, 0), value=gpt.start_audio_token)
        text_emb = gpt.text_embedding(inputs) + gpt.text_pos_embedding(inputs)
        mel_emb = gpt.mel_embedding(previous) + gpt.mel_pos_embedding(previous)
        latents = voice.latents.to(model.device)
        _, forced = gpt.get_logits(text_emb, gpt.text_head, mel_emb, gpt.mel_head, prompt=latents)
    logits: torch.Tensor = forced[0].transpose(0, 1)  # get_logits returns (1, classes, tokens)
    return logits


SHORTEST_EMBEDDED_SECONDS = 0.5
# An untrained encoder finds everything similar: 1.00 for noise. An encoder that takes noise for the voice is of no use.
NOISE_IS_THE_VOICE = 0.95


@torch.inference_mode()
def speaker_similarity(model: Xtts, voice: Voice, sample: Sample) -> float | None:
    """Return the cosine similarity, -1 to 1, of the sample and the reference by the model's own speaker encoder.

    None where the sample is too short or not finite, or where the encoder cannot tell a voice from noise. It is
    reported without a limit, as nobody knows what a good voice reaches.
    """
    if sample.seconds < SHORTEST_EMBEDDED_SECONDS or not np.isfinite(sample.samples).all():
        return None
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(sample.samples)).astype(np.float32)
    likeness, of_noise = (_likeness(model, voice, samples, sample.rate_hz) for samples in (sample.samples, noise))
    return round(likeness, 3) if math.isfinite(likeness) and of_noise < NOISE_IS_THE_VOICE else None


def _likeness(model: Xtts, voice: Voice, samples: np.ndarray, rate_hz: int) -> float:
    with device_faults(model):
        embedding = speaker_embedding(model, torch.from_numpy(samples).unsqueeze(0).to(model.device), rate_hz)
    return float(torch.nn.functional.cosine_similarity(embedding.flatten(), voice.embedding.flatten(), dim=0))
