"""The model card: what a hub reads of it, that it names no path of this machine, and that an edited one is never replaced."""

import shutil
from pathlib import Path

import pytest

from tests.support.helpers import run_cli
from verify.checks import WORD_CHECKS
from verify.files.names import CARD
from verify.files.output import foreign


@pytest.fixture
def folder(converted, tmp_path):
    """What the main job left, to change."""
    shutil.copytree(converted[0], tmp_path / "voice")
    return tmp_path / "voice"


def test_a_hub_reads_language_base_licence_and_what_it_is_for(converted):
    hub = pytest.importorskip("huggingface_hub", reason="transformers brings it")
    data = hub.ModelCard.load(converted[0] / CARD, ignore_metadata_errors=False).data.to_dict()
    assert data == {
        "language": ["en"],
        "base_model": "coqui/XTTS-v2",
        "base_model_relation": "finetune",
        "pipeline_tag": "text-to-speech",
        "library_name": "coqui",
        "license": "other",
        "license_name": "coqui-public-model-license",
        "license_link": "https://huggingface.co/coqui/XTTS-v2/blob/main/LICENSE.txt",
        "tags": ["xtts", "voice-cloning"],
    }


def test_the_card_says_what_was_verified_and_names_no_path(converted, genuine_run):
    folder, report = converted
    text = (folder / CARD).read_text(encoding="utf-8")
    known = {file.name: file.sha256 for file in report.files}
    assert f"| `model.pth` | {(folder / 'model.pth').stat().st_size:,} | `{known['model.pth']}` |" in text
    for found in (
        f"fingerprint `{report.archive.fingerprint}`",
        f"strictly: {report.load.matched:,} tensors",
        "[sample.wav](sample.wav): “Hi.” (en, ",
        "**" + report.verdict + "**",
    ):
        assert found in text
    for place in (folder, genuine_run, Path.home(), Path.cwd()):
        assert str(place) not in text
    heard = any(check.name in WORD_CHECKS for check in report.checks)
    assert f"its words were {'held against the text' if heard else 'not checked'}" in text


def test_a_card_that_nobody_edited_makes_way_and_an_edited_one_does_not(folder):
    assert foreign(folder) is None
    with (folder / CARD).open("a", encoding="utf-8") as card:
        card.write("Anna reads slowly.\n")
    assert "files that this tool did not write: README.md" in str(foreign(folder))
    (folder / CARD).write_text("My own notes.\n", encoding="utf-8")
    assert "README.md" in str(foreign(folder))


def test_a_card_is_left_out_where_none_is_asked_for_and_says_what_was_not_done(genuine_run, tmp_path, capsys):
    for name, options in (("with", ()), ("without", ("--card", "no"))):
        assert run_cli(capsys, genuine_run, "--no-verify", "-o", tmp_path / name, *options)[0] == 0
    assert not (tmp_path / "without" / CARD).exists()
    text = (tmp_path / "with" / CARD).read_text(encoding="utf-8")
    assert "| load | not loaded |" in text
    assert "| speech | nothing was spoken |" in text
    assert "(`not-verified`)" in text
