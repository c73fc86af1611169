"""A language beyond the 17 of XTTS: known by its token, read as the forks read it, judged as far as there are figures."""

import json

import pytest

from tests.support.helpers import run_cli, with_a_text_row_more
from verify.audio.checks import judge_measures


def with_vietnamese(run):
    """Add [vi] to the vocabulary, as fine-tunes for a new language do."""
    vocab = json.loads((run / "vocab.json").read_text())
    number = max(vocab["model"]["vocab"].values()) + 1
    vocab["model"]["vocab"]["[vi]"] = number
    vocab["added_tokens"].append({**vocab["added_tokens"][0], "id": number, "content": "[vi]"})
    (run / "vocab.json").write_text(json.dumps(vocab))


def test_a_run_of_a_new_language_speaks_it(make_run, tmp_path, capsys):
    run = make_run(with_a_text_row_more, lambda config: config.update(datasets=[{"language": "vi"}]))
    with_vietnamese(run)
    code, out, err = run_cli(capsys, run, "-o", tmp_path / "out", "--text", "A ha.", "--expect", "sound", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert (document["sample"]["language"], document["sample"]["text"]) == ("vi", "A ha.")
    assert {cause["code"]: cause["severity"] for cause in document["causes"]} | {"reference-clip": ""} == {
        "vocab-languages": "note",
        "language-untrained": "warning",
        "reference-clip": "",
    }
    notes = {check["name"]: check["note"] for check in document["checks"] if check["note"]}
    assert notes == {"plausible length": "not judged against the text: there are no figures for 'vi'"}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["languages"][-1] == "vi"  # or coqui refuses it


def test_pace_is_not_judged_without_figures_for_the_language():
    measures = {"seconds": 9.0, "audible_seconds": 9.0}
    text = "xin chào, đây là một câu dài"
    length, pace = judge_measures(measures, text, "vi")
    assert (length.ok, pace.ok, pace.limit) == (True, True, "")
    assert "no figures for 'vi'" in pace.note
    assert not judge_measures(measures, text, "en")[1].ok
    assert judge_measures(measures, text, "en", speed=0.3)[1].ok  # spoken so slowly because it was asked for


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
