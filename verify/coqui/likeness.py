"""How alike the voices of the speaker's recordings are, and how like them a take is, by the model's own speaker encoder."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from TTS.tts.models.xtts import Xtts

from verify import resources
from verify.audio.clips import Sample
from verify.audio.recordings import HeldOut
from verify.coqui.checks import (
    SAME_CLIP,
    SHORTEST_EMBEDDED_SECONDS,
    TELLS_VOICES_APART,
    cosine,
    embedding,
    knows_noise,
    own_clips,
)
from verify.coqui.synthesis import CONDITIONING_RATE_HZ, Voice, at_conditioning_rate
from verify.errors import Cause


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Likeness:
    """The speaker embeddings of the recordings, how alike each is to the others, and how like them the nearest stranger is."""

    embeddings: tuple[torch.Tensor | None, ...]  # None for a recording of another speaker
    alike: tuple[float | None, ...] = ()
    stranger: float = 0.0

    def of(self, heard: torch.Tensor, number: int | None = None) -> float | None:
        """Return the mean cosine of what was heard and the recordings but the one at this place; None where there is none."""
        others = [own for place, own in enumerate(self.embeddings) if place != number and own is not None]
        mean = statistics.fmean(cosine(heard, other) for other in others) if others else math.nan
        return mean if math.isfinite(mean) else None

    @property
    def mean(self) -> float:
        """How alike the recordings are to each other."""
        return statistics.fmean(value for value in self.alike if value is not None)

    @property
    def widest_gap(self) -> float:
        """The largest gap that is no fault: a share of the way from the recordings to the stranger."""
        return round(resources.load("held_out")["similarity"]["share"] * (self.mean - self.stranger), 3)


@torch.inference_mode()
def likeness(model: Xtts, voice: Voice, held_out: HeldOut) -> tuple[Likeness | None, tuple[Cause, ...]]:
    """Return how alike the recordings are, and a warning where some are of another speaker than the reference.

    None where the model's encoder does not tell voices apart, or fewer than two recordings are the speaker's: a take
    must not be held against the recording of its own sentence alone, whose sounds are alike whoever speaks.
    """
    rate_hz, recordings = CONDITIONING_RATE_HZ, held_out.recordings
    if not knows_noise(model, voice, rate_hz, rate_hz):
        return None, ()
    heard = [embedding(model, at_conditioning_rate(recording.clip), rate_hz) for recording in recordings]
    stranger = voice.stranger if voice.stranger is not None else -math.inf
    own = tuple(one if cosine(one, voice.embedding) > stranger else None for one in heard)
    others = [recording.name for recording, one in zip(recordings, own, strict=True) if one is None]
    causes = (_other_speaker(others, len(heard)),) if others else ()
    if len(heard) - len(others) < 2:
        return None, causes
    known = Likeness(embeddings=own)
    alike = tuple(None if one is None else known.of(one, place) for place, one in enumerate(own))
    of_strangers = [known.of(embedding(model, at_conditioning_rate(clip), rate_hz)) for clip in own_clips()]
    nearest = max((value for value in of_strangers if value is not None and value < SAME_CLIP), default=1.0)
    found = replace(known, alike=alike, stranger=nearest)
    return (found if found.mean - found.stranger >= TELLS_VOICES_APART else None), causes


def _other_speaker(names: Sequence[str], count: int) -> Cause:
    message = f"{len(names)} of {count} held-out recordings are less like the reference voice than a stranger is: {', '.join(names)[:300]}"
    hint = "Pass a clip of the speaker that was trained (--speaker-wav FILE), or recordings of the speaker of the reference."
    return Cause(code="held-out-other-speaker", severity="warning", message=message, hint=hint)


@torch.inference_mode()
def similarity(model: Xtts, known: Likeness, sample: Sample, place: int) -> float | None:
    """Return how like the speaker's other recordings a take is, of the sentence of the recording at this place."""
    if sample.seconds < SHORTEST_EMBEDDED_SECONDS:
        return None
    alike = known.of(embedding(model, torch.from_numpy(sample.samples).unsqueeze(0), sample.rate_hz), place)
    return None if alike is None else round(alike, 3)
