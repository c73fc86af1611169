"""Small files that ask for much end soon and cost little: the promise of docs/security.md, measured in processes of their own."""

import re
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support import bombs, fuzz, seeds
from verify.audio import clips
from verify.checkpoint.budget import LIMITS, Budget
from verify.errors import ArchiveError, SourceError

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Every bomb and every sound below, read by one program of its own: its starts would cost more than all of them."""
    folder = tmp_path_factory.mktemp("bombs")
    commands = {}
    for number, (name, make) in enumerate(bombs.FILES.items()):
        run = seeds.run_folder(folder / f"run{number}", **make())
        commands[name] = [str(run), "--no-verify", "-o", str(folder / f"out{number}")]  # reads as inspect does
    for number, (name, (make, _)) in enumerate(SOUNDS.items()):
        commands[name] = ["judge", str(make(folder / f"{number}.wav"))]
    return {name: (commands[name], *done) for name, done in fuzz.measure_apart(commands, folder).items()}


def require_bounded(done: fuzz.Done, peak_bytes: int) -> None:
    assert not done.escaped
    assert "[internal]" not in done.err
    assert done.seconds < fuzz.MAX_SECONDS
    assert 10e6 < peak_bytes < fuzz.MAX_PEAK_BYTES
    assert len(done.err) < fuzz.MAX_PRINTED_CHARACTERS


@LINUX
@pytest.mark.parametrize("name", bombs.FILES)
def test_a_bomb_takes_under_five_seconds_and_300_mb_and_floods_no_terminal(measured, name):
    command, done, peak_bytes = measured[name]
    require_bounded(done, peak_bytes)
    assert done.code in (0, 1, 2)
    assert Path(command[-1]).exists() == (done.code < 2)


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_is_refused_by_the_name_of_what_was_too_much(name):
    limit, budget = LIMITS[name], Budget()
    budget.spend(name, limit.most)
    with pytest.raises(ArchiveError) as caught:
        budget.spend(name)
    assert caught.value.cause.code == limit.code
    assert f"more than {limit.most:,} {limit.what}" in caught.value.cause.message


def test_a_genuine_checkpoint_has_a_tenth_of_each_limit_at_most():
    assert [name for name, limit in LIMITS.items() if 10 * limit.genuine > limit.most] == []


# --- sounds -------------------------------------------------------------------------------------------------------


def wav(
    path: Path, rate_hz: int = 24_000, channels: int = 1, samples: bytes = bytes(200_000), floats: bool = False
) -> Path:
    """Write a WAV by hand, with whatever its head is to claim."""
    width = 4 if floats else 2
    form = struct.pack("<HHIIHH", 3 if floats else 1, channels, rate_hz, 0, channels * width, 8 * width)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(samples)) + samples
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


LOUD = struct.pack("<f", 3e38) * 50_000
SOUNDS = {
    "10^9 samples a second": (lambda path: wav(path, 10**9), "claims 1,000,000,000 samples a second"),
    "2^31-1 samples a second": (lambda path: wav(path, 2**31 - 1), "claims 2,147,483,647 samples a second"),
    "255 channels": (lambda path: wav(path, channels=255), "claims 255 channels"),
    "floats of 3e38": (lambda path: wav(path, samples=LOUD, floats=True), "has samples of up to 3e+38"),
    "floats of 3e38 in two channels": (lambda path: wav(path, 24_000, 2, LOUD, True), "has samples of up to 3e+38"),
}


@LINUX
@pytest.mark.parametrize("name", SOUNDS)
def test_a_sound_that_claims_too_much_is_refused_before_anything_is_made_of_it(measured, name):
    command, done, peak_bytes = measured[name]
    require_bounded(done, peak_bytes)
    with pytest.raises(SourceError, match=re.escape(SOUNDS[name][1])) as caught:
        clips.require_usable(clips.read_clip(Path(command[1])))
    assert caught.value.cause.code == "bad-clip"


def peak_of_reading(path: Path) -> int:
    """Return the bytes of NumPy's arrays, at most, while half a minute of a clip is read."""
    tracemalloc.start()
    assert clips.read_clip(path).seconds == 30
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak_bytes


def test_of_an_hour_of_flac_only_the_first_half_minute_is_read(tmp_path):
    with soundfile.SoundFile(tmp_path / "hour.flac", "w", 24_000, 1) as file:
        for _ in range(60):
            file.write(np.zeros(24_000 * 60, np.int16))
    assert peak_of_reading(tmp_path / "hour.flac") < 3 * 4 * 24_000 * 30


def test_of_an_hour_of_mp3_only_the_first_half_minute_is_read(tmp_path):
    """MP3 is a row of frames, so that a minute 60 times over is an hour; the first frame, which states the length, is left out."""
    soundfile.write(tmp_path / "minute.mp3", np.zeros(24_000 * 60, np.float32), 24_000)
    minute = (tmp_path / "minute.mp3").read_bytes()
    (tmp_path / "hour.mp3").write_bytes(minute[minute.index(minute[:2], 4) :] * 60)
    assert soundfile.info(tmp_path / "hour.mp3").duration > 1800
    assert peak_of_reading(tmp_path / "hour.mp3") < 3 * 4 * 24_000 * 30


def test_the_widest_clip_that_is_read_takes_no_more_memory_than_its_one_channel(tmp_path):
    """Half a minute of 8 channels at 192,000 Hz has 184 MB as floats; it is read block by block."""
    with soundfile.SoundFile(tmp_path / "wide.flac", "w", 192_000, 8) as file:
        for _ in range(31):
            file.write(np.zeros((192_000, 8), np.int16))
    assert peak_of_reading(tmp_path / "wide.flac") < 3 * 4 * 192_000 * 30
