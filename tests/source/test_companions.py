"""What belongs to a run: vocabulary, reference clips and language, each looked for in the order of trust."""

from tests.support.helpers import save_tiny
from verify.audio.prompts import default_sentence
from verify.options import Job
from verify.source.companions import gather


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


def test_a_sentence_of_each_language_comes_from_the_test_sentences_then_from_the_dataset(tmp_path):
    checkpoint = save_tiny(tmp_path / "run" / "x.pth")
    lines = [
        "audio_file|text|speaker",
        "a.wav|ok",
        "b.wav|câu số 12 ở đây",
        "c.wav|xin chào các bạn",
        "d.wav|" + "dài " * 99,
    ]
    (tmp_path / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
    raw = {
        "test_sentences": [{"text": "  Γεια σου, κόσμε. ", "language": "el"}, {"text": 3, "language": "uk"}, ["x"]],
        "datasets": [
            {"path": str(tmp_path), "meta_file_train": "metadata.csv", "language": "vi"},
            {"path": "//host/share", "meta_file_train": "metadata.csv", "language": "fa"},
            {"path": str(tmp_path), "meta_file_train": "gone.csv", "language": "am"},
        ],
    }
    source = gather(Job(source=checkpoint), checkpoint, raw)
    assert default_sentence("vi", source) == "xin chào các bạn"
    assert source.sentences == {"el": "Γεια σου, κόσμε.", "vi": "xin chào các bạn"}
    assert gather(Job(source=checkpoint, follow=False), checkpoint, raw).sentences == {"el": "Γεια σου, κόσμε."}
