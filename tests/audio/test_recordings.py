"""A dataset that lies: which recordings cannot serve as a yardstick, and why."""

import os
import shutil

import numpy as np
import pytest
import soundfile

from verify import resources
from verify.audio.clips import read_clip
from verify.audio.recordings import choose
from verify.errors import SourceError
from verify.source.held_out import held_out_rows

HEAR = resources.ASSETS / "speaking" / "en.flac"


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "data" / "wavs").mkdir(parents=True)
    return tmp_path / "data"


def chosen(dataset, rows, count=1, reference=()):
    """Return what is chosen of a dataset with these rows, the last first."""
    (dataset / "metadata.csv").write_text("\n".join(f"{clip}|{text}" for clip, text in rows))
    return choose(held_out_rows(str(dataset), {}, True, "en"), count, "en", reference)


def write(dataset, name, samples, rate=22050):
    soundfile.write(dataset / "wavs" / f"{name}.wav", samples, rate)


def test_each_recording_that_cannot_serve_is_named_with_its_reason_and_the_next_one_taken(dataset, tmp_path):
    noise = 0.2 * np.random.default_rng(0).standard_normal(22050).astype(np.float32)
    write(dataset, "silence", np.zeros(22050))
    write(dataset, "noise", noise)
    write(dataset, "hours", np.zeros(100), rate=8000)
    with (dataset / "wavs" / "hours.wav").open("r+b") as file:  # a hole in place of the sound of three hours
        file.truncate(44 + 3 * 3600 * 8000 * 2)
        for place, size in ((4, 36 + 3 * 3600 * 16000), (40, 3 * 3600 * 16000)):
            file.seek(place)
            file.write(size.to_bytes(4, "little"))
    (dataset / "wavs" / "text.wav").write_text("no sound")
    shutil.copy(HEAR, dataset / "wavs" / "other.flac")
    shutil.copy(HEAR, dataset / "wavs" / "good.flac")
    soundfile.write(tmp_path / "stranger.wav", noise, 22050)
    os.symlink(tmp_path / "stranger.wav", dataset / "wavs" / "link.wav")
    lies = {
        "../stranger.wav": "lies outside of the dataset's folder",
        str(tmp_path / "stranger.wav"): "lies outside of the dataset's folder",
        "//server/share/a.wav": "lies on another machine",
        "link": "lies outside of the dataset's folder",
        "gone": "gone is not there",
        "silence": "is silent",
        "noise": "noise holds no speech",
        "hours": "is 10,800 s long; 15 s is the most",
        "text": "is not audio",
        "other": "the text of other does not fit",
    }
    texts = [(clip, f"A text that belongs to {'the other' * 20 if clip == 'other' else 'it'}.") for clip in lies]
    rows = [("good", "Can you hear me?"), *((clip, text[:200] + clip) for clip, text in texts)]
    found = chosen(dataset, rows)
    assert [recording.name for recording in found.recordings] == ["good"]
    cause = found.causes[0]
    assert (cause.code, cause.severity) == ("held-out-clips", "warning")
    assert cause.message.startswith("10 of 11 held-out recordings cannot be used: ")
    assert cause.message.endswith("; and 4 more")
    for lie in lies:
        with pytest.raises(SourceError) as error:
            chosen(dataset, [row for row in rows if row[0] == lie])
        assert lies[lie] in error.value.cause.message
        assert error.value.cause.code == "no-held-out"


def test_the_clip_that_the_model_hears_is_no_yardstick(dataset):
    shutil.copy(HEAR, dataset / "wavs" / "a.flac")
    heard = read_clip(HEAR)
    soundfile.write(dataset / "reference.wav", heard.samples, heard.rate_hz, subtype="PCM_16")
    with pytest.raises(SourceError, match="no row has a text"):
        chosen(dataset, [("a", "Can you hear me?")], reference=[read_clip(dataset / "reference.wav")])


def test_of_several_speakers_the_one_of_the_reference_is_taken(dataset):
    for name in ("ann", "ben", "ben2"):
        shutil.copy(HEAR, dataset / "wavs" / f"{name}.flac")
    (dataset / "metadata.csv").write_text(
        "audio_file|text|speaker_name\nwavs/ann.flac|Can you hear me?|ann\nwavs/ben.flac|Can you hear me.|ben\nother.wav|It is Ann here.|ann\n"
    )
    found = held_out_rows(str(dataset), {}, True, "en")
    clip = read_clip(resources.DEFAULT_REFERENCE)
    from dataclasses import replace

    told = choose(found, 1, "en", [replace(clip, path=dataset / "other.wav")])
    assert [recording.name for recording in told.recordings] == ["wavs/ann.flac"]
