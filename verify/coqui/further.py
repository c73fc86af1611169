"""Let a further device compute what the first one did, and hold the two against each other."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from TTS.tts.models.xtts import Xtts

from verify import resources
from verify.audio.clips import Sample
from verify.checks import Check
from verify.coqui import synthesis
from verify.coqui.checks import forced_logits
from verify.coqui.synthesis import Voice


def to(model: Xtts, voice: Voice, device: str) -> Voice:
    """Move the model and the voice to the device."""
    with synthesis.device_faults(model):
        model.to(device)
    return replace(voice, latents=voice.latents.to(device), embedding=voice.embedding.to(device))


def logits_of(model: Xtts, voice: Voice, sample: Sample) -> torch.Tensor:
    """Return the logits `(codes, gpt_num_audio_tokens)` of one pass over the sample's text and its first codes, on the CPU."""
    most = resources.load("limits")["devices"]["tokens"]
    codes = torch.tensor([sample.codes[:most] or (model.args.gpt_start_audio_token,)], device=model.device)
    return forced_logits(model, voice, synthesis.encode(model, sample.text, sample.language), codes).float().cpu()


def logits_check(first: torch.Tensor, other: torch.Tensor, device: str) -> Check:
    """Return the check that a device computes the logits that the first one does; NaN fails it."""
    limit = resources.load("limits")["devices"]["difference_share"]
    share = float((first - other).abs().max() / first.abs().max().clamp_min(1e-12))
    return Check(
        name=f"logits on {device}",
        ok=share <= limit,
        measured=share,
        high=limit,
        unit="of the largest logit",
        basic=True,
        hint=f"{device} computes other logits than the first device from the same weights, text and tokens: its driver, "
        "its torch build or the card is at fault, not the checkpoint.",
    )


def speech_check(failed: Mapping[str, bool], device: str) -> Check:
    """Return the check that what a further device says passes each check of sound that the first one's sample passes.

    Args:
        failed: the checks that the device's sample fails, and whether the first one's fails them too.
    """
    worse = [check for check, is_shared in failed.items() if not is_shared]
    return Check(
        name=f"speech on {device}",
        ok=not worse,
        measured=len(worse),
        high=0,
        unit="checks that the first device passes",
        hint=f"What {device} says fails: {', '.join(worse)}." if worse else "",
    )
