"""Ask the model's own speaker encoder how near the sample is to the reference voice."""

import numpy as np
import torch
from TTS.tts.models.xtts import Xtts

from verify.listening.speech import Sample, Voice, device_faults

SHORTEST_EMBEDDED_SECONDS = 0.5


@torch.inference_mode()
def speaker_similarity(model: Xtts, voice: Voice, sample: Sample) -> float | None:
    """Return the cosine of the sample's and the reference's embedding by the model's own speaker encoder, -1 to 1.

    None where the sample is too short or not finite. Reported, not demanded: what a good voice reaches is not known here.
    """
    if sample.seconds < SHORTEST_EMBEDDED_SECONDS or not np.isfinite(sample.samples).all():
        return None
    audio = torch.from_numpy(sample.samples).unsqueeze(0).to(model.device)
    with device_faults(model):
        embedding = model.get_speaker_embedding(audio, sample.rate_hz)
    cosine = torch.nn.functional.cosine_similarity(embedding.flatten(), voice.embedding.flatten(), dim=0)
    return round(float(cosine), 3) if torch.isfinite(cosine) else None
