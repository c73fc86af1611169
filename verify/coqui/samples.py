"""Synthesize every sentence with every seed in the reference voice, and judge each sample."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from TTS.tts.models.xtts import Xtts

from verify.audio import clips
from verify.audio.checks import judge_speech, stop_check
from verify.audio.clips import Sample
from verify.audio.prompts import Script
from verify.checks import Check, majority
from verify.coqui import further, selftest, speakers, synthesis
from verify.coqui import model as models
from verify.coqui.checks import check_cache, speaker_similarity, stranger_similarity, voice_check
from verify.coqui.load import load_planned
from verify.coqui.original import check_original
from verify.coqui.spoken import Spoken, heard, held, measured, sample_result, write_clips
from verify.coqui.stream_outcome import StreamOutcome, try_stream
from verify.coqui.synthesis import Voice
from verify.diagnosis import environment
from verify.errors import ConversionError
from verify.options import Job
from verify.plan import Plan, plan
from verify.progress import Stopwatch
from verify.result import Result

STREAM_FILE = "stream.wav"


def speak_samples(
    result: Result, script: Script, model: Xtts, devices: Sequence[str], folder: Path | None, clock: Stopwatch
) -> tuple[Result, Voice]:
    """Return the result with `samples` and the checks over all of them, and the voice; write clips to `folder`.

    A check fails where it fails in most samples: one unlucky seed is not blamed on the weights. A further device says
    the first sentence once more.

    Raises:
        ConversionError: the text cannot be tokenized, the device is out of memory, or the environment is broken.
    """
    plan, device = result.plan, devices[0]
    text_checks = _token_checks(script, model, device, clock)
    voice, cache = _voice(plan, script, model, device, clock)
    samples = [
        _speak_sample(model, voice, script, text, seed, name, text_checks[text], clock)
        for text, seed, name in _planned_samples(script, plan.job)
    ]
    first, count = samples[0], len(samples)
    base_similarity = _similarity_of_base(plan, script, first.sample, device, clock)
    proof = (check_original(plan, script, first.sample, device, clock),) if plan.job.prove else ()
    stream = _stream(model, voice, script, first, folder, clock) if plan.job.stream else StreamOutcome(checks=())
    others = _on_further_devices(model, voice, script, first, devices[1:], count, clock)
    samples += [spoken for spoken, _ in others]
    stick, samples = measured(model, voice, script, samples, clock)
    stick, samples = heard(stick, samples, script, clock)
    samples, held_out = held(stick, samples, count, script, bool(folder))
    if folder:
        write_clips(folder, samples, script, stick)
    more = (*proof, *stream.checks, *(check for _, checks in others for check in checks))
    checks = (*(result.checks or ()), *majority([spoken.checks for spoken in samples[:count]]), cache, *more)
    listed = [sample_result(spoken, script, base_similarity, bool(folder), stick) for spoken in samples]
    result = replace(
        result,
        causes=(*result.causes, *script.warnings, *stream.causes, *(stick.causes if stick else ())),
        samples=(replace(listed[0], stream=stream.result), *listed[1:]),
        checks=checks,
        demanded=plan.job.demands(checks, has_samples=True),
        held_out=held_out,
    )
    return result, voice


def _stream(
    model: Xtts, voice: Voice, script: Script, first: Spoken, folder: Path | None, clock: Stopwatch
) -> StreamOutcome:
    """Let the first sentence come once more, chunk by chunk, and write it to the folder."""
    failed = [check for check in first.checks if not check.ok]
    with clock.step("stream", "streaming"):
        outcome = try_stream(model, voice, first.sample, script.sampling, failed, STREAM_FILE if folder else None)
    if folder and outcome.streamed:
        clips.write_wav(folder / STREAM_FILE, outcome.streamed.samples, outcome.streamed.rate_hz)
    return outcome


def _on_further_devices(
    model: Xtts, voice: Voice, script: Script, first: Spoken, devices: Sequence[str], count: int, clock: Stopwatch
) -> list[tuple[Spoken, tuple[Check, ...]]]:
    """Return what each further device says of the first sentence with its seed, and its checks against the first device."""
    if not devices:
        return []
    logits, failing = further.logits_of(model, voice, first.sample), {c.name for c in first.checks if not c.ok}
    token_check, spoken = first.checks[0], list[tuple[Spoken, tuple[Check, ...]]]()
    for number, device in enumerate(devices, count + 1):
        moved = further.to(model, voice, device)
        same = further.logits_check(logits, further.logits_of(model, moved, first.sample), device)
        name = f"sample-{number:02}.wav"
        sample = first.sample
        said = _speak_sample(model, moved, script, sample.text, sample.seed, name, token_check, clock)
        failed = {check.name: check.name in failing for check in said.checks if not check.ok}
        spoken.append((said, (same, further.speech_check(failed, device))))
    further.to(model, voice, str(voice.latents.device))
    return spoken


def _planned_samples(script: Script, job: Job) -> Iterator[tuple[str, int, str]]:
    """Yield (text, seed, file name) of each sample."""
    number = 0
    for text in script.texts:
        for seed in range(job.seed, job.seed + job.seeds):
            number += 1
            yield text, seed, "sample.wav" if number == 1 else f"sample-{number:02}.wav"


def _token_checks(script: Script, model: Xtts, device: str, clock: Stopwatch) -> dict[str, Check]:
    """Prepare the model for speech and return the check of each text's tokens, before the long work."""
    with clock.step("condition", "making the model ready"), synthesis.device_faults(model):
        models.prepare_for_speech(model, device)
    encoded = {text: synthesis.encode(model, text, script.language) for text in script.texts}
    return {text: synthesis.known_check(model, ids) for text, ids in encoded.items()}


def _voice(plan: Plan, script: Script, model: Xtts, device: str, clock: Stopwatch) -> tuple[Voice, Check]:
    """Return the named voice, or the conditioning on the reference clips, and the check of cached generation.

    Raises:
        EnvironmentFault: the check fails, and fails for a tiny random model too.
    """
    with clock.step("condition", "hearing the reference voice"):
        voice = speakers.voice_of(model, script, plan)
        voice = replace(voice, stranger=stranger_similarity(model, voice, script.clips))
        cache = check_cache(model, voice, script.texts[0], script.language)
        if not cache.ok and not selftest.check_tiny_model(device).ok:
            raise environment.fault(
                f"cached generation is off by {cache.measured:.2g} {cache.unit}, here and with random weights"
            )
    return voice, cache


def _speak_sample(
    model: Xtts, voice: Voice, script: Script, text: str, seed: int, name: str, text_check: Check, clock: Stopwatch
) -> Spoken:
    """Synthesize one sentence with one seed and judge it."""
    language = script.language
    steps = synthesis.speaking_steps(model, text, language)
    with clock.step("speak", "speaking", steps, "steps") as progress:
        sample = synthesis.speak(model, voice, text, language, seed, progress, script.sampling)
    with clock.step("judge", "judging the sound"):
        judged = judge_speech(sample.samples, sample.rate_hz, text, language, script.sampling.speed)
        similarity = speaker_similarity(model, voice, sample)
        of_voice = voice_check(similarity, voice.stranger)
    checks = (text_check, *judged, stop_check(sample), *((of_voice,) if of_voice else ()))
    return Spoken(sample=sample, name=name, checks=checks, speaker_similarity=similarity)


def _similarity_of_base(tuned: Plan, script: Script, sample: Sample, device: str, clock: Stopwatch) -> float | None:
    """Return the base model's speaker similarity for the same sentence and seed.

    None without `--base`, or where the base does not load and speak by itself: that is no fault of the checkpoint.
    """
    if tuned.base is None:
        return None
    try:
        with clock.step("base", "letting the base speak"):
            base = load_planned(plan(Job(source=tuned.base.path)))
            with synthesis.device_faults(base):
                models.prepare_for_speech(base, device)
            voice = speakers.voice_of(base, script, tuned)
            base_sample = synthesis.speak(
                base, voice, sample.text, sample.language, sample.seed, lambda _: None, script.sampling
            )
            return speaker_similarity(base, voice, base_sample)
    except ConversionError:
        return None
