"""Bundles for the programs that run XTTS: each finds what its published code looks for, and is told what is missing."""

import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.helpers import run_cli
from verify import Job, convert, resources
from verify.profiles import profile as profiles

NAMES = ("alltalk", "audio-cpp", "auralis", "coqui", "ebook2audiobook", "finetune-webui", "pandrator", "realtimetts")


@pytest.fixture(scope="module")
def made(genuine_run, tmp_path_factory):
    """`made(name)`: (folder, report) of the main job with that profile; where a voice is made, the model has loaded."""
    done = {}

    def make(name):
        if name not in done:
            folder = tmp_path_factory.mktemp(name) / f"my-{name}"
            source = (
                make("alltalk")[0] if name in ("pandrator", "realtimetts") else genuine_run
            )  # it has a voice by then
            listens = name in ("alltalk", "finetune-webui")
            done[name] = (
                folder,
                convert(Job(source=source, output=folder, sample=False, verify=listens, profile=name)),
            )
        return done[name]

    return make


def test_every_clip_is_read_once_whatever_it_serves_for(genuine_run, tmp_path, monkeypatch):
    """The reference is spoken in, written beside the model and made a named voice: three uses of one file."""
    from collections import Counter

    from verify.audio import clips
    from verify.commands.convert import dry_run

    reads, read_clip = Counter(), clips.read_clip

    def counted(path, *arguments):
        reads[path] += 1
        return read_clip(path, *arguments)

    monkeypatch.setattr(clips, "read_clip", counted)
    job = Job(source=genuine_run, output=tmp_path / "out", profile="finetune-webui", sample=True)
    dry_run(job)
    assert set(reads.values()) == {1}


@pytest.mark.parametrize("name", NAMES)
def test_each_program_finds_what_it_looks_for(made, name):
    folder, report = made(name)
    assert report.verdict == ("warn" if report.load is None else "pass"), report.causes
    assert report.profile.ok
    assert profiles.check(profiles.read(name), folder, report.ledger.written) == ()
    listed = {item.name for item in report.files}
    assert listed == {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {
        "report.json"
    }
    for item in report.files:
        assert hashlib.sha256((folder / item.name).read_bytes()).hexdigest() == item.sha256


def test_the_profiles_are_all_listed(capsys):
    code, out, err = run_cli(capsys, "profiles", "--json")
    assert code == 0
    listed = json.loads(out)["profiles"]
    assert tuple(profile["name"] for profile in listed) == NAMES == profiles.names()
    assert all(profile["title"] in err for profile in listed if " " not in profile["title"])


# --- what the programs' published code asks for, restated from the sources that configs/profiles names ------------------


def test_alltalk_lists_the_folder(made):
    folder, _ = made("alltalk")
    needed = ["config.json", "model.pth", "mel_stats.pth", "speakers_xtts.pth", "vocab.json", "dvae.pth"]
    assert all((folder / name).exists() for name in needed)


def test_dvae_and_mel_stats_are_those_that_the_run_was_trained_with(made, genuine_run):
    """They are taken out of the checkpoint, and training may start from them again."""
    import torch
    from TTS.tts.layers.xtts.dvae import DiscreteVAE

    folder, _ = made("alltalk")
    trained = genuine_run.parent.parent
    ours, theirs = (torch.load(place / "dvae.pth", weights_only=True) for place in (folder, trained))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    ours, theirs = (torch.load(place / "mel_stats.pth", weights_only=True) for place in (folder, trained))
    assert torch.equal(ours, theirs)
    dvae = DiscreteVAE(
        channels=80, normalization=None, positional_dims=1, num_tokens=1024, codebook_dim=512, hidden_dim=512,
        num_resnet_blocks=3, kernel_size=3, num_layers=2, use_transposed_convs=False,
    )  # fmt: skip
    assert dvae.load_state_dict(torch.load(folder / "dvae.pth", weights_only=True), strict=False).unexpected_keys == []


def test_audio_cpp_finds_a_licence_and_names_without_the_trainers_prefix(made, tmp_path):
    """Its converter takes the names below gpt. and hifigan_decoder. alone; a licence beside the checkpoint is handed on as it is."""
    import torch

    folder, _ = made("audio-cpp")
    state = torch.load(folder / "model.pth", weights_only=True)["model"]
    assert {name.split(".")[0] for name in state} == {"gpt", "hifigan_decoder", "mel_stats"}
    assert "Coqui Public Model License" in (folder / "LICENSE.txt").read_text()
    (folder / "LICENSE.txt").write_text("mine")
    convert(Job(source=folder, output=tmp_path / "again", verify=False, profile="audio-cpp"))
    assert (tmp_path / "again" / "LICENSE.txt").read_text() == "mine"


def test_ebook2audiobook_takes_the_zip(made):
    folder, _ = made("ebook2audiobook")
    required = ["config.json", "model.pth", "vocab.json", "ref.wav"]
    with zipfile.ZipFile(folder / "my-ebook2audiobook.zip") as bundle:
        held = {info.filename.rpartition("/")[2]: info.file_size for info in bundle.infolist() if not info.is_dir()}
        assert [name for name in required if not held.get(name)] == []
        assert bundle.testzip() is None
        assert {info.compress_type for info in bundle.infolist()} == {zipfile.ZIP_STORED}
        assert bundle.read("model.pth") == (folder / "model.pth").read_bytes()
        assert bundle.read("ref.wav") == (folder / "reference.wav").read_bytes()


def test_the_zip_is_the_same_each_time(made, tmp_path):
    from verify.profiles.bundle import write_zip

    folder, report = made("ebook2audiobook")
    files = {"model.pth": folder / "model.pth", "ref.wav": folder / "reference.wav"}
    for name in ("config.json", "vocab.json"):
        shutil.copy(folder / name, tmp_path / name)  # at another time
        files[name] = tmp_path / name
    write_zip(tmp_path / "again.zip", files)
    sha256 = next(item.sha256 for item in report.files if item.name.endswith(".zip"))
    assert hashlib.sha256((tmp_path / "again.zip").read_bytes()).hexdigest() == sha256


def test_pandrator_takes_the_four_files(made):
    folder, _ = made("pandrator")
    for name in ("config.json", "model.pth", "speakers_xtts.pth", "vocab.json"):
        assert (folder / name).stat().st_size > 0
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["model"].casefold() == "xtts"


def test_auralis_finds_every_name_in_the_file_that_it_looks_in(made, model_parts):
    """The modules of coqui under the names that XTTSv2Engine gives them; benchmarks/auralis.py loads Auralis' own."""
    import torch
    from safetensors.torch import load_file
    from torch import nn

    from verify.coqui.model import build_skeleton

    folder, _ = made("auralis")
    state, config, vocab = model_parts
    theirs = build_skeleton(config, vocab)
    core = nn.Module()
    core.register_buffer("mel_stats", torch.ones(80))
    for name in ("conditioning_encoder", "conditioning_perceiver", "text_embedding", "text_pos_embedding", "text_head", "final_norm"):  # fmt: skip
        setattr(core, name, getattr(theirs.gpt, name))
    core.hifigan_decoder = theirs.hifigan_decoder
    core.load_state_dict(load_file(folder / "core_xttsv2" / "xtts-v2.safetensors"), strict=True, assign=True)
    gpt = load_file(folder / "gpt" / "gpt2_model.safetensors")
    wanted = {"gpt.wte.weight": "gpt.mel_embedding.weight", "gpt.wpe.emb.weight": "gpt.mel_pos_embedding.emb.weight"}
    wanted |= {name.removeprefix("gpt."): name for name in state if re.match(r"gpt\.(gpt|mel_head|final_norm)\.", name)}
    assert gpt.keys() == wanted.keys()
    assert all(torch.equal(gpt[name], state[known]) for name, known in wanted.items())


def test_auralis_configs_are_what_the_weights_are(made, model_parts):
    folder, _ = made("auralis")
    state, _, vocab = model_parts
    core, gpt = (json.loads((folder / part / "config.json").read_text()) for part in ("core_xttsv2", "gpt"))
    assert core["gpt_config"] == gpt
    assert (core["model_type"], gpt["model_type"]) == ("xtts", "xtts_gpt")
    assert state["gpt.mel_head.weight"].shape == (gpt["num_audio_tokens"], gpt["hidden_size"])
    assert state["gpt.text_head.weight"].shape[0] == gpt["number_text_tokens"]
    assert state["gpt.mel_pos_embedding.emb.weight"].shape[0] == gpt["max_audio_tokens"] + 3
    assert state["gpt.text_pos_embedding.emb.weight"].shape[0] == gpt["max_text_tokens"] + 2
    assert state["gpt.gpt.h.0.mlp.c_fc.bias"].shape[0] == gpt["n_inner"]
    assert (folder / "gpt" / "tokenizer.json").read_bytes() == vocab.read_bytes()


# --- verify DIR --profile ------------------------------------------------------------------------------------------


def cut_voice(copy):
    import torch

    voices = torch.load(copy / "speakers_xtts.pth", weights_only=True)
    voices = {name: dict(reversed(parts.items())) for name, parts in voices.items()}
    torch.save(voices, copy / "speakers_xtts.pth")


def corrupt_deflated(copy):
    bundle = next(copy.glob("*.zip"))
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as held:
        for name, file in (("config.json", "config.json"), ("model.pth", "vocab.json"), ("vocab.json", "vocab.json"), ("ref.wav", "reference.wav")):  # fmt: skip
            held.write(copy / file, name)
    data = bytearray(bundle.read_bytes())
    data[60:90] = bytes(30)
    bundle.write_bytes(data)


def other_reference(copy):
    soundfile.write(copy / "reference.wav", np.zeros(9000), 24000)


@pytest.mark.parametrize(
    ("name", "change", "code", "says"),
    [
        ("alltalk", lambda copy: (copy / "dvae.pth").unlink(), "profile-missing", "lacks dvae.pth"),
        ("alltalk", lambda copy: (copy / "mel_stats.pth").write_bytes(b""), "profile-missing", "lacks mel_stats.pth"),
        ("pandrator", cut_voice, "profile-unfit", "read by position are gpt_cond_latent, speaker_embedding"),
        ("pandrator", lambda copy: (copy / "speakers_xtts.pth").write_bytes(b"PK\3\4"), "profile-unfit", "speakers_xtts.pth"),
        ("finetune-webui", lambda copy: (copy / "reference.wav").write_bytes(b"ID3"), "profile-unfit", "no WAV file"),
        ("ebook2audiobook", lambda copy: next(copy.glob("*.zip")).unlink(), "profile-missing", ".zip"),
        ("ebook2audiobook", lambda copy: next(copy.glob("*.zip")).write_bytes(b"PK"), "profile-unfit", ".zip"),
        ("ebook2audiobook", other_reference, "profile-unfit", "ref.wav"),
        ("ebook2audiobook", corrupt_deflated, "profile-unfit", ".zip"),
        ("auralis", lambda copy: (copy / "gpt" / "tokenizer.json").unlink(), "profile-missing", "gpt/tokenizer.json"),
        ("auralis", lambda copy: shutil.copy(copy / "gpt" / "gpt2_model.safetensors", copy / "core_xttsv2" / "xtts-v2.safetensors"), "profile-unfit", "it lacks conditioning_encoder"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_and_for_whom(made, tmp_path, name, change, code, says):
    folder, report = made(name)
    copy = shutil.copytree(folder, tmp_path / "copy")
    change(copy)
    profile = profiles.read(name)
    (cause,) = profiles.check(profile, copy, report.ledger.written)
    shutil.rmtree(copy)
    assert (cause.code, cause.severity) == (code, "error")
    assert says in cause.message
    assert profile.title in cause.message
    assert cause.hint


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda copy: (copy / "dvae.pth").unlink(), "lacks dvae.pth [profile-missing]"),
        (cut_voice, "cannot use speakers_xtts.pth: voice 'reference' holds speaker_embedding, gpt_cond_latent"),
    ],
)
def test_verify_says_what_the_folder_lacks_for_a_program(made, tmp_path, capsys, change, says):
    copy = shutil.copytree(made("alltalk")[0], tmp_path / "copy")
    change(copy)
    status, out, err = run_cli(capsys, "verify", copy, "--profile", "alltalk", "--no-sample", "--json")
    assert status == 1
    assert says in err
    assert json.loads(out)["load"]["strict"], "the model itself was not looked at"
    assert json.loads(out)["profile"]["ok"] is False


def test_verify_passes_a_whole_bundle(made, capsys):
    code, out, err = run_cli(capsys, "verify", made("ebook2audiobook")[0], "--profile", "ebook2audiobook", "--no-sample", "--json")  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["profile"]["bundle"] == "my-ebook2audiobook.zip"


# --- what cannot be made is refused before the long work ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--profile", "alltalk"), "asks for dvae.pth"),
        (("--profile", "pandrator", "--no-verify"), "--no-verify does not load"),
        (("--speaker", "Ana=CLIP", "--no-verify"), "--no-verify does not load"),
        (("--profile", "coqui", "--format", "safetensors"), "reads model.pth, not model.safetensors"),
    ],
)
def test_a_bundle_that_cannot_be_whole_is_refused(converted, genuine_run, tmp_path, capsys, options, says):
    source = genuine_run if "pandrator" in options else converted[0]  # the folder has a voice by now, the run has none
    options = [option.replace("CLIP", str(resources.DEFAULT_REFERENCE)) for option in options]
    for dry in ((), ("--dry-run",)):
        code, out, err = run_cli(capsys, source, *options, *dry, "-o", tmp_path / "out", "--json")
        assert code == 2
        assert [cause["code"] for cause in json.loads(out)["causes"]] == ["profile-incomplete"]
        assert says in err
    assert not (tmp_path / "out").exists()


def test_the_base_lends_its_dvae_and_a_bundle_makes_a_bundle(made, converted, tmp_path, capsys):
    """Nothing but its tensors is passed on, so that converting a bundle again changes no file."""
    folder, _ = made("alltalk")
    options = ("--profile", "alltalk", "--no-verify", "--base", folder)
    code, _, err = run_cli(capsys, converted[0], *options, "-o", tmp_path / "lent")
    assert code == 0, err
    code, _, err = run_cli(capsys, folder, "--profile", "alltalk", "--no-verify", "-o", tmp_path / "again")
    assert code == 0, err
    files = set(profiles.read("alltalk").files)
    for place, same in {
        "again": files,
        "lent": files - {"speakers_xtts.pth"},
    }.items():  # lent: its own voice, heard in another process
        for name in same:
            assert (tmp_path / place / name).read_bytes() == (folder / name).read_bytes(), (place, name)


def test_force_replaces_a_bundle_but_not_what_others_put_into_it(made, genuine_run, tmp_path, capsys):
    folder = tmp_path / "out"
    shutil.copytree(made("auralis")[0], folder)
    (folder / "gpt" / "gpt_config.py").write_text("mine")
    options = ("--no-verify", "--force", "-o", folder)
    code, _, err = run_cli(capsys, genuine_run, *options)
    assert code == 2
    assert "gpt/gpt_config.py" in err
    (folder / "gpt" / "gpt_config.py").unlink()
    assert run_cli(capsys, genuine_run, *options)[0] == 0
    assert not (folder / "gpt").exists()


def test_a_profile_that_is_none_is_named(converted, tmp_path):
    from verify import ConversionError

    with pytest.raises(ConversionError, match="there is no profile 'alltalks'") as caught:
        convert(Job(source=converted[0], output=tmp_path / "out", profile="alltalks"))
    assert caught.value.cause.code == "no-profile"
    assert caught.value.cause.hint.startswith("Did you mean alltalk? All of them: alltalk, ")


# --- voices --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def voiced(genuine_run, tmp_path_factory):
    """A folder with two named voices, one of them of two clips."""
    place = tmp_path_factory.mktemp("voiced")
    clips = sorted((genuine_run.parent.parent / "dataset" / "wavs").glob("*.wav"))
    speakers = (f"Ana={clips[0]}", f"Big Bob={clips[1]}", f"Ana={clips[2]}")
    report = convert(Job(source=genuine_run, speakers=speakers, output=place / "model", sample=False))
    assert report.verdict == "pass"
    return place / "model", clips


def test_voices_are_what_coqui_hears_in_the_clips(voiced, monkeypatch):
    """Bit for bit those of Xtts.get_conditioning_latents, in the order in which coqui reads them."""
    import torch
    import torchaudio

    from verify import load_xtts

    def load(path, *_, **__):
        audio, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
        return torch.from_numpy(audio.T.copy()), rate

    monkeypatch.setattr(torchaudio, "load", load)
    folder, clips = voiced
    voices = torch.load(folder / "speakers_xtts.pth", weights_only=True)
    assert list(voices) == ["Ana", "Big Bob"]
    model = load_xtts(folder)
    assert list(model.speaker_manager.speakers) == ["Ana", "Big Bob"]
    config = model.config
    for name, heard in (("Ana", [clips[0], clips[2]]), ("Big Bob", [clips[1]])):
        assert list(voices[name]) == ["gpt_cond_latent", "speaker_embedding"]
        wanted = model.get_conditioning_latents(
            [str(clip) for clip in heard],
            max_ref_length=config.max_ref_len,
            gpt_cond_len=config.gpt_cond_len,
            gpt_cond_chunk_len=config.gpt_cond_chunk_len,
            sound_norm_refs=config.sound_norm_refs,
        )
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(voices[name].values(), wanted, strict=True))


def test_the_tts_api_speaks_with_a_named_voice_and_without_ffmpeg(voiced, tmp_path, monkeypatch):
    import torchaudio
    from TTS.api import TTS

    def refuse(*_, **__):
        raise AssertionError("a clip was read, for which torchcodec needs FFmpeg")

    monkeypatch.setattr(torchaudio, "load", refuse)
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = shutil.copytree(voiced[0], tmp_path / "model")  # the API makes a folder for voices in it
    api = TTS(model_path=str(folder), config_path=str(folder / "config.json"), progress_bar=False)
    assert {"Ana", "Big Bob"} <= set(api.speakers)
    out = tmp_path / "said.wav"
    api.tts_to_file("hello", speaker="Big Bob", language="en", file_path=str(out), max_new_tokens=12)
    assert soundfile.info(out).duration > 0.3


def test_a_named_voice_joins_those_that_are_there(voiced, tmp_path, capsys):
    import torch

    folder, _ = voiced
    speaker = ("--speaker", f"Zoë={resources.DEFAULT_REFERENCE}")
    code, _, err = run_cli(capsys, folder, *speaker, "--no-sample", "-o", tmp_path / "more")
    assert code == 0, err
    old, new = (torch.load(place / "speakers_xtts.pth", weights_only=True) for place in (folder, tmp_path / "more"))
    assert list(new) == [*old, "Zoë"]
    assert all(torch.equal(new[name][part], value) for name in old for part, value in old[name].items())


@pytest.mark.parametrize(
    ("speaker", "code", "says"),
    [
        ("Ana", "bad-speaker", "Pass NAME=FILE."),
        ("=a.wav", "bad-speaker", "Pass NAME=FILE."),
        (
            "me.wav",
            "bad-speaker",
            'Did you mean --speaker-wav me.wav? To keep the voice under a name: --speaker "me=me.wav".',
        ),
        ("Ana=not-there.wav", "missing", "not-there.wav is not there"),
        ("Ana=memory://clips/not-there.wav", "missing", "memory://clips/not-there.wav is not there"),
    ],
)
def test_a_speaker_that_is_none_is_refused(converted, tmp_path, capsys, speaker, code, says):
    status, out, err = run_cli(capsys, converted[0], "--speaker", speaker, "-o", tmp_path / "out", "--json")
    assert status == 2
    assert json.loads(out)["causes"][0]["code"] == code
    assert says in err


def test_the_command_to_make_it_again_names_all_of_it():
    from verify.options import command

    speakers = ("Ana=a b.wav", "Bob=c.wav")
    job = Job(source=Path("run"), speakers=speakers, profile="alltalk", dtype="float16", format="safetensors")
    line = command(job, "convert")
    assert line.endswith(
        './run --speaker "Ana=a b.wav" --speaker Bob=c.wav --format safetensors --dtype float16 --profile alltalk'
    )
