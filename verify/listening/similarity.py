"""Ask the model's own speaker encoder how near the sample is to the reference voice."""

import math

import numpy as np
import torch
from TTS.tts.models.xtts import Xtts

from verify.listening.speech import Sample, Voice, device_faults

SHORTEST_EMBEDDED_SECONDS = 0.5
# An encoder without training finds everything alike: 1.00 for noise. Where it takes noise for the voice, it knows none.
NOISE_IS_THE_VOICE = 0.95


@torch.inference_mode()
def speaker_similarity(model: Xtts, voice: Voice, sample: Sample) -> float | None:
    """Return the cosine of the sample's and the reference's embedding by the model's own speaker encoder, -1 to 1.

    None where the sample is too short or not finite, or where the encoder cannot tell a voice from noise. Reported, not
    demanded: what a good voice reaches is not known here.
    """
    if sample.seconds < SHORTEST_EMBEDDED_SECONDS or not np.isfinite(sample.samples).all():
        return None
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(sample.samples)).astype(np.float32)
    likeness, of_noise = (_likeness(model, voice, samples, sample.rate_hz) for samples in (sample.samples, noise))
    return round(likeness, 3) if math.isfinite(likeness) and of_noise < NOISE_IS_THE_VOICE else None


def _likeness(model: Xtts, voice: Voice, samples: np.ndarray, rate_hz: int) -> float:
    with device_faults(model):
        embedding = model.get_speaker_embedding(torch.from_numpy(samples).unsqueeze(0).to(model.device), rate_hz)
    return float(torch.nn.functional.cosine_similarity(embedding.flatten(), voice.embedding.flatten(), dim=0))
