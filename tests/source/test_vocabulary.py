"""A vocabulary is counted as the tokenizers library counts it, and tells the base version by its rows."""

import json

import pytest

from tests.support.helpers import XTTS_LANGUAGES
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
