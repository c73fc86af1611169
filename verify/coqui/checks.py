"""Compare cached generation with one teacher-forced pass (a check of the environment), and voices with each other."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from TTS.tts.models.xtts import Xtts

from verify import resources
from verify.audio.clips import Clip, Sample, read_clip
from verify.checks import Check
from verify.coqui.synthesis import (
    CONDITIONING_RATE_HZ,
    Voice,
    at_conditioning_rate,
    device_faults,
    encode,
    speaker_embedding,
)


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

    None where the sample is too short or not finite, or where the encoder cannot tell a voice from noise. It has no
    limit of its own, as nobody knows what a good voice reaches; `voice_check` holds it against strangers.
    """
    if sample.seconds < SHORTEST_EMBEDDED_SECONDS or not np.isfinite(sample.samples).all():
        return None
    likeness = _likeness(model, voice, torch.from_numpy(sample.samples).unsqueeze(0), sample.rate_hz)
    is_told = knows_noise(model, voice, len(sample.samples), sample.rate_hz)
    return round(likeness, 3) if math.isfinite(likeness) and is_told else None


def knows_noise(model: Xtts, voice: Voice, length: int, rate_hz: int) -> bool:
    """Whether the encoder finds noise of this many samples unlike the voice."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(length).astype(np.float32)
    return _likeness(model, voice, torch.from_numpy(noise).unsqueeze(0), rate_hz) < NOISE_IS_THE_VOICE


def _likeness(model: Xtts, voice: Voice, audio: torch.Tensor, rate_hz: int) -> float:
    return cosine(embedding(model, audio, rate_hz), voice.embedding)


def embedding(model: Xtts, audio: torch.Tensor, rate_hz: int) -> torch.Tensor:
    """Return what the speaker encoder makes of audio `(1, samples)`."""
    with device_faults(model):
        return speaker_embedding(model, audio.to(model.device), rate_hz)


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the cosine of two embeddings."""
    return float(torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0))


# A trained encoder finds two halves of one clip alike and strangers not; an untrained one finds everything alike.
TELLS_VOICES_APART = 0.1
SAME_CLIP = 0.98  # the reference may be the project's own clip


@torch.inference_mode()
def stranger_similarity(model: Xtts, voice: Voice, clips: Sequence[Clip]) -> float | None:
    """Return how like the reference that one of the project's own clips is which is most like it.

    None where there is no clip, as of a named voice, or the encoder does not tell voices apart: it must know noise from
    the voice, and find two halves of the reference more alike than that, by a margin.
    """
    if not clips or clips[0].seconds < 2 * SHORTEST_EMBEDDED_SECONDS:
        return None
    rate_hz = CONDITIONING_RATE_HZ
    if not knows_noise(model, voice, rate_hz, rate_hz):
        return None
    first, second = (embedding(model, half, rate_hz) for half in at_conditioning_rate(clips[0]).chunk(2, dim=1))
    alike = [_likeness(model, voice, at_conditioning_rate(clip), rate_hz) for clip in own_clips()]
    closest = max((similarity for similarity in alike if similarity < SAME_CLIP), default=1.0)
    return closest if cosine(first, second) - closest >= TELLS_VOICES_APART else None


def own_clips() -> list[Clip]:
    """Return the project's own clips, which are of strangers."""
    return [
        read_clip(path) for path in (resources.DEFAULT_REFERENCE, *sorted(resources.ASSETS.glob("speaking/*.flac")))
    ]


def voice_check(similarity: float | None, stranger: float | None) -> Check | None:
    """Return the check that a sample is more like the reference than a stranger is; None where either was not measured."""
    if similarity is None or stranger is None:
        return None
    return Check(
        name="reference voice",
        ok=similarity > stranger,
        measured=similarity,
        low=round(stranger, 3),
        unit="cosine, a stranger's",
        hint="Another voice: it is less like the reference than a stranger's clip is.",
    )
