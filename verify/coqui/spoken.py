"""A sentence that was spoken: what is measured of it before and after it is held against the speaker's recordings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from TTS.tts.models.xtts import Xtts

from verify.audio import clips, transcription, whisper
from verify.audio.clips import Sample
from verify.audio.prompts import Script
from verify.checks import Check
from verify.coqui.held_out import Yardstick, yardstick
from verify.coqui.synthesis import Voice
from verify.findings import HeldOutResult, SampleResult, WordErrors
from verify.progress import Stopwatch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spoken:
    """One sentence spoken with one seed: the sample, the name of its file, its checks, and further measurements."""

    sample: Sample
    name: str
    checks: tuple[Check, ...]
    speaker_similarity: float | None
    transcript: str | None = None
    character_error_rate: float | None = None
    word_errors: WordErrors | None = None
    heard_by: str | None = None  # the name of the Whisper
    held_out_similarity: float | None = None  # to the speaker's recordings of other sentences


def measured(
    model: Xtts, voice: Voice, script: Script, samples: list[Spoken], clock: Stopwatch
) -> tuple[Yardstick | None, list[Spoken]]:
    """Return the recordings to hold the samples against, where they are asked for, and the samples with how like them they are."""
    if script.held_out is None:
        return None, samples
    with clock.step("judge", "hearing the recordings"):
        stick = yardstick(model, voice, script.held_out)
        return stick, [replace(item, held_out_similarity=stick.similarity(model, item.sample)) for item in samples]


def heard(
    stick: Yardstick | None, samples: list[Spoken], script: Script, clock: Stopwatch
) -> tuple[Yardstick | None, list[Spoken]]:
    """Return the samples, and the recordings, with what a Whisper wrote down: the one that was asked for, or one at hand.

    One at hand may not cost more than the speech did.

    Raises:
        SourceError: the one that was asked for cannot be loaded.
    """
    recordings = [recording.clip for recording in script.held_out.recordings] if script.held_out else []
    sounds = [(spoken.sample.samples, spoken.sample.rate_hz) for spoken in samples]
    sounds += [(clip.samples, clip.rate_hz) for clip in recordings]
    spent = sum(spoken.sample.synthesis_seconds for spoken in samples)
    used = script.whisper or whisper.affordable(script.at_hand, len(sounds), spent)
    if used is None:
        return stick, samples
    with clock.step("hear", "writing down what was said"):
        if script.whisper:
            transcripts = whisper.hear(used, sounds, script.language)
        else:
            transcripts = whisper.hear_unasked(used, sounds, script.language, spent)
    if not transcripts:
        return stick, samples
    unasked = script.whisper is None
    told = [_told(spoken, text, used.name, unasked) for spoken, text in zip(samples, transcripts, strict=False)]
    return stick.transcribed(transcripts[len(samples) :], script.language, unasked) if stick else None, told


def _told(spoken: Spoken, transcript: str, heard_by: str, unasked: bool) -> Spoken:
    """Return a sample with its transcript, held against its text."""
    found, check = transcription.against(spoken.sample.text, transcript, spoken.sample.language, unasked)
    return replace(spoken, checks=(*spoken.checks, check), heard_by=heard_by, **found)


def held(
    stick: Yardstick | None, samples: list[Spoken], count: int, script: Script, is_written: bool
) -> tuple[list[Spoken], HeldOutResult | None]:
    """Return the samples with the checks of their gaps to the recordings, and the part of the report; `count` are of the first device."""
    if stick is None:
        return samples, None
    held_samples, pairs = [], []
    for item in samples:
        checks, pair = stick.hold(
            item.sample.text, item.checks, item.word_errors, item.held_out_similarity, script.sampling.speed
        )
        held_samples.append(replace(item, checks=checks))
        pairs.append(pair)
    return held_samples, stick.result(pairs[:count], is_written)


def write_clips(folder: Path, samples: Sequence[Spoken], script: Script, stick: Yardstick | None) -> None:
    """Write the samples, the reference, and copies of the recordings."""
    for spoken in samples:
        clips.write_wav(folder / spoken.name, spoken.sample.samples, spoken.sample.rate_hz)
    for clip in script.clips[:1]:
        clips.write_wav(folder / "reference.wav", clip.samples, clip.rate_hz)
    if stick:
        stick.write(folder)


def sample_result(
    spoken: Spoken, script: Script, base_similarity: float | None, is_written: bool, stick: Yardstick | None
) -> SampleResult:
    """Return the part of a sample that the report keeps, without the audio."""
    sample = spoken.sample
    place = stick.place(sample.text) if stick else None
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
        path=spoken.name if is_written else None,
        reference=script.reference,
        speaker_similarity_of_base=base_similarity,
        speaker_similarity=spoken.speaker_similarity,
        transcript=spoken.transcript,
        character_error_rate=spoken.character_error_rate,
        word_errors=spoken.word_errors,
        heard_by=spoken.heard_by,
        recording=None if place is None else place + 1,
        held_out_similarity=spoken.held_out_similarity,
        checks=spoken.checks,
        codes=sample.codes,
        sampling=script.sampling.to_json(),
    )
