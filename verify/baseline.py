"""Let the base model say the first sentence too, so that a figure of the tuned one has something to stand beside."""

from typing import Any

from verify import model as models
from verify.checkpoint.source import Request
from verify.errors import ConversionError
from verify.listening import similarity, speech
from verify.listening.script import Script
from verify.listening.speech import Sample
from verify.loading import load_planned
from verify.plan import Job, Plan, plan, timed
from verify.watch import Watch


def similarity_of_base(planned: Plan, script: Script, take: Sample, device: str, watch: Watch) -> float | None:
    """Return how near the base's voice comes to the reference with the same sentence and seed.

    None without `--base`, or where the base is no model that loads and speaks by itself: that is not what was asked.
    """
    if planned.base is None:
        return None
    try:
        with watch.step("letting the base speak"), timed(planned.seconds, "base"):
            return _similarity(load_planned(plan(Job(request=Request(source=planned.base.path)))), script, take, device)
    except ConversionError:
        return None


def _similarity(base: Any, script: Script, take: Sample, device: str) -> float | None:
    with speech.device_faults(base):
        models.prepare_for_speech(base, device)
        voice = speech.condition(base, script.clips)
    said = speech.speak(base, voice, take.text, take.language, take.seed, lambda _: None)
    return similarity.speaker_similarity(base, voice, said)
