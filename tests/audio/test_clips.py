"""Clips are read as mono, judged by the basic sound checks, and refused where no voice could be taken from them."""

import numpy as np
import pytest
import soundfile

from verify import resources
from verify.audio import checks, clips
from verify.errors import SourceError


def judged(samples, text=None):
    basic = ("finite", "audible", "not clipped", "centred")
    measured = checks.measure(np.asarray(samples, np.float32), 24000, basic)
    return {check.name: check.ok for check in checks.judge_measures(measured, text)}


def tone(level=0.3, seconds=2.0):
    return level * np.sin(2 * np.pi * 220 * np.arange(int(24000 * seconds)) / 24000)


def test_a_healthy_sound_passes_every_basic_check():
    assert all(judged(tone()).values())


@pytest.mark.parametrize(
    ("samples", "failed"),
    [
        (np.full(48000, np.nan), "finite"),
        (np.append(tone(), np.inf), "finite"),
        (tone(0.0005), "audible"),
        (tone(0.0005) + 0.04, "audible"),
        (np.zeros(48000), "audible"),
        (np.clip(tone(3.0), -1, 1), "not clipped"),
        (tone(0.3) + 0.2, "centred"),
        (tone(seconds=0.05), "plausible length"),
    ],
)
def test_each_basic_check_catches_its_fault(samples, failed):
    assert not judged(samples)[failed]


def test_length_is_held_against_the_text():
    text = "a bird in the hand " * 5
    assert judged(tone(seconds=6), text)["plausible length"]
    assert not judged(tone(seconds=2), text)["plausible length"]
    assert not judged(tone(seconds=20), text)["plausible length"]


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"),
    [(8000, 1, "PCM_16"), (44100, 2, "PCM_24"), (48000, 1, "FLOAT"), (22050, 6, "PCM_U8")],
)
def test_e14_clips_of_every_kind_are_read_as_mono(tmp_path, rate, channels, subtype):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (rate * 2, channels))
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype=subtype)
    clip = clips.read_clip(tmp_path / "a.wav")
    clips.require_usable(clip)
    assert (clip.rate_hz, clip.samples.shape, clip.samples.dtype) == (rate, (rate * 2,), np.float32)


def test_e14_a_long_clip_is_cut(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.ones(8000 * 300) * 0.1, 8000)
    assert clips.read_clip(tmp_path / "a.wav").seconds == 30


@pytest.mark.parametrize(
    ("samples", "rate", "says"),
    [
        (np.zeros(44100), 22050, "is silent"),
        (np.ones(4410) * 0.1, 22050, "is 0.20 s long"),
        (np.ones(8000) * 0.1, 4000, "sampled at 4,000 Hz"),
    ],
)
def test_e14_an_unusable_clip_says_what_was_measured(tmp_path, samples, rate, says):
    soundfile.write(tmp_path / "a.wav", samples, rate)
    with pytest.raises(SourceError, match=says):
        clips.require_usable(clips.read_clip(tmp_path / "a.wav"))


def test_e14_what_is_no_audio_is_said(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"not audio at all")
    with pytest.raises(SourceError, match="is not audio"):
        clips.read_clip(tmp_path / "a.wav")


def test_the_reference_that_ships_is_usable_and_free_of_advice():
    clip = clips.read_clip(resources.DEFAULT_REFERENCE)
    clips.require_usable(clip)
    limits = resources.load("limits")["reference"]
    assert clip.seconds >= limits["advised_seconds"]
    assert clip.rate_hz >= limits["advised_rate_hz"]
    assert all(judged(clip.samples).values())
