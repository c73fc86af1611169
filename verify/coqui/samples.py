"""Let a loaded model say every sentence with every seed in the reference voice, and judge each sample."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from TTS.tts.models.xtts import Xtts

from verify.audio import clips, transcription
from verify.audio.checks import judge_speech
from verify.audio.clips import Sample
from verify.audio.prompts import Script
from verify.checks import Check, majority
from verify.coqui import model as models
from verify.coqui import selftest, synthesis
from verify.coqui.checks import check_cache, speaker_similarity
from verify.coqui.load import load_planned
from verify.coqui.original import check_original
from verify.coqui.synthesis import Voice
from verify.diagnosis import environment
from verify.errors import ConversionError
from verify.findings import SampleResult
from verify.options import Job
from verify.plan import Plan, plan
from verify.progress import Stopwatch
from verify.result import Result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Take:
    """One sentence said with one seed: the sound, the name of its file, its checks, and what else was measured."""

    sample: Sample
    name: str
    checks: tuple[Check, ...]
    speaker_similarity: float | None
    transcript: str | None = None
    character_error_rate: float | None = None


def speak_samples(
    result: Result, script: Script, model: Xtts, device: str, folder: Path | None, clock: Stopwatch
) -> Result:
    """Return the result with `samples` and the checks over all of them; they and the voice are written to `folder`.

    A check fails where it fails in most samples: one bad draw is not blamed on the weights.

    Raises:
        ConversionError: the text cannot be read, the device has no room, or the environment is broken.
    """
    plan = result.plan
    text_checks = _ready(script, model, device, clock)
    voice, cache = _voice(script, model, device, clock)
    takes = [
        _take(model, voice, text, script.language, seed, name, text_checks[text], clock)
        for text, seed, name in _lines(script, plan.job)
    ]
    first = takes[0].sample
    of_base = _similarity_of_base(plan, script, first, device, clock)
    proof = (check_original(plan, script, first, device, clock),) if plan.job.prove else ()
    if script.whisper:  # last: once it is loaded, torch rounds otherwise, and a seed would not say the same again
        takes = _transcribed(takes, transcription.listener(script.whisper, clock.watch), script.language)
    if folder:
        for take in takes:
            clips.write_wav(folder / take.name, take.sample.samples, take.sample.rate_hz)
        clips.write_wav(folder / "reference.wav", script.clips[0].samples, script.clips[0].rate_hz)
    checks = (*(result.checks or ()), *majority([take.checks for take in takes]), cache, *proof)
    return replace(
        result,
        causes=(*result.causes, *script.warnings),
        samples=tuple(_sample_result(take, script, of_base, bool(folder)) for take in takes),
        checks=checks,
        demanded=plan.job.demands(checks, heard=True),
    )


def _sample_result(take: _Take, script: Script, of_base: float | None, is_written: bool) -> SampleResult:
    """Return what is kept of a sample when its sound has been written."""
    sample = take.sample
    return SampleResult(
        text=sample.text,
        language=sample.language,
        device=sample.device,
        seed=sample.seed,
        tokens=sample.tokens,
        token_bound=sample.token_bound,
        stopped=sample.stopped,
        seconds=round(sample.seconds, 3),
        synthesis_seconds=round(sample.synthesis_seconds, 3),
        real_time_factor=round(sample.real_time_factor, 3),
        path=take.name if is_written else None,
        reference=script.reference,
        speaker_similarity_of_base=of_base,
        speaker_similarity=take.speaker_similarity,
        transcript=take.transcript,
        character_error_rate=take.character_error_rate,
        checks=take.checks,
    )


def _transcribed(takes: list[_Take], listener: transcription.Listener, language: str) -> list[_Take]:
    """Return the samples with what Whisper heard in them."""
    transcribed = []
    for take in takes:
        found, check = listener.hear(take.sample, language)
        transcribed.append(replace(take, checks=(*take.checks, check), **found))
    return transcribed


def _lines(script: Script, job: Job) -> Iterator[tuple[str, int, str]]:
    """Yield each sentence with each seed, and the name of its file."""
    number = 0
    for text in script.texts:
        for seed in range(job.seed, job.seed + job.seeds):
            number += 1
            yield text, seed, "sample.wav" if number == 1 else f"sample-{number:02}.wav"


def _ready(script: Script, model: Xtts, device: str, clock: Stopwatch) -> dict[str, Check]:
    """Make the model ready to speak, and refuse before the long work what cannot be said."""
    with clock.step("condition", "making the model ready"), synthesis.device_faults(model):
        models.prepare_for_speech(model, device)
    encoded = {text: synthesis.encode(model, text, script.language) for text in script.texts}
    return {text: synthesis.known_check(model, ids) for text, ids in encoded.items()}


def _voice(script: Script, model: Xtts, device: str, clock: Stopwatch) -> tuple[Voice, Check]:
    """Condition on the reference, and hold cached generation against one pass over the same tokens.

    Raises:
        EnvironmentFault: they differ, and those of a tiny random model do too.
    """
    with clock.step("condition", "hearing the reference voice"):
        with synthesis.device_faults(model):
            voice = synthesis.condition(model, script.clips)
        cache = check_cache(model, voice, script.texts[0], script.language)
        if not cache.ok and not selftest.check_tiny_model(device).ok:
            raise environment.fault(
                f"cached generation is off by {cache.measured:.2g} {cache.unit}, here and with random weights"
            )
    return voice, cache


def _take(
    model: Xtts, voice: Voice, text: str, language: str, seed: int, name: str, text_check: Check, clock: Stopwatch
) -> _Take:
    """Say one sentence with one seed and judge it."""
    steps = synthesis.token_bound(model, text, language) + 1  # the vocoder's work comes after the last token
    with clock.step("speak", "speaking", steps, "tokens") as progress:
        sample = synthesis.speak(model, voice, text, language, seed, progress)
    with clock.step("judge", "judging the sound"):
        judged = judge_speech(sample.samples, sample.rate_hz, text, language)
        similarity = speaker_similarity(model, voice, sample)
    checks = (text_check, *judged, synthesis.stop_check(sample))
    return _Take(sample=sample, name=name, checks=checks, speaker_similarity=similarity)


def _similarity_of_base(tuned: Plan, script: Script, sample: Sample, device: str, clock: Stopwatch) -> float | None:
    """Return how near the base's voice comes to the reference with the same sentence and seed.

    None without `--base`, or where the base is no model that loads and speaks by itself: that is not what was asked.
    """
    if tuned.base is None:
        return None
    try:
        with clock.step("base", "letting the base speak"):
            base = load_planned(plan(Job(source=tuned.base.path)))
            with synthesis.device_faults(base):
                models.prepare_for_speech(base, device)
                voice = synthesis.condition(base, script.clips)
            of_base = synthesis.speak(base, voice, sample.text, sample.language, sample.seed, lambda _: None)
            return speaker_similarity(base, voice, of_base)
    except ConversionError:
        return None
