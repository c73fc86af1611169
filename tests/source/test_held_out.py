"""Which rows of a dataset a run was not trained on, as far as its config tells."""

from pathlib import Path

import pytest

from verify.errors import ConversionError
from verify.source.dataset import metadata_for_training
from verify.source.held_out import held_out_rows

ROWS = [f"clip{number}|text number {number}|text number {number}" for number in range(10)]


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "metadata.csv").write_text("\n".join(ROWS))
    return tmp_path


def config_of(dataset, **more):
    """Return a run's config as coqui's trainer writes it, with one dataset."""
    about = {"formatter": "ljspeech", "path": str(dataset), "meta_file_train": "metadata.csv", "language": "en"}
    split = {name: more.pop(name) for name in ("eval_split_size", "eval_split_max_size") if name in more}
    return {"datasets": [about | more], "eval_split_size": 0.01, "eval_split_max_size": None, **split}


def clips(found):
    return [row.clip for row in found.rows]


def test_the_file_for_validation_is_held_out_wherever_the_dataset_lies_now(dataset):
    (dataset / "eval.csv").write_text("audio_file|text|speaker_name\nwavs/a.wav|What is held out.|ann\n")
    config = config_of("/gone", formatter="coqui", meta_file_val="/gone/eval.csv", meta_file_train="/gone/metadata.csv")
    with pytest.raises(ConversionError, match="the dataset /gone is not on this machine"):
        held_out_rows("auto", config, True, "en")
    found = held_out_rows(str(dataset), config, True, "en")
    assert [(row.clip, row.text, row.speaker) for row in found.rows] == [("wavs/a.wav", "What is held out.", "ann")]
    assert "for validation" in found.origin
    assert found.trained_on == ""
    trained = held_out_rows(str(dataset / "metadata.csv"), config, True, "en")
    assert "its config names eval.csv for validation" in trained.trained_on


def test_without_such_a_file_it_is_the_split_of_the_config(dataset):
    found = held_out_rows("auto", config_of(dataset, eval_split_size=0.3, eval_split_max_size=256), True, "en")
    assert (len(found.rows), found.trained_on) == (3, "")
    assert "3 of the 10 rows of metadata.csv" in found.origin
    assert clips(found) != [row.partition("|")[0] for row in ROWS[:3]]  # shuffled, as coqui does it
    fewer = held_out_rows("auto", config_of(dataset, eval_split_size=0.3, eval_split_max_size=2), True, "en")
    assert clips(fewer) == clips(found)[:2]


def test_where_nothing_tells_the_rows_were_perhaps_trained_on(dataset):
    none_of_ten = held_out_rows("auto", config_of(dataset), True, "en")
    assert none_of_ten.trained_on == "the config's eval_split_size holds none of 10 rows out"
    first_of_split = held_out_rows("auto", config_of(dataset, eval_split_size=0.1), True, "en").rows[0]
    assert none_of_ten.rows[0] == first_of_split  # so the first was held out, whatever share the training asked for
    other = held_out_rows("auto", config_of(dataset, formatter="own"), True, "en")
    assert (clips(other)[0], other.origin.split(" of ")[0]) == ("clip9", "the last rows")
    strange = held_out_rows(str(dataset), {}, False, "en")
    assert strange.trained_on == "the run's config does not name this metadata file"


@pytest.mark.parametrize(
    ("asked", "config", "follow", "message"),
    [
        ("auto", {}, True, "names no dataset"),
        ("auto", {"datasets": [{"path": "//server/share", "meta_file_train": "m.csv"}]}, True, "names no dataset"),
        ("auto", {"datasets": "?"}, False, "--no-follow forbids it"),
        ("nowhere", {}, True, "is not there"),
        ("folder", {}, True, "holds no metadata file"),
        ("folder/empty.csv", {}, True, "holds no row"),
        ("folder/huge.csv", {}, True, "64,000,000 is the limit"),
    ],
)
def test_what_cannot_be_read_says_what_to_pass(asked, config, follow, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    if asked.endswith("empty.csv"):
        (tmp_path / asked).write_text("\n\n")
    if asked.endswith("huge.csv"):
        with (tmp_path / asked).open("wb") as file:
            file.truncate(64_000_001)
    with pytest.raises(ConversionError, match=message):
        held_out_rows(asked, config, follow, "en")


def test_a_header_tells_the_columns_of_other_layouts(tmp_path):
    (tmp_path / "metadata.csv").write_text('file_name,transcription\nclips/a.flac,"One, two, and three."\n')
    assert [(row.clip, row.text) for row in held_out_rows(str(tmp_path), {}, True, "en").rows] == [
        ("clips/a.flac", "One, two, and three.")
    ]


@pytest.mark.parametrize(
    "name", ["//host/share/list.csv", r"\\host\share\list.csv", "https://example.org/list.csv", "", 7]
)
def test_metadata_on_another_machine_is_not_asked_for(name):
    assert metadata_for_training({"path": "/data", "meta_file_train": name}) is None
    assert metadata_for_training({"path": "/data", "meta_file_train": "list.csv"}) == Path("/data/list.csv")
