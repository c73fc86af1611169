"""Judge whether a waveform is acceptable speech: measure it, then compare each measurement with its limits.

A check is a row of configs/sound.toml; its measurement is a property of `Waveform`.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from verify import resources
from verify.audio import clips
from verify.audio.languages import has_figures, seconds_range
from verify.audio.measures import SHORTEST_SECONDS, Waveform
from verify.audio.words import word_checks
from verify.checks import Check, within
from verify.errors import SourceError
from verify.files.location import Location

# Measurements for the checks against the text, which are not in the table.
LENGTH, AUDIBLE = "seconds", "audible_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A sound check as declared in configs/sound.toml."""

    name: str
    measure: str
    unit: str
    hint: str
    low: float = -math.inf
    high: float = math.inf
    digits: int = 3
    basic: bool = False


@cache
def rows() -> tuple[Row, ...]:
    """Return the checks that need no text, in the order in which they are shown."""
    return tuple(Row(name=name, **row) for name, row in resources.load("sound")["checks"].items())


def judge_speech(
    samples: np.ndarray, rate_hz: int, text: str | None = None, language: str = "en", speed: float = 1.0
) -> tuple[Check, ...]:
    """Run every check on mono samples `(samples,)`; given the text, also compare duration and words with it.

    Args:
        speed: how many times as fast as usual it was to be spoken.
    """
    measures = measure(samples, rate_hz)
    of_words = word_checks(samples, rate_hz, text, language)
    return (*judge_measures(measures, text, language, speed), *of_words)


def measure(samples: np.ndarray, rate_hz: int, names: Collection[str] | None = None) -> dict[str, float]:
    """Return the measurements of mono samples `(samples,)` that the checks need, by name.

    Args:
        names: the checks to measure for; None means all.
    """
    waveform = Waveform(samples, rate_hz)
    wanted = [row.measure for row in rows() if names is None or row.name in names]
    return {name: getattr(waveform, name) for name in (LENGTH, AUDIBLE, *wanted)}


def judge_measures(
    measures: Mapping[str, float], text: str | None = None, language: str = "en", speed: float = 1.0
) -> tuple[Check, ...]:
    """Compare the measurements with their limits."""
    checks = [
        within(
            row.name, round(measures[row.measure], row.digits), row.low, row.high, row.unit, row.hint, basic=row.basic
        )
        for row in rows()
        if row.measure in measures
    ]
    return (*checks, _length(measures, text, language, speed), *_pace(measures, text, language, speed))


def _length(measures: Mapping[str, float], text: str | None, language: str, speed: float) -> Check:
    limits = seconds_range(text, language, speed) if text else None
    low, high = limits or (SHORTEST_SECONDS, math.inf)
    hint = "Too short or too long for the text: it stops early, stutters or never stops."
    check = within("plausible length", round(measures[LENGTH], 2), round(low, 2), round(high, 2), "s", hint, basic=True)
    return replace(check, note=_not_judged(language)) if text and limits is None else check


def _not_judged(language: str) -> str:
    return f"not judged against the text: there are no figures for {language!r}"


def _pace(measures: Mapping[str, float], text: str | None, language: str, speed: float) -> tuple[Check, ...]:
    """Return the check of characters per audible second; none for a short text or one with digits, where the pace says little."""
    limits = resources.load("limits")["pace"]
    if not text or len(text) < limits["fewest_characters"] or any(char.isdigit() for char in text):
        return ()
    measured = round(len(text) / measures[AUDIBLE], 1) if measures[AUDIBLE] else 0.0
    if not has_figures(language):
        check = within("pace", measured, -math.inf, math.inf, "characters a second")
        return (replace(check, note=_not_judged(language)),)
    sentence = resources.load("sentences")[language]
    low = limits["slowest_share"] * sentence["slowest"] * speed
    high = limits["fastest_share"] * sentence["fastest"] * speed
    hint = "Too slow or too fast for the text: words are missing, drawn out or said again."
    return (within("pace", measured, round(low, 1), round(high, 1), "characters a second", hint),)


def stop_check(sample: clips.Sample) -> Check:
    """Return the check that the model ended the sentence by itself, within the token bound of the text."""
    return Check(
        name="stop token",
        ok=sample.stopped,
        measured=sample.tokens,
        high=sample.token_bound,
        exclusive=True,
        unit="tokens",
        hint="The GPT never ended the sentence: barely trained, or damaged. --expect sound asks for no more than sound.",
    )


def read_to_judge(path: Location) -> clips.Clip:
    """Read a whole sound file as mono.

    Raises:
        SourceError: the file is missing, is not audio, is empty, or is too long to judge.
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
