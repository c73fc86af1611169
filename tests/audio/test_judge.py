"""The judge: real speech passes, each damage is caught by the check that names it, the command answers as it says."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from benchmarks import damage
from tests.support.helpers import ROOT
from verify import resources
from verify.audio import checks, mel, signal, vad_mos
from verify.audio import clips as audio
from verify.cli import main

REFERENCE = resources.DEFAULT_REFERENCE
RATE_HZ = 16000
DAMAGES = {(item.kind, item.strength): item for item in damage.damages()}


@pytest.fixture(scope="module")
def speech():
    samples, rate_hz = soundfile.read(REFERENCE, dtype="float32")
    assert rate_hz == RATE_HZ
    return samples


def failed(samples, rate_hz=RATE_HZ, **said):
    return {
        check.name for check in checks.judge_speech(np.asarray(samples, np.float32), rate_hz, **said) if not check.ok
    }


def harmed(speech, kind, strength):
    """Return the clip with that damage; the babble is made of the clip itself, backwards and from its middle."""
    others = (speech[::-1].astype(np.float64), np.roll(speech, len(speech) // 2).astype(np.float64))
    material = damage.Material(samples=speech.astype(np.float64), others=others, draw=np.random.default_rng(1))
    return DAMAGES[kind, strength].apply(material)


# --- speech passes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [16000, 24000, 44100])
def test_real_speech_passes_at_any_rate(speech, rate_hz):
    import soxr

    assert failed(soxr.resample(speech, RATE_HZ, rate_hz), rate_hz) == set()


@pytest.mark.parametrize(
    ("kind", "strength"),
    [
        ("quiet", "-15 dB"),
        ("played at another speed", "x 1.15"),
        ("silence around", "1 s after"),
        ("DC offset", "0.01 of full scale"),
        ("clipped", "0.05%"),
    ],
)
def test_mild_harm_is_let_pass(speech, kind, strength):
    assert failed(harmed(speech, kind, strength)) == set()


# --- each check catches what it is there for ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "strength", "check"),
    [
        ("white noise", "5 dB SNR", "DNSMOS background"),
        ("babble", "-5 dB SNR", "DNSMOS overall"),
        ("tone of 1 kHz", "0 dB SNR", "DNSMOS signal"),
        ("no speech at all", "white noise", "speech share"),
        ("no speech at all", "white noise", "voiced share"),
        ("no speech at all", "white noise", "DNSMOS P.808"),
        ("no speech at all", "buzz", "pitch range"),
        ("no speech at all", "silence", "audible"),
        ("reversed", "whole", "direction"),
        ("shuffled", "50 ms pieces", "seams"),
        ("shuffled", "100 ms pieces", "PLCMOS"),
        ("stutter", "each 50 ms twice", "echo"),
        ("coarse steps", "4 bits", "resolution"),
        ("white noise", "0 dB SNR", "noise floor"),
        ("clicks", "3 a second", "seams"),
        ("dropouts of 30 ms", "10%", "gaps"),
        ("clipped", "10.00%", "not clipped"),
        ("clipped, then turned down", "10%", "flat tops"),
        ("quiet", "-45 dB", "level"),
        ("played at another speed", "x 2.0", "pitch"),
        ("looped", "1 s, 2 times", "repetition"),
        ("looped", "0.25 s, 8 times", "repetition"),
        ("cut off in a sound", "50% at the end", "clean end"),
        ("cut off in a sound", "50% at the start", "clean start"),
        ("silence inside", "1.5 s", "longest pause"),
        ("silence around", "3 s before", "leading silence"),
        ("silence around", "4 s after", "trailing silence"),
        ("DC offset", "0.1 of full scale", "centred"),
        ("band-limited", "below 1 kHz", "high band"),
        ("band-limited", "above 3 kHz", "low band"),
    ],
)
def test_each_check_catches_its_damage(monkeypatch, speech, kind, strength, check):
    if not check.startswith("DNSMOS"):  # half a second each, for what is not asked
        monkeypatch.setattr(vad_mos, "opinion", lambda _: dict.fromkeys(("sig", "bak", "ovrl", "p808"), 3.5))
    assert check in failed(harmed(speech[: 3 * RATE_HZ], kind, strength))


def test_length_and_pace_are_held_against_the_text(monkeypatch, speech):
    monkeypatch.setattr(vad_mos, "opinion", lambda _: dict.fromkeys(("sig", "bak", "ovrl", "p808"), 3.5))
    measured = checks.measure(speech, RATE_HZ)

    def failed(text):
        return {check.name for check in checks.judge_measures(measured, text) if not check.ok}

    seconds = len(speech) / RATE_HZ
    fitting = "a bird in the hand is worth " * round(seconds * 14 / 28)
    assert failed(fitting) == set()
    assert failed(fitting * 4) == {"plausible length", "pace"}
    assert failed("a bird in the hand is worth two") == {"pace"}
    assert failed("in 1984 there were 12 birds in hand") == set()  # read out, digits are many more letters


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(100), np.full(4000, np.nan), np.ones(30)])
def test_what_is_hardly_a_sound_is_judged_and_fails(samples):
    assert "speech share" in failed(samples)


def test_every_row_is_a_check_with_a_limit(speech):
    names = {check.name for check in checks.judge_speech(speech[:RATE_HZ], RATE_HZ)}
    assert names == {*resources.load("sound")["checks"], "plausible length"}
    assert all(row.low > -np.inf or row.high < np.inf for row in checks.rows())


def test_every_figure_that_is_judged_can_fail(speech):
    """A limit that nothing can cross would be an ornament."""
    found = checks.measure(speech, RATE_HZ)
    for row in checks.rows():
        worst = [{**found, row.measure: value} for value in (-1000.0, 1000.0)]
        failed_checks = {check.name for item in worst for check in checks.judge_measures(item) if not check.ok}
        assert row.name in failed_checks
    assert all(check.ok for check in checks.judge_measures(found)), found


# --- measures -----------------------------------------------------------------------------------------------------


def test_silences_are_measured_where_they_are():
    sound = 0.3 * np.random.default_rng(0).standard_normal(RATE_HZ)
    clip = np.concatenate([np.zeros(8000), sound, np.zeros(4000), sound, np.zeros(1600)])
    silent = signal.silent_frames(signal.frame_levels(clip, RATE_HZ))
    assert signal.silences(silent) == pytest.approx((0.5, 0.1, 0.25), abs=0.011)


def test_pauses_make_a_voice_no_quieter_and_silence_keeps_its_level():
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)
    paused = np.concatenate([tone, np.zeros(5 * RATE_HZ)])
    assert signal.voice_level(tone, RATE_HZ) == pytest.approx(-9.03, abs=0.01)
    assert signal.voice_level(paused, RATE_HZ) == pytest.approx(-9.03, abs=0.01)
    gains = signal.matching_gains(
        [(paused, RATE_HZ), (tone / 10, RATE_HZ), (np.zeros(0), RATE_HZ), (np.zeros(99), RATE_HZ)]
    )
    assert gains[1] == pytest.approx(10 * gains[0])
    assert gains[2:] == [1.0, 1.0]


@pytest.mark.parametrize("hz", [80, 120, 210, 350])
def test_pitch_is_that_of_the_pulses(hz):
    time = np.arange(2 * RATE_HZ) / RATE_HZ
    pulses = np.sum([np.cos(2 * np.pi * hz * n * time) / n for n in range(1, 9)], axis=0) * 0.1
    median, semitones, voiced = signal.pitch(pulses, RATE_HZ, np.zeros(200, bool))
    assert median == pytest.approx(hz, rel=0.03)
    assert semitones < 0.5
    assert voiced > 0.95


def test_the_hum_of_the_mains_is_no_voice():
    time = np.arange(2 * RATE_HZ) / RATE_HZ
    voice = np.sum([np.cos(2 * np.pi * 180 * n * time) / n for n in range(1, 9)], axis=0) * 0.1
    hum = 0.3 * np.cos(2 * np.pi * 60 * time)
    assert signal.pitch(voice + hum, RATE_HZ, np.zeros(200, bool))[0] == pytest.approx(180, rel=0.03)


def test_backwards_speech_has_the_opposite_direction(speech):
    assert signal.attack_skew(speech) > 0.3
    assert signal.attack_skew(speech[::-1]) == pytest.approx(-signal.attack_skew(speech), abs=0.2)


def test_the_mel_spectra_are_those_of_librosa(speech):
    librosa = pytest.importorskip("librosa")
    theirs = librosa.feature.mfcc(y=speech, sr=RATE_HZ, n_mfcc=20, n_fft=512, hop_length=160, n_mels=40).T
    np.testing.assert_allclose(mel.cepstra(speech), theirs, atol=0.01)
    power = librosa.feature.melspectrogram(y=speech, sr=RATE_HZ, n_fft=321, hop_length=160, n_mels=120).T
    np.testing.assert_allclose(mel.mel_power(speech, 321, 160, 120), power, rtol=1e-2, atol=1e-4)


def test_the_opinion_is_that_of_speechmos(speech):
    dnsmos = pytest.importorskip("speechmos.dnsmos")
    piece = np.resize(speech, vad_mos.MOS_SAMPLES)
    theirs = dnsmos.run(piece, RATE_HZ)
    assert vad_mos.opinion(speech) == pytest.approx(
        {name: float(theirs[f"{name}_mos"]) for name in ("sig", "bak", "ovrl", "p808")}, abs=1e-3
    )


def test_the_rating_of_lost_packets_is_that_of_speechmos(speech):
    plcmos = pytest.importorskip("speechmos.plcmos")
    piece = speech[: 2 * RATE_HZ]
    assert vad_mos.concealment(piece) == pytest.approx(plcmos.run(piece, RATE_HZ)["plcmos"], abs=0.15)


def test_the_speech_probability_is_that_of_silero_vad(speech):
    torch = pytest.importorskip("torch")
    silero_vad = pytest.importorskip("silero_vad")
    clip = speech[: 50 * vad_mos.VAD_WINDOW]
    theirs = silero_vad.load_silero_vad(onnx=True).audio_forward(torch.from_numpy(clip), RATE_HZ)[0].numpy()
    np.testing.assert_allclose(vad_mos.speech_probability(clip), theirs, atol=1e-5)


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clips(tmp_path_factory, speech):
    folder = tmp_path_factory.mktemp("clips")
    audio.write_wav(folder / "good.wav", speech[: 3 * RATE_HZ], RATE_HZ)
    audio.write_wav(folder / "noise.wav", 0.1 * np.random.default_rng(0).standard_normal(2 * RATE_HZ), RATE_HZ)
    (folder / "text.wav").write_text("not audio")
    soundfile.write(folder / "empty.wav", np.zeros(0), RATE_HZ)
    return folder


def run(capsys, *words):
    code = main.main(["judge", *map(str, words)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_one_clip_of_speech_passes(capsys, clips):
    code, out, err = run(capsys, REFERENCE)
    assert (code, out) == (0, "")
    assert "DNSMOS overall" not in err  # of the checks only what failed
    assert re.fullmatch(r"verdict: pass, all \d+ checks pass", err.strip())
    assert "DNSMOS overall" in run(capsys, REFERENCE, "--details")[2]


def test_a_clip_that_fails_shows_its_cause_and_only_the_checks_that_failed(capsys, clips):
    code, _, err = run(capsys, clips / "noise.wav")
    assert code == 1
    assert "noise.wav: heard: " in err
    assert "speech share" in err
    assert "finite" not in err
    assert "finite" in run(capsys, clips / "noise.wav", "--details")[2]


def test_json_is_one_document(capsys, clips):
    code, out, _ = run(capsys, REFERENCE, clips / "noise.wav", "--json")
    document = json.loads(out)
    assert (code, document["schema"], document["verdict"]) == (1, 1, "fail")
    assert [clip["verdict"] for clip in document["clips"]] == ["pass", "fail"]
    assert document["clips"][1]["seconds"] == 2
    share = next(check for check in document["clips"][1]["checks"] if check["name"] == "speech share")
    assert (share["ok"], share["measured"], share["limit"], share["demanded"]) == (False, 0, ">= 0.3", True)


def test_noise_is_sound_where_no_more_is_expected(capsys, clips):
    code, _, err = run(capsys, clips / "noise.wav", "--expect", "sound")
    assert code == 0
    assert "not demanded by --expect sound" in err


def test_quiet_says_only_what_is_wrong(capsys, clips):
    assert run(capsys, REFERENCE, "--quiet") == (0, "", "")
    code, out, err = run(capsys, clips / "noise.wav", "--quiet")
    assert (code, out) == (1, "")
    assert "noise.wav: speech share 0 (>= 0.3 of what is heard): silero-vad hears little or no speech." in err
    assert "≥" not in err


def test_a_file_that_cannot_be_read_is_exit_2_and_the_others_are_judged(capsys, clips):
    names = ("text.wav", "empty.wav", "gone.wav")
    code, out, err = run(capsys, *(clips / name for name in names), REFERENCE, clips, "--json")
    document = json.loads(out)
    assert (code, document["verdict"]) == (2, "error")
    assert [clip["verdict"] for clip in document["clips"]] == ["error", "error", "error", "pass", "error"]
    assert len(document["causes"]) == 4
    assert all(name in err for name in names)


def test_many_clips_get_a_line_each(capsys, clips, monkeypatch):
    monkeypatch.setattr(vad_mos, "opinion", lambda _: dict.fromkeys(("sig", "bak", "ovrl", "p808"), 1.5))
    monkeypatch.setenv("COLUMNS", "200")
    code, _, err = run(capsys, *[clips / "noise.wav"] * 5)
    assert code == 1
    assert err.count("0 of 5 clips pass") == 1
    assert sum("noise.wav" in line and "✗" in line for line in err.splitlines()) == 5


def test_a_clip_that_is_too_long_is_refused(capsys, tmp_path):
    soundfile.write(tmp_path / "long.wav", np.zeros(8000 * 301), 8000)
    code, _, err = run(capsys, tmp_path / "long.wav")
    assert code == 2
    assert "is longer than 300 s" in err


@pytest.mark.parametrize(
    ("words", "says"), [(["--language", "xx"], "is none of XTTS"), (["--text", "..."], "nothing to say")]
)
def test_a_text_that_cannot_be_used_is_refused(capsys, words, says):
    code, _, err = run(capsys, REFERENCE, *words)
    assert code == 2
    assert says in err


def test_judging_leaves_torch_alone():
    code = f"import sys\nfrom verify.cli import main as cli\ncli.main(['judge', {str(REFERENCE)!r}])\nprint(sorted({{'torch', 'TTS', 'librosa', 'numba'}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


# --- speaker similarity -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("noise_is", "found"), [(0.2, 0.8), (0.99, None)])
def test_similarity_is_told_only_by_an_encoder_that_knows_a_voice_from_noise(monkeypatch, noise_is, found):
    from types import SimpleNamespace

    from verify.coqui import checks as similarity

    sample = SimpleNamespace(seconds=2.0, samples=np.zeros(48000, np.float32), rate_hz=24000)
    monkeypatch.setattr(similarity, "_likeness", lambda _, __, samples, ___: noise_is if samples.any() else 0.8)
    assert similarity.speaker_similarity(None, None, sample) == found


@pytest.mark.parametrize(("strangers_are", "found"), [(0.3, 0.3), (0.9, None)])
def test_a_stranger_is_a_yardstick_only_where_the_encoder_tells_voices_apart(monkeypatch, strangers_are, found):
    """The halves of the reference are one voice; an untrained encoder finds the project's own clips as like it."""
    import math
    from types import SimpleNamespace

    import torch

    from verify.coqui import checks as similarity

    def embedded(_, sound, __):
        own = sound.shape[1] == 2 * 22050  # half of the reference below
        return torch.tensor([1.0, 0.0] if own else [strangers_are, math.sqrt(1 - strangers_are**2)])

    monkeypatch.setattr(similarity, "embedding", embedded)
    reference = audio.Clip(samples=np.zeros(4 * RATE_HZ, np.float32), rate_hz=RATE_HZ, path=REFERENCE)
    voice = SimpleNamespace(embedding=torch.tensor([1.0, 0.0]))
    stranger = similarity.stranger_similarity(None, voice, [reference])
    assert stranger == (found if found is None else pytest.approx(found))
    if found:
        assert [similarity.voice_check(alike, stranger).ok for alike in (0.6, 0.2)] == [True, False]
    assert similarity.voice_check(0.6, None) is similarity.voice_check(None, 0.3) is None
