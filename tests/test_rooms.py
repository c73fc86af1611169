"""The light rooms, one sentence a test: source, config, architecture, causes, audio, report."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from tests.conversion.test_ledger import record
from tests.support.helpers import save_tiny
from verify import resources
from verify.audio import clips
from verify.coqui import selftest
from verify.diagnosis.architecture import read_architecture
from verify.diagnosis.attribution import explain, fold, summary
from verify.diagnosis.config_check import config_causes
from verify.errors import Cause, SourceError
from verify.options import Job
from verify.report import terminal
from verify.report.words import size
from verify.source import config as configs
from verify.source.companions import gather
from verify.source.find import find_checkpoint
from verify.source.vocabulary import base_version, read_vocabulary

XTTS_LANGUAGES = {
    "en",
    "es",
    "fr",
    "de",
    "it",
    "pt",
    "pl",
    "tr",
    "ru",
    "nl",
    "cs",
    "ar",
    "zh-cn",
    "hu",
    "ko",
    "ja",
    "hi",
}


# --- source -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "which", "chosen"),
    [
        (
            ["best_model_9.pth", "best_model_10.pth", "best_model.pth", "checkpoint_500.pth"],
            "best",
            "best_model_10.pth",
        ),
        (["best_model.pth", "checkpoint_500.pth"], "best", "best_model.pth"),
        (["checkpoint_500.pth", "checkpoint_1000.pth"], "best", "checkpoint_1000.pth"),
        (["best_model_9.pth", "checkpoint_500.pth"], "last", "checkpoint_500.pth"),
        (["best_model_900.pth", "checkpoint_500.pth"], "last", "best_model_900.pth"),
        (["best_model_9.pth", "checkpoint_500.pth"], "500", "checkpoint_500.pth"),
        (["model.pth", "dvae.pth"], "best", "model.pth"),
        (["anything.safetensors"], "best", "anything.safetensors"),
    ],
)
def test_which_checkpoint_of_a_folder(tmp_path, names, which, chosen):
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    assert find_checkpoint(tmp_path, which).name == chosen


def test_a_step_that_is_not_there_names_those_that_are(tmp_path):
    (tmp_path / "checkpoint_500.pth").write_bytes(b"x")
    with pytest.raises(SourceError) as caught:
        find_checkpoint(tmp_path, "600")
    assert "Steps there: 500" in caught.value.cause.hint


def test_the_vocabulary_is_looked_for_in_the_order_of_trust(tmp_path):
    run = tmp_path / "training" / "XTTS_FT-1"
    checkpoint = save_tiny(run / "best_model_3.pth")
    named = tmp_path / "elsewhere" / "vocab.json"
    raw = {"model_args": {"tokenizer_file": str(named)}}
    places = [
        run / "vocab.json",
        tmp_path / "base" / "vocab.json",
        tmp_path / "training" / "XTTS_v2.0_original_model_files" / "vocab.json",
        named,
    ]
    (tmp_path / "base").mkdir()
    job = Job(source=run, base=tmp_path / "base")
    found = []
    assert gather(job, checkpoint, raw).vocab is None
    for place in reversed(places):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("{}")
        found.append(gather(job, checkpoint, raw).vocab.path.resolve())
    assert found == [place.resolve() for place in reversed(places)]


def test_reference_clips_come_from_the_test_sentences_then_the_dataset(tmp_path):
    checkpoint = save_tiny(tmp_path / "run" / "x.pth")
    (tmp_path / "data" / "wavs").mkdir(parents=True)
    for name in ("voice.wav", "data/wavs/b.wav", "data/wavs/a.wav"):
        (tmp_path / name).write_bytes(b"x")
    raw = {
        "test_sentences": [
            {"speaker_wav": [str(tmp_path / "voice.wav"), str(tmp_path / "gone.wav")]},
            {"speaker_wav": "http://x/y.wav"},
        ],
        "datasets": [{"path": str(tmp_path / "data"), "language": "pt"}],
    }
    source = gather(Job(source=checkpoint), checkpoint, raw)
    assert [clip.path.name for clip in source.clips] == ["voice.wav", "a.wav", "b.wav"]
    assert source.language == "pt"
    (checkpoint.parent / "reference.wav").write_bytes(b"x")
    assert gather(Job(source=checkpoint), checkpoint, raw).clips[0].path.name == "reference.wav"
    (checkpoint.parent / "reference.wav").unlink()
    assert gather(Job(source=checkpoint, follow=False), checkpoint, raw).clips == ()


# --- config -------------------------------------------------------------------------------------------------------


def test_the_field_tables_are_those_of_the_installed_coqui():
    from TTS.tts.configs.xtts_config import XttsArgs, XttsAudioConfig, XttsConfig

    def names(cls):
        return {field.name for field in dataclasses.fields(cls)}

    table = resources.load("xtts")
    assert set(table["top"]) <= names(XttsConfig)
    assert set(table["audio"]) == names(XttsAudioConfig)
    paths = {"gpt_checkpoint", "clvp_checkpoint", "decoder_checkpoint", "tokenizer_file"}
    assert set(table["model_args"]) == names(XttsArgs) - paths
    for name, value in table["defaults"].items():
        assert getattr(XttsArgs(), name) == value


def test_a_training_config_loses_what_belongs_to_training():
    raw = {
        "output_path": "/home/me",
        "lr": 1.0,
        "max_audio_len": float("inf"),
        "temperature": 0.7,
        "model_args": {"gpt_layers": 3, "dvae_checkpoint": "/x"},
    }
    kept = configs.inference_config(raw, "test")
    assert kept["model_args"] == {"gpt_layers": 3, "tokenizer_file": ""}
    assert kept == {"model": "xtts", "temperature": 0.7, "audio": {}, "model_args": kept["model_args"]}


# --- architecture, causes -----------------------------------------------------------------------------------------


def v2_records(layers=(0, 1), width=8, rows=6681):
    tensors = {f"gpt.gpt.h.{n}.ln_1.weight": (width,) for n in layers}
    tensors |= {"gpt.text_embedding.weight": (rows, width), "gpt.conditioning_perceiver.latents": (32, width)}
    tensors |= {"gpt.mel_pos_embedding.emb.weight": (608, width), "gpt.text_pos_embedding.emb.weight": (404, width)}
    return {key: record(key, shape=shape, stride=(1,) * len(shape)) for key, shape in tensors.items()}


def test_the_architecture_is_read_from_the_shapes():
    found = read_architecture(v2_records())
    assert (found.version, found.base) == ("v2", "v2.0.3")
    assert found.fields["gpt_layers"] == 2
    assert found.fields["gpt_max_audio_tokens"] == 605
    assert found.fields["gpt_max_text_tokens"] == 402


def test_all_wrong_fields_of_a_config_are_one_cause():
    args = {"gpt_layers": 4, "gpt_n_model_channels": 16, "gpt_use_perceiver_resampler": True}
    (cause,) = config_causes(read_architecture(v2_records()), args, "config.json")
    assert "gpt_layers is 4, the weights call for 2" in cause.message
    assert "gpt_n_model_channels is 16, the weights call for 8" in cause.message
    assert (
        config_causes(read_architecture(v2_records()), args | {"gpt_layers": 2, "gpt_n_model_channels": 8}, "x") == ()
    )


def test_layers_that_the_weights_lack_may_be_lost():
    (cause,) = config_causes(
        read_architecture(v2_records(layers=range(10))),
        {"gpt_layers": 30, "gpt_n_model_channels": 8, "gpt_use_perceiver_resampler": True},
        "x",
    )
    assert "layers 10 to 29 are lost" in cause.hint


@pytest.mark.parametrize(("rows", "name"), [(6153, "v2.0.2"), (6681, "v2.0.3"), (7000, "extended"), (88, "unknown")])
def test_base_versions_by_rows(rows, name):
    assert base_version(rows) == name


def test_folding_hides_no_gap():
    keys = [f"gpt.gpt.h.{n}.ln_1.weight" for n in (*range(10), 12)] + ["mel_stats", "gpt.gpt.h.3.ln_2.bias"]
    assert fold(keys) == ["gpt.gpt.h.{0-9,12}.ln_1.weight", "mel_stats", "gpt.gpt.h.3.ln_2.bias"]
    assert summary([f"key{n}" for n in range(14)]).endswith("key9, and 4 more groups")


def test_every_key_belongs_to_exactly_one_cause():
    known = [Cause(code="vocab-rows", severity="error", message="", prefixes=("gpt.text_",))]
    causes = explain(
        known, ["gpt.a", "gpt.text_head.bias"], ["b"], {"gpt.text_embedding.weight": ((1,), (2,)), "c": ((1,), (2,))}
    )
    assert [cause.code for cause in causes] == ["vocab-rows", "missing-keys", "unexpected-keys", "shape-mismatch"]
    assert sorted(key for cause in causes for key in cause.keys) == [
        "b",
        "c",
        "gpt.a",
        "gpt.text_embedding.weight",
        "gpt.text_head.bias",
    ]


@pytest.mark.parametrize("extra", [[], [500], [65], [65, 66], [0, 70]])
@pytest.mark.parametrize("hole", [False, True])
def test_tokens_count_as_the_tokenizers_library_counts_them(tmp_path, extra, hole):
    """Where added tokens are not in the model's own vocabulary the library numbers them anew; rows must fit its number."""
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

    selftest.write_vocab(tmp_path / "vocab.json")
    tokenizer = json.loads((tmp_path / "vocab.json").read_text())
    if hole:
        tokenizer["model"]["vocab"]["far"] = 200
    for number in extra:
        tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": number, "content": f"[new{number}]"})
    (tmp_path / "vocab.json").write_text(json.dumps(tokenizer))
    ours = read_vocabulary(tmp_path / "vocab.json")
    theirs = VoiceBpeTokenizer(str(tmp_path / "vocab.json"))
    assert ours.size == theirs.get_number_tokens()
    assert ours.start == theirs.tokenizer.token_to_id("[START]")
    assert set(ours.languages) == XTTS_LANGUAGES


# --- sound --------------------------------------------------------------------------------------------------------


def judged(samples, **limits):
    return {check.name: check.ok for check in clips.judge_sound(np.asarray(samples, np.float32), 24000, **limits)}


def tone(level=0.3, seconds=2.0):
    return level * np.sin(2 * np.pi * 220 * np.arange(int(24000 * seconds)) / 24000)


def test_a_healthy_sound_passes_every_basic_check():
    assert all(judged(tone(), seconds_range=(1, 3)).values())


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
    assert not judged(tone(seconds=2), seconds_range=(3, 9))["plausible length"]
    assert not judged(tone(seconds=12), seconds_range=(3, 9))["plausible length"]


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


def test_there_is_a_sentence_and_a_pace_for_every_language():
    sentences = resources.load("sentences")
    assert set(sentences) == XTTS_LANGUAGES
    for name, item in sentences.items():
        assert 8 <= len(item["text"]) <= 60, name
        assert 1 < item["slowest"] < item["fastest"] / 3


def test_the_reference_that_ships_is_usable_and_free_of_advice():
    clip = clips.read_clip(resources.DEFAULT_REFERENCE)
    clips.require_usable(clip)
    limits = resources.load("limits")["reference"]
    assert clip.seconds >= limits["advised_seconds"]
    assert clip.rate_hz >= limits["advised_rate_hz"]
    assert all(judged(clip.samples).values())


# --- terminal -----------------------------------------------------------------------------------------------------


def test_brackets_in_names_are_text_and_not_markup():
    screen = Console(file=io.StringIO(), width=200, markup=False)
    terminal.show_cause(
        Cause(code="x", severity="error", message="[bold]/data/[en] run[/]\x1b[2J", hint="[red]"), screen
    )
    assert "[bold]/data/[en] run[/]\N{REPLACEMENT CHARACTER}[2J" in screen.file.getvalue()
    assert "\x1b" not in screen.file.getvalue()


def test_a_bar_shows_on_a_terminal_only():
    for is_terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=is_terminal, width=100)
        with terminal.TerminalWatch(console).step("writing", 100, "bytes") as progress:
            progress(50)
        assert ("writing" in console.file.getvalue()) == is_terminal


def test_sizes_are_decimal():
    assert [size(n) for n in (0, 999, 1000, 1_813_566_312)] == ["0 B", "999 B", "1.00 kB", "1.81 GB"]


# --- README -------------------------------------------------------------------------------------------------------


def test_the_readme_names_every_option_and_no_other():
    import re

    from verify.cli import parser

    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    real = set()
    for action in parser.parser()._subparsers._group_actions[0].choices.values():
        real |= {option for item in action._actions for option in item.option_strings if option.startswith("--")}
    section = readme.split("## Options")[1].split("\n## ")[0]
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", section))
    assert named == (real | {"--version", "--print-completion"}) - {"--help"}
