"""Judge whether a waveform is speech that a listener would accept: measure first, then hold each figure to its limits."""

import math
from dataclasses import dataclass

import numpy as np

from verify import resources
from verify.audio import clips, signal, vad_mos
from verify.audio.prompts import seconds_range
from verify.checks import Check
from verify.errors import SourceError
from verify.files.location import Location

Rows = list[tuple[str, float, str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What was measured of a clip; levels in dB, silences in seconds, DNSMOS on its scale of 1 to 5."""

    seconds: float
    heard_seconds: float
    level_dbfs: float
    flat_share: float
    leading_seconds: float
    trailing_seconds: float
    inner_seconds: float
    start_db: float
    end_db: float
    low_band_db: float
    high_band_db: float
    pitch_hz: float
    pitch_semitones: float
    voiced_share: float
    repetition: float
    seams_per_second: float
    attack_skew: float
    speech_share: float
    sig: float
    bak: float
    ovrl: float
    p808: float


def judge_speech(samples: np.ndarray, rate_hz: int, text: str | None = None, language: str = "en") -> tuple[Check, ...]:
    """Run every check on mono samples `(samples,)`; with the text also those of its length.

    The first five are those of `audio.judge_sound`; the rest ask whether it is speech.
    """
    wanted = seconds_range(text, language) if text else None
    return (*clips.judge_sound(samples, rate_hz, wanted), *judge_measures(measure(samples, rate_hz), text, language))


def measure(samples: np.ndarray, rate_hz: int) -> Measures:
    """Measure mono samples `(samples,)`, NaN and Inf taken as silence; shorter than 0.1 s is measured as if padded."""
    clean = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
    sound = np.pad(clean, (0, max(0, math.ceil(0.1 * rate_hz) - len(clean))))
    at_16k = vad_mos.at_network_rate(sound, rate_hz)
    rate = vad_mos.RATE_HZ
    levels = signal.frame_levels(at_16k, rate)
    silent = signal.silent_frames(levels)
    lead, trail, inner = signal.silences(silent)
    start, end = signal.edge_levels(levels)
    low, high = signal.band_levels(at_16k, rate)
    pitch_hz, semitones, voiced = signal.pitch(at_16k, rate, silent)
    heard = float(np.sum(~silent)) * signal.FRAME_SECONDS
    said = float(np.sum(vad_mos.speech_probability(at_16k) > 0.5)) * vad_mos.VAD_WINDOW / rate
    return Measures(
        seconds=len(samples) / rate_hz,
        heard_seconds=max(0.0, len(samples) / rate_hz - lead - trail),
        level_dbfs=clips.dbfs(clips.rms(sound - sound.mean(dtype=np.float64))),
        flat_share=signal.flat_share(sound),
        leading_seconds=lead,
        trailing_seconds=trail,
        inner_seconds=inner,
        start_db=start,
        end_db=end,
        low_band_db=low,
        high_band_db=high,
        pitch_hz=pitch_hz,
        pitch_semitones=semitones,
        voiced_share=voiced,
        repetition=signal.repetition(at_16k, silent),
        seams_per_second=signal.seams_per_second(at_16k),
        attack_skew=signal.attack_skew(at_16k),
        speech_share=min(1.0, said / heard) if heard else 0.0,
        **vad_mos.opinion(at_16k),
    )


def judge_measures(found: Measures, text: str | None = None, language: str = "en") -> tuple[Check, ...]:
    """Hold what was measured to the limits of `configs/limits.toml`."""
    limits = resources.load("limits")["speech"]
    checks = []
    for name, measured, unit, hint in (*_shape(found), *_voice(found), *_opinions(found)):
        low, high = limits[name]
        checks.append(clips.check(name, round(measured, 3), low, high, unit, hint))
    return (*checks, *_pace(found, text, language))


def _shape(found: Measures) -> Rows:
    # fmt: off
    return [
        ("level", found.level_dbfs, "dBFS", "Too quiet or too loud to be a voice."),
        ("flat tops", found.flat_share, "share of samples", "Clipped, perhaps turned down afterwards."),
        ("leading silence", found.leading_seconds, "s", "The voice starts late."),
        ("trailing silence", found.trailing_seconds, "s", "Silence after the last word: the stop token came late."),
        ("longest pause", found.inner_seconds, "s", "A hole in the middle of the sentence."),
        ("clean start", found.start_db, "dB of the loud parts", "It starts in the middle of a sound."),
        ("clean end", found.end_db, "dB of the loud parts", "It is cut off in the middle of a sound."),
        ("seams", found.seams_per_second, "a second", "Clicks, gaps, or pieces that do not fit together."),
        ("repetition", found.repetition, "likeness", "The same 0.8 s come again: the GPT is caught in a loop."),
        ("direction", found.attack_skew, "skewness", "Sounds rise slowly and end at once, as in speech played backwards."),
    ]
    # fmt: on


def _voice(found: Measures) -> Rows:
    # fmt: off
    return [
        ("low band", found.low_band_db, "dB below 1 kHz", "Thin: the body of the voice is missing."),
        ("high band", found.high_band_db, "dB above 1.5 kHz", "Muffled: the consonants are missing."),
        ("pitch", found.pitch_hz, "Hz", "No voice has this pitch: a wrong sample rate, a hum, or no voice at all."),
        ("pitch range", found.pitch_semitones, "semitones", "A single tone: a buzz or a hum, no intonation."),
        ("voiced share", found.voiced_share, "of what is heard", "Hardly any of it has a pitch: noise or a whisper."),
        ("speech share", found.speech_share, "of what is heard", "silero-vad hears little or no speech."),
    ]
    # fmt: on


def _opinions(found: Measures) -> Rows:
    # fmt: off
    return [
        ("DNSMOS signal", found.sig, "1 to 5", "The voice is distorted."),
        ("DNSMOS background", found.bak, "1 to 5", "There is noise behind the voice."),
        ("DNSMOS overall", found.ovrl, "1 to 5", "Listeners would rate it bad."),
        ("DNSMOS P.808", found.p808, "1 to 5", "Listeners would rate it bad."),
    ]
    # fmt: on


def _pace(found: Measures, text: str | None, language: str) -> tuple[Check, ...]:
    """Return the check of characters per second of what is heard; a short text or one with digits says too little."""
    limits = resources.load("limits")["pace"]
    if not text or len(text) < limits["fewest_characters"] or any(char.isdigit() for char in text):
        return ()
    sentence = resources.load("sentences")[language]
    low, high = limits["slowest_share"] * sentence["slowest"], limits["fastest_share"] * sentence["fastest"]
    measured = round(len(text) / found.heard_seconds, 1) if found.heard_seconds else 0.0
    hint = "Too slow or too fast for the text: words are missing, drawn out or said again."
    return (clips.check("pace", measured, round(low, 1), round(high, 1), "characters a second", hint),)


def read_to_judge(path: Location) -> clips.Clip:
    """Read a sound file whole, as mono.

    Raises:
        SourceError: it is not there, not audio, holds nothing, or is longer than is judged.
    """
    longest = resources.load("limits")["clip"]["longest_seconds"]
    try:
        clip = clips.read_clip(path, longest_seconds=longest + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SourceError("no-clip", f"{path}: {reason}", "Pass WAV, FLAC, OGG or MP3 files.") from error
    if not len(clip.samples):
        raise SourceError("bad-clip", f"{path} holds no samples", "Record or synthesize it again.")
    if clip.seconds > longest:
        raise SourceError("bad-clip", f"{path} is longer than {longest:g} s", "Cut it into sentences.")
    return clip
