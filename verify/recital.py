"""Let a loaded model say every sentence with every seed in the reference voice, and judge each take."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from verify import model as models
from verify import rehearsal
from verify.baseline import similarity_of_base
from verify.checks import Check, majority
from verify.diagnosis import environment
from verify.listening import audio, judge, parity, reading, similarity, speech, words
from verify.listening.script import Script
from verify.listening.speech import Sample, Voice
from verify.plan import Job, Plan, timed
from verify.proof import prove
from verify.reporting.report import Report, check_as_json
from verify.watch import Watch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Take:
    """One sentence said with one seed: the sample, the name of its file, its checks, and what else is told of it."""

    sample: Sample
    name: str
    checks: tuple[Check, ...]
    told: dict[str, Any]


def recite(
    plan: Plan, report: Report, script: Script, model: Any, device: str, folder: Path | None, watch: Watch
) -> Report:
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
        takes = _transcribed(takes, words.listener(script.whisper, watch), script.language)
    if folder:
        for take in takes:
            audio.write_wav(folder / take.name, take.sample.samples, take.sample.rate_hz)
        audio.write_wav(folder / "reference.wav", script.clips[0].samples, script.clips[0].rate_hz)
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


def _transcribed(takes: list[Take], listener: words.Listener, language: str) -> list[Take]:
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
    with watch.step("making the model ready"), timed(plan.seconds, "condition"), speech.device_faults(model):
        models.prepare_for_speech(model, device)
    encoded = {text: reading.encode(model, text, script.language) for text in script.texts}
    return {text: reading.known_check(model, ids) for text, ids in encoded.items()}


def _voice(plan: Plan, script: Script, model: Any, device: str, watch: Watch) -> tuple[Voice, Check]:
    """Hear the reference, and hold cached generation against one pass over the same tokens.

    Raises:
        EnvironmentFault: they differ, and those of a tiny random model do too.
    """
    with watch.step("hearing the reference voice"), timed(plan.seconds, "condition"):
        with speech.device_faults(model):
            voice = speech.condition(model, script.clips)
        cache = parity.check_cache(model, voice, script.texts[0], script.language)
        if not cache.ok and not rehearsal.rehearse(device).ok:
            raise environment.fault(
                f"cached generation is off by {cache.measured:.2g} {cache.unit}, here and with random weights"
            )
    return voice, cache


def _take(
    plan: Plan, model: Any, voice: Voice, text: str, language: str, seed: int, name: str, known: Check, watch: Watch
) -> Take:
    """Say one sentence with one seed and judge it."""
    steps = reading.token_bound(model, text, language) + 1  # the vocoder's work comes after the last token
    with watch.step("speaking", steps, "tokens") as progress, timed(plan.seconds, "speak"):
        sample = speech.speak(model, voice, text, language, seed, progress)
    with watch.step("judging the sound"), timed(plan.seconds, "judge"):
        judged = judge.judge_speech(sample.samples, sample.rate_hz, text, language)
        alike = similarity.speaker_similarity(model, voice, sample)
    checks = (known, *judged, speech.stop_check(sample))
    return Take(sample=sample, name=name, checks=checks, told={"speaker_similarity": alike})
