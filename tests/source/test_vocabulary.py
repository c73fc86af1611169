"""A vocabulary is counted as the tokenizers library counts it, and tells the base version by its rows."""

import json
import subprocess
import sys

import pytest

from tests.support.helpers import ROOT, XTTS_LANGUAGES
from verify.source.vocabulary import base_version, read_vocabulary


@pytest.mark.parametrize(("rows", "name"), [(6153, "v2.0.2"), (6681, "v2.0.3"), (7000, "extended"), (88, "unknown")])
def test_base_versions_by_rows(rows, name):
    assert base_version(rows) == name


@pytest.mark.parametrize("extra", [[], [500], [65], [65, 66], [0, 70]])
@pytest.mark.parametrize("hole", [False, True])
def test_tokens_count_as_the_tokenizers_library_counts_them(tmp_path, extra, hole):
    """Where added tokens are not in the model's own vocabulary the library numbers them anew; rows must fit its number."""
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

    from verify.coqui import selftest

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


@pytest.mark.parametrize("command", [(), ("verify",)], ids=["main job", "verify"])
def test_a_wrong_vocabulary_is_told_before_torch_is_imported(genuine_run, tmp_path, command):
    vocab = json.loads((genuine_run.parent.parent / "vocab.json").read_text(encoding="utf-8"))
    vocab["model"]["vocab"]["<new>"] = max(vocab["model"]["vocab"].values()) + 1
    (tmp_path / "vocab.json").write_text(json.dumps(vocab), encoding="utf-8")
    program = (
        "import sys; from verify.cli.main import main; code = main(sys.argv[1:]); print(code, 'torch' in sys.modules)"
    )
    words = [*command, genuine_run, "--vocab", tmp_path / "vocab.json", "-o", tmp_path / "out"]
    done = subprocess.run([sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ["1", "False"], done.stderr
    assert "holds 66 tokens; without a row: <new> (65)" in done.stderr
    assert "3 keys: gpt.text_embedding.weight, gpt.text_head.weight, gpt.text_head.bias" in done.stderr
    assert not (tmp_path / "out").exists()
