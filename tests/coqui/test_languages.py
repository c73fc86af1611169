"""A language beyond the 17 of XTTS: known by its token, read as the forks read it, judged as far as there are figures."""

import json

import pytest

from tests.support.helpers import run_cli


def with_vietnamese(run):
    """Add [vi] to the vocabulary, as fine-tunes for a new language do."""
    vocab = json.loads((run / "vocab.json").read_text())
    number = max(vocab["model"]["vocab"].values()) + 1
    vocab["model"]["vocab"]["[vi]"] = number
    vocab["added_tokens"].append({**vocab["added_tokens"][0], "id": number, "content": "[vi]"})
    (run / "vocab.json").write_text(json.dumps(vocab))


def test_a_run_of_a_new_language_speaks_it_in_a_sentence_of_its_own(make_run, tmp_path, capsys):
    import torch

    def longer(state):
        for name in ("text_embedding.weight", "text_head.weight", "text_head.bias"):
            state[f"xtts.gpt.{name}"] = torch.cat([state[f"xtts.gpt.{name}"], state[f"xtts.gpt.{name}"][:1]])

    def of_vietnamese(config):
        config["test_sentences"] = [{"text": "Xin  chao cac ban, toi la", "language": "vi"}]
        config["datasets"] = [{"language": "vi"}]

    run = make_run(longer, of_vietnamese)
    with_vietnamese(run)
    code, out, err = run_cli(capsys, run, "-o", tmp_path / "out", "--expect", "sound", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert (document["sample"]["language"], document["sample"]["text"]) == ("vi", "Xin  chao cac ban, toi la")
    assert {cause["code"]: cause["severity"] for cause in document["causes"]} | {"reference-clip": ""} == {
        "vocab-languages": "note",
        "language-untrained": "warning",
        "reference-clip": "",
    }
    notes = {check["name"]: check["note"] for check in document["checks"] if check["note"]}
    assert notes.keys() == {"plausible length", "pace"}
    assert "no figures for 'vi'" in notes["pace"]
    assert json.loads((tmp_path / "out" / "config.json").read_text())["languages"][-1] == "vi"  # or coqui refuses it


def test_a_cleaner_of_the_installed_package_comes_first(tmp_path, monkeypatch):
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

    from verify.coqui import selftest
    from verify.coqui.tokenizer import Tokenizer

    selftest.write_vocab(tmp_path / "vocab.json")
    with_vietnamese(tmp_path)
    tokenizer = Tokenizer(str(tmp_path / "vocab.json"))
    assert tokenizer.preprocess_text("Xin  CHAO 5", "vi") == "xin chao 5"
    with pytest.raises(NotImplementedError):
        tokenizer.preprocess_text("Γεια", "el")
    stock = VoiceBpeTokenizer.preprocess_text
    forked = lambda self, text, lang: "fork" if lang == "vi" else stock(self, text, lang)  # noqa: E731
    monkeypatch.setattr(VoiceBpeTokenizer, "preprocess_text", forked)
    assert tokenizer.preprocess_text("Xin", "vi") == "fork"
