"""Let a loaded model say every sentence with every seed in the reference voice, and judge each take."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from verify.audio import checks as judge
from verify.audio import clips, transcription
from verify.audio.clips import Sample
from verify.audio.prompts import Script
from verify.checks import Check, majority
from verify.coqui import checks, selftest, synthesis
from verify.coqui import checks as parity
from verify.coqui import checks as similarity
from verify.coqui import model as models
from verify.coqui.load import load_planned
from verify.coqui.original import prove
from verify.coqui.synthesis import Voice
from verify.diagnosis import environment
from verify.errors import ConversionError
from verify.options import Job
from verify.plan import Plan, plan
from verify.progress import Watch, timed
from verify.result import Result, check_as_json


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Take:
    """One sentence said with one seed: the sample, the name of its file, its checks, and what else is told of it."""

    sample: Sample
    name: str
    checks: tuple[Check, ...]
    told: dict[str, Any]


def recite(
    plan: Plan, report: Result, script: Script, model: Any, device: str, folder: Path | None, watch: Watch
) -> Result:
    """Return the report with `samples` and the checks over all of them; the takes and the voice are written to `folder`.

    A check fails where it fails in most takes: one bad draw is not blamed on the weights.

    Raises:
        ConversionError: the text cannot be read, the device has no room, or the environment is broken.
    """
    known = _ready(plan, script, model, device, watch)
    voice, cache = _voice(plan, script, model, device, watch)
    takes = [
        _take(plan, model, voice, text, script.language, seed, name, known[text], watch)
        for text, seed, name in _lines(script, plan.job)
    ]
    of_base = similarity_of_base(plan, script, takes[0].sample, device, watch)
    proof = (prove(plan, script, takes[0].sample, device, watch),) if plan.job.prove else ()
    if script.whisper:  # last: once it is loaded, torch rounds otherwise, and a seed would not say the same again
        takes = _transcribed(takes, transcription.listener(script.whisper, watch), script.language)
    if folder:
        for take in takes:
            clips.write_wav(folder / take.name, take.sample.samples, take.sample.rate_hz)
        clips.write_wav(folder / "reference.wav", script.clips[0].samples, script.clips[0].rate_hz)
    checks = (*(report.checks or ()), *majority([take.checks for take in takes]), cache, *proof)
    demanded = plan.job.demands(checks, heard=True)
    shared = {"reference": script.reference, "speaker_similarity_of_base": of_base}
    return replace(
        report,
        causes=(*report.causes, *script.warnings),
        samples=tuple(_as_json(take, shared, demanded, bool(folder)) for take in takes),
        checks=checks,
        demanded=demanded,
    )


def _as_json(take: Take, shared: dict[str, Any], demanded: frozenset[str], is_written: bool) -> dict[str, Any]:
    """Return one of the report's `samples`."""
    judged = [check_as_json(check, check.name in demanded) for check in take.checks]
    return {
        **take.sample.as_json(),
        "path": take.name if is_written else None,
        **shared,
        **take.told,
        "checks": judged,
    }


def _transcribed(takes: list[Take], listener: transcription.Listener, language: str) -> list[Take]:
    """Return the takes with what Whisper heard in them."""
    heard = []
    for take in takes:
        found, check = listener.hear(take.sample, language)
        heard.append(replace(take, checks=(*take.checks, check), told={**take.told, **found}))
    return heard


def _lines(script: Script, job: Job) -> Iterator[tuple[str, int, str]]:
    """Yield each sentence with each seed, and the name of its file."""
    number = 0
    for text in script.texts:
        for seed in range(job.seed, job.seed + job.seeds):
            number += 1
            yield text, seed, "sample.wav" if number == 1 else f"sample-{number:02}.wav"


def _ready(plan: Plan, script: Script, model: Any, device: str, watch: Watch) -> dict[str, Check]:
    """Make the model ready to speak, and refuse before the long work what cannot be said."""
    with watch.step("making the model ready"), timed(plan.seconds, "condition"), synthesis.device_faults(model):
        models.prepare_for_speech(model, device)
    encoded = {text: synthesis.encode(model, text, script.language) for text in script.texts}
    return {text: synthesis.known_check(model, ids) for text, ids in encoded.items()}


def _voice(plan: Plan, script: Script, model: Any, device: str, watch: Watch) -> tuple[Voice, Check]:
    """Hear the reference, and hold cached generation against one pass over the same tokens.

    Raises:
        EnvironmentFault: they differ, and those of a tiny random model do too.
    """
    with watch.step("hearing the reference voice"), timed(plan.seconds, "condition"):
        with synthesis.device_faults(model):
            voice = synthesis.condition(model, script.clips)
        cache = parity.check_cache(model, voice, script.texts[0], script.language)
        if not cache.ok and not selftest.rehearse(device).ok:
            raise environment.fault(
                f"cached generation is off by {cache.measured:.2g} {cache.unit}, here and with random weights"
            )
    return voice, cache


def _take(
    plan: Plan, model: Any, voice: Voice, text: str, language: str, seed: int, name: str, known: Check, watch: Watch
) -> Take:
    """Say one sentence with one seed and judge it."""
    steps = synthesis.token_bound(model, text, language) + 1  # the vocoder's work comes after the last token
    with watch.step("speaking", steps, "tokens") as progress, timed(plan.seconds, "speak"):
        sample = synthesis.speak(model, voice, text, language, seed, progress)
    with watch.step("judging the sound"), timed(plan.seconds, "judge"):
        judged = judge.judge_speech(sample.samples, sample.rate_hz, text, language)
        alike = similarity.speaker_similarity(model, voice, sample)
    checks = (known, *judged, synthesis.stop_check(sample))
    return Take(sample=sample, name=name, checks=checks, told={"speaker_similarity": alike})


def similarity_of_base(planned: Plan, script: Script, take: Sample, device: str, watch: Watch) -> float | None:
    """Return how near the base's voice comes to the reference with the same sentence and seed.

    None without `--base`, or where the base is no model that loads and speaks by itself: that is not what was asked.
    """
    if planned.base is None:
        return None
    try:
        with watch.step("letting the base speak"), timed(planned.seconds, "base"):
            return _similarity(load_planned(plan(Job(source=planned.base.path))), script, take, device)
    except ConversionError:
        return None


def _similarity(base: Any, script: Script, take: Sample, device: str) -> float | None:
    with synthesis.device_faults(base):
        models.prepare_for_speech(base, device)
        voice = synthesis.condition(base, script.clips)
    said = synthesis.speak(base, voice, take.text, take.language, take.seed, lambda _: None)
    return checks.speaker_similarity(base, voice, said)
