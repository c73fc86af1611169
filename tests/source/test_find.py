"""Which checkpoint of a folder is taken."""

import pytest

from verify.conversion.formats import FILE_NAMES
from verify.errors import SourceError
from verify.source.find import find_checkpoint


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


def test_where_nothing_is_found_every_name_that_is_looked_for_is_told(tmp_path):
    (tmp_path / "letter.txt").write_bytes(b"x")
    with pytest.raises(SourceError) as caught:
        find_checkpoint(tmp_path)
    message = str(caught.value)
    assert "there is letter.txt" in message
    for name in FILE_NAMES:  # each is one that is found
        assert name in message
        (tmp_path / name).write_bytes(b"x")
        assert find_checkpoint(tmp_path).name == name
        (tmp_path / name).unlink()


def test_the_model_folder_that_a_trainer_leaves_beside_its_workspace_is_named(tmp_path):
    """Universal_TTS_Finetune: the run itself lies six folders down, what it exports in `ready`."""
    for name in ("workspace/recipes/ljspeech/xtts_v2/run/training/best_model.pth", "ready/model.pth"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    with pytest.raises(SourceError) as caught:
        find_checkpoint(tmp_path)
    assert caught.value.cause.hint == f"Pass the model folder in it: {tmp_path / 'ready'}"
