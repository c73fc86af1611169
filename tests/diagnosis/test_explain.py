"""What a load error truly says: real texts of coqui and torch, whole and mangled, and the shapes of those in public issues."""

import contextlib
import html
import io
import json
import random
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from tests.conftest import made_once
from tests.support import load_errors
from tests.support.helpers import ROOT, run_cli
from verify.conversion.key_map import KEPT, expand
from verify.diagnosis.explain import explain
from verify.diagnosis.pasted_text import MAX_KEPT_BYTES, telling_part
from verify.errors import ConversionError

SECOND = "During handling of the above exception"  # between the two blocks of Xtts.load_checkpoint

# text -> the codes of its true causes, what one of them says, what a hint says
EXPECTED = {
    "no perceiver": (["config-mismatch"], "gpt_use_perceiver_resampler is false, the weights call for true", "--config"),
    "a layer more": (["config-mismatch"], "gpt_layers is 3, the weights call for 2", "layer 2 is lost"),
    "a layer less": (["config-mismatch"], "gpt_layers is 1, the weights call for 2", "--config"),
    "wider": (["config-mismatch"], "gpt_n_model_channels is 256, the weights call for 128", "--config"),
    "v1 config": (["config-mismatch"], "gpt_num_audio_tokens is 8194, the weights call for 1026", "--config"),
    "positions": (["config-mismatch"], "gpt_max_text_tokens is 500, the weights call for 402", "--config"),
    "decoder": (["config-mismatch"], "decoder_input_dim is 64, the weights call for 128", "--config"),
    "speaker width": (["config-mismatch"], "d_vector_dim is 256, the weights call for 512", "--config"),
    "vocabulary": (["vocab-rows"], "has 65 rows; the vocab.json of the model holds 66 tokens", "--vocab"),
    "no vocoder": (["missing-parts"], "the file holds no vocoder", "base model"),
    "a tensor lost": (["missing-keys"], "gpt.gpt.h.1.mlp.c_fc.weight", "undamaged copy"),
    "masks": (["old-attention-masks"], "causal masks", "Convert"),
    "raw training": (["wrapped-names", "training-only-keys"], "begin with xtts.", "Convert"),
    "data parallel": (["wrapped-names"], "begin with module.", "Convert"),
    "alien": (["unexpected-keys"], "emb_g.weight", "XTTS"),
    "restore": (["restore-from-converted"], "lack the prefix xtts.", "continue_path"),
    "inference mode": ([], "", ""),
    "inference file": (["inference-names"], "saved in inference mode", "Convert"),
}  # fmt: skip
CHAINED = [*load_errors.WRONG_CONFIGS, "vocabulary", "no vocoder", "a tensor lost"]


@pytest.fixture(scope="module")
def texts(model_parts, genuine_checkpoint, shared_folder):
    def write(folder: Path) -> Path:
        import torch

        training = torch.load(genuine_checkpoint, weights_only=True)["model"]
        made = load_errors.make(*model_parts, training, folder)
        (folder / "texts.json").write_text(json.dumps(made))
        return folder / "texts.json"

    return json.loads(made_once(shared_folder, "load_errors", write).read_text())


def explained(text):
    return explain(text.encode() if isinstance(text, str) else text)


def codes(explanation, severity="error"):
    return [cause.code for cause in explanation.causes if cause.severity == severity]


def facts(explanation):
    return (
        codes(explanation),
        set(explanation.second_names),
        set(explanation.missing),
        set(explanation.unexpected),
        explanation.mismatched,
    )


def assert_adds_up(explanation):
    """Every name belongs to exactly one cause, and every bogus one is missing."""
    assert sorted(key for cause in explanation.causes for key in cause.keys) == sorted(explanation.names)
    assert set(explanation.names) == {*explanation.missing, *explanation.unexpected, *explanation.mismatched}
    assert set(explanation.second_names) <= set(explanation.missing)


# --- real texts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXPECTED)
def test_a_real_error_is_told_by_its_true_cause(texts, name):
    true_codes, message, hint = EXPECTED[name]
    explanation = explained(texts[name])
    assert codes(explanation) == true_codes
    assert not explanation.cut_off
    assert any(message in cause.message for cause in explanation.causes)
    assert any(hint in cause.hint for cause in explanation.causes)
    assert_adds_up(explanation)


def test_every_real_text_is_expected(texts):
    assert set(texts) == set(EXPECTED)


@pytest.mark.parametrize("name", CHAINED)
def test_the_second_block_alone_tells_the_same(texts, name):
    first, second = texts[name].split(SECOND)
    assert facts(explained(second)) == facts(explained(texts[name]))
    assert codes(explained(first)) == codes(explained(second))
    assert not explained(first).second_names
    assert explained(second).second_names


def test_the_bogus_names_are_those_that_the_model_gained(texts):
    """At 2 layers 36, at 30 layers 372: 12 a layer and 12 more."""
    assert len(explained(texts["inference mode"]).second_names) == 12 * 2 + 12
    assert len(explained(texts["inference mode"]).names) == 36
    assert codes(explained(texts["inference mode"]), "note") == ["inference-mode"]


def wrapped_at(width, end="\n"):
    def wrap(text):
        return end.join(line[at : at + width] for line in text.split("\n") for at in range(0, max(len(line), 1), width))

    return wrap


MANGLED = {
    "80 columns": wrapped_at(80),
    "61 columns, Windows": wrapped_at(61, "\r\n"),
    "indented continuation": lambda text: wrapped_at(90)(text).replace("\n", "\n    "),
    "Windows line ends": lambda text: text.replace("\n", "\r\n"),
    "HTML": html.escape,
    "one logged string": lambda text: json.dumps({"error": text}),
    "repr": repr,
    "timestamps": lambda text: "\n".join(f"2024-05-01 10:11:12,345 - ERROR - {line}" for line in text.split("\n")),
    "rank": lambda text: "\n".join(f"[rank0]: {line}" for line in text.split("\n")),
    "colour": lambda text: "\x1b[31m" + text.replace('", "', '\x1b[0m", "\x1b[1;31m') + "\x1b[0m",
    "markdown": lambda text: "It fails:\n```python\n" + text + "\n```\nWhat do I do? \"Help\", \"please\".",
    "quoted reply": lambda text: "\n".join(f"> {line}" for line in text.split("\n")),
    "smart quotes": lambda text: text.replace(' "', " “").replace('",', "”,").replace('". ', "”. "),
    "two spaces and BOM": lambda text: "\ufeff" + text.replace(", ", ",  "),
}  # fmt: skip


@pytest.mark.parametrize("how", MANGLED)
@pytest.mark.parametrize("name", ["vocabulary", "v1 config", "no vocoder", "raw training", "inference mode"])
def test_what_pasting_does_to_a_text_changes_nothing(texts, name, how):
    mangled = explained(MANGLED[how](texts[name]))
    assert facts(mangled) == facts(explained(texts[name]))
    assert not mangled.cut_off


@pytest.mark.parametrize("how", ["80 columns", "Windows line ends", "timestamps", "colour", "rank"])
def test_the_trainers_lines_survive_pasting_too(texts, how):
    assert facts(explained(MANGLED[how](texts["restore"]))) == facts(explained(texts["restore"]))


def test_powershell_writes_utf_16(texts):
    assert facts(explained(texts["vocabulary"].encode("utf-16"))) == facts(explained(texts["vocabulary"]))


@pytest.mark.parametrize("name", CHAINED)
def test_a_text_cut_inside_the_bogus_names_says_that_the_cause_is_not_in_it(texts, name):
    second = texts[name].split(SECOND)[1]
    start = second.index("gpt.gpt_inference.transformer.h.0.ln_1.weight")
    explanation = explained('Missing key(s) in state_dict: "' + second[start : start + 700])
    assert codes(explanation) == ["cut-off"]
    assert "the true cause stood outside of it" in explanation.causes[0].message
    assert "inspect" in explanation.causes[0].hint
    assert_adds_up(explanation)


def test_a_text_cut_at_the_front_still_tells_its_cause(texts):
    second = texts["vocabulary"].split(SECOND)[1]
    explanation = explained(second[second.index("transformer.h.1.") :])
    assert codes(explanation) == ["vocab-rows"]
    assert codes(explanation, "warning") == ["cut-off"]
    assert len(explanation.second_names) > 15


def test_a_size_mismatch_cut_in_its_shape_still_names_the_vocabulary(texts):
    text = texts["vocabulary"].split(SECOND)[0]
    explanation = explained(text[: text.index("torch.Size")])
    assert codes(explanation) == ["vocab-rows"]
    assert "does not say how many" in explanation.causes[0].message
    assert explanation.mismatched == {"gpt.text_embedding.weight": (None, None)}


def test_names_left_out_by_hand_are_noticed():
    text = 'Error(s) in loading state_dict for Xtts: Missing key(s) in state_dict: "gpt.gpt.wte.weight", "gpt.gpt_inference.transformer.h.0.ln_1.weight", ... '
    assert codes(explained(text)) == ["cut-off"]


def test_bogus_names_alone_from_load_checkpoint_hide_a_first_failure(texts):
    """Xtts.load_checkpoint makes the names only after a load has failed, so their being alone proves that text is lacking."""
    text = texts["vocabulary"].split(SECOND)[1]
    assert codes(explained(text[: text.index("size mismatch")])) == ["cut-off"]


# --- the shapes of public issues, at the real size -----------------------------------------------------------------


def names(parts=("GPT", "conditioning", "vocoder", "speaker encoder"), layers=30):
    """Return names of the key table with their first number from 0 to `layers`, the others 0."""
    found = []
    for part, pattern in KEPT:
        for name in expand(pattern) if part in parts else ():
            count = layers if ".gpt.h.#" in name else 4
            found += [name.replace("#", str(n), 1).replace("#", "0") for n in range(count if "#" in name else 1)]
    return found


def bogus(layers=30):
    inner = [name.removeprefix("gpt.gpt.") for name in names(("GPT",), layers) if name.startswith("gpt.gpt.")]
    ends = ("embeddings.weight", "pos_embedding.emb.weight", "final_norm.weight", "final_norm.bias", "lm_head.0.weight")
    ends += ("lm_head.0.bias", "lm_head.1.weight", "lm_head.1.bias", "transformer.wte.weight")
    inference = [*(f"transformer.{name}" for name in inner), *ends]
    return ["gpt.gpt.wte.weight", *(f"gpt.gpt_inference.{name}" for name in inference)]


def printed(cls="Xtts", missing=(), unexpected=(), mismatched=None):
    """Print as torch's load_state_dict does."""
    lists = (("Missing", missing), ("Unexpected", unexpected))
    lines = [
        f"{word} key(s) in state_dict: {', '.join(f'{chr(34)}{k}{chr(34)}' for k in keys)}. "
        for word, keys in lists
        if keys
    ]
    lines += [
        f"size mismatch for {key}: copying a param with shape torch.Size({list(file)}) from checkpoint, "
        f"the shape in current model is torch.Size({list(model)})."
        for key, (file, model) in (mismatched or {}).items()
    ]
    return f"RuntimeError: Error(s) in loading state_dict for {cls}:\n\t" + "\n\t".join(lines) + "\n"  # fmt: skip


def text_rows(file, model, prefix="gpt."):
    shapes = {f"{prefix}{name}.weight": ((file, 1024), (model, 1024)) for name in ("text_embedding", "text_head")}
    return {**shapes, f"{prefix}text_head.bias": ((file,), (model,))}


def old_weight_norm():
    return [
        name.replace(f"parametrizations.weight.original{n}", f"weight_{letter}")
        for name in names(("vocoder",))
        for n, letter in ((0, "g"), (1, "v"))
        if name.endswith(f"original{n}")
    ]


NEW_WEIGHT_NORM = [name for name in names(("vocoder",)) if ".parametrizations." in name]
LAYER = [name for name in names(("GPT",), 1) if ".h.0." in name]
V2 = [name for name in names(("conditioning",)) if "perceiver" in name]
V1 = ["gpt.prompt_embedding.weight", "gpt.prompt_pos_embedding.emb.weight"]

ISSUES = {
    "372 bogus names": (printed(missing=bogus()), [], "second names", "load it before eval()"),
    "coqui-ai/TTS#3428": (printed(missing=bogus(), mismatched=text_rows(6681, 6153)), ["vocab-rows"],
        "has 6,681 rows, those of v2.0.3; the vocab.json of the model holds 6,153 tokens, those of v2.0.2", "v2.0.3 vocabulary"),
    "webui#63": (printed(missing=bogus(), mismatched=text_rows(6153, 6681)), ["vocab-rows"],
        "6,153 rows, those of v2.0.2", "v2.0.2 vocabulary"),
    "extended vocabulary": (printed(mismatched=text_rows(9200, 6681)), ["vocab-rows"], "has 9,200 rows; the vocab", "The embedding was extended"),
    "extended vocabulary, embedding not": (printed(mismatched=text_rows(6681, 7767)), ["vocab-rows"], "has 6,681 rows, those of v2.0.3; the vocab.json of the model holds 7,767 tokens", "extend the embedding"),
    "Auralis#43": (printed("XTTSv2Engine", mismatched=text_rows(6153, 6681, "")), ["vocab-rows"],
        "text_embedding.weight has 6,153 rows", "Auralis"),
    "coqui-ai/TTS#3177": (printed(missing=[*V1, *bogus()], unexpected=V2, mismatched={
        "gpt.mel_embedding.weight": ((1026, 1024), (8194, 1024)), "gpt.mel_head.weight": ((1026, 1024), (8194, 1024)),
        "gpt.mel_head.bias": ((1026,), (8194,))}), ["config-mismatch"],
        "gpt_num_audio_tokens is 8194, the weights call for 1026; gpt_use_perceiver_resampler is false", "--config"),
    "v1 weights, v2 config": (printed(missing=V2, unexpected=V1), ["config-mismatch"],
        "gpt_use_perceiver_resampler is true, the weights call for false", "--config"),
    "20 layers lost": (printed(missing=[k.replace(".0.", f".{n}.", 1) for n in range(10, 30) for k in LAYER] + bogus()),
        ["config-mismatch"], "gpt_layers is 30, the weights call for 10", "layers 10 to 29 are lost"),
    "a layer lost in the middle": (printed(missing=[k.replace(".0.", ".7.", 1) for k in LAYER] + bogus()),
        ["missing-keys"], "gpt.gpt.h.7.ln_1.weight", "undamaged"),
    "3177, the comment": (printed(missing=old_weight_norm(), unexpected=NEW_WEIGHT_NORM), ["weight-norm-names"],
        "the installed TTS or torch is older than the file", "coqui-tts"),
    "MyHeyGen#36": (printed(missing=old_weight_norm()[:3])[:-4] + ",", ["weight-norm-names"], "older than the file", "coqui-tts"),
    "old file": (printed(missing=NEW_WEIGHT_NORM, unexpected=old_weight_norm()), ["weight-norm-names"],
        "the file is older", "Convert"),
    "coqui-ai/TTS#2976": (printed(unexpected=bogus()[1:8])[:-3], ["inference-names"], "saved in inference mode", "Convert"),
    "Auralis#39": ("ValueError: Missing weights: {'gpt.h.3.mlp.c_fc.weight', 'gpt.h.5.mlp.c_fc.\nweight', 'gpt.h.4.mlp.c_fc.weight', 'gpt.h.29.mlp.c_fc.weight'}",
        ["converter-lost-names"], "its checkpoint_converter.py does not know the names", "--profile auralis"),
    "Auralis#25": (f"ValueError: Missing weights: { {k.removeprefix('gpt.') for k in names(('GPT',)) if k.startswith('gpt.gpt.')} }",
        ["converter-lost-names"], "The checkpoint itself may be whole", "--profile auralis"),
    "no speaker encoder": (printed(missing=names(("speaker encoder",))), ["missing-parts"], "no speaker encoder", "base"),
    "no mel stats": (printed(missing=["mel_stats"]), ["missing-parts"], "no mel stats", "base"),
    "coqui-ai/TTS#3840": (
        "".join(f" | > Layer missing in the checkpoint: {name}\n" for name in ("dvae.decoder.6.bias", "dvae.codebook.embed",
        "torch_mel_spectrogram_dvae.mel_stft.spectrogram.window")) + " | > 1023 / 1026 layers are restored.\n",
        ["restore-from-converted"], "it holds no dvae", "xtts_checkpoint"),
    "old transformers": (printed(missing=["gpt.gpt.h.0.attn.bias", "gpt.gpt.h.0.attn.masked_bias"]),
        ["old-attention-masks"], "the installed transformers is old", "coqui-tts"),
    "another model": (printed("Vits", missing=["flow.a.weight"], unexpected=["emb_g.weight", "enc.b"]),
        ["other-model"], "the class Vits, not about XTTS: 1 name missing, 2 unexpected", ""),
    "only the class": ("RuntimeError: Error(s) in loading state_dict for Xtts:\n", ["cut-off"], "ends after", "inspect"),
}  # fmt: skip


@pytest.mark.parametrize("issue", ISSUES)
def test_errors_of_the_shape_of_public_issues(issue):
    text, true_codes, message, hint = ISSUES[issue]
    for paste in (text, wrapped_at(80)(text)) if "#3840" not in issue else (text,):
        explanation = explained(paste)
        assert codes(explanation) == true_codes
        assert any(message in cause.message for cause in explanation.causes)
        assert any(hint in cause.hint for cause in explanation.causes)
        assert_adds_up(explanation)


def test_the_real_size_has_372_bogus_names():
    assert len(explained(ISSUES["372 bogus names"][0]).second_names) == 372


def test_two_faults_at_once_are_two_causes():
    lost = ["gpt.gpt.h.3.ln_1.bias"]
    explanation = explained(
        printed(
            missing=[*lost, *bogus()], unexpected=["dvae.codebook.embed", "stray"], mismatched=text_rows(6681, 6153)
        )
    )
    assert codes(explanation) == ["training-only-keys", "vocab-rows", "missing-keys", "unexpected-keys"]
    assert_adds_up(explanation)


def test_the_trainer_says_no_shapes_and_none_are_made_up():
    lines = " | > Layer dimention missmatch between model definition and checkpoint: xtts.gpt."
    explanation = explained(f"{lines}text_head.bias\n{lines}mel_head.bias\n | > 1 / 3 layers are restored.")
    assert codes(explanation) == ["vocab-rows", "shape-mismatch"]
    assert all("does not say" in cause.message for cause in explanation.causes)


SYMPTOMS = {
    "_pickle.UnpicklingError: Weights only load failed. ... WeightsUnpickler error: Unsupported global: GLOBAL "
    "TTS.tts.configs.xtts_config.XttsConfig was not an allowed global by default.": ("config-object", "XttsConfig"),
    "RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory": ("bad-container", "truncated"),
    "_pickle.UnpicklingError: invalid load key, '<'.": ("html-page", "web page"),
    "_pickle.UnpicklingError: invalid load key, 'v'.": ("git-lfs-pointer", "Git LFS"),
    "RuntimeError: Invalid magic number; corrupt file?": ("bad-container", "no checkpoint"),
    "RuntimeError: Detected that PyTorch and torchaudio were compiled with different CUDA versions.": ("environment", "CUDA"),
    "ModuleNotFoundError: No module named\n 'torchcodec'": ("environment", "torchcodec"),
    "AttributeError: 'GPT2InferenceModel' object has no attribute 'generate'": ("environment", "transformers"),
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20 MiB": ("out-of-memory", "memory"),
}  # fmt: skip


@pytest.mark.parametrize("text", SYMPTOMS)
def test_failures_that_name_no_tensor_are_known_by_their_words(text):
    code, message = SYMPTOMS[text]
    (cause,) = explained(text).causes
    assert (cause.code, cause.severity) == (code, "error")
    assert message in cause.message
    assert "weights_only=False" not in cause.hint


# --- what is no load error ----------------------------------------------------------------------------------------

JUNK = {
    "empty": b"",
    "blank": b" \r\n\t\n",
    "prose": b"my voice sounds odd, what now?",
    "binary": bytes(range(256)) * 40,
    "broken UTF-16": b"\xff\xfe\x00",
    "JSON": json.dumps({"a.b": ["gpt.gpt.h.0.ln_1.weight", "gpt.gpt.h.0.ln_1.bias"], "model": "xtts"}).encode(),
    "JSON list": json.dumps(["gpt.gpt.h.0.ln_1.weight", "gpt.gpt.h.0.ln_1.bias"]).encode(),
}


@pytest.mark.parametrize("kind", JUNK)
def test_what_is_no_load_error_is_refused_in_words(kind):
    with pytest.raises(ConversionError) as caught:
        explain(JUNK[kind])
    assert caught.value.cause.code == "no-load-error"
    assert "explain" in caught.value.cause.hint


def of_unit(unit, size, end=b""):
    return unit * (size // len(unit)) + end


@pytest.mark.parametrize("unit", [b"> ", b"INFO | loaded\n", b"[rank1]: ", b"x", b"> x\n", b"\x1b[31m", b"&amp;"])
def test_a_log_of_any_size_takes_little_memory_and_time(unit):
    """20 MB of each took 0.6 to 1.8 GB and seconds; now a window of fixed size is read, whatever lies before it."""
    file = io.BytesIO(of_unit(unit, 20_000_000, b"\nKeyError: 'uk'\n"))
    tracemalloc.start()
    began = time.process_time()
    explanation = explain(telling_part(file))
    seconds, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [cause.code for cause in explanation.causes] == ["bad-language"]
    assert peak < 24 * MAX_KEPT_BYTES
    assert seconds < 20


def test_an_error_in_the_middle_of_a_large_log_is_found(texts):
    noise = of_unit(b"epoch 3 step 1200 loss 1.25\n", 10_000_000)
    for encoding in ("utf-8", "utf-16"):
        text = (noise.decode() + texts["vocabulary"] + noise.decode()).encode(encoding)
        part = telling_part(io.BytesIO(text))
        assert len(part) <= MAX_KEPT_BYTES + 1000
        assert codes(explain(part)) == ["vocab-rows"]


def test_a_checkpoint_in_the_place_of_a_text_is_pointed_to_inspect(genuine_checkpoint):
    with pytest.raises(ConversionError, match="binary file"):
        explain(genuine_checkpoint.read_bytes()[:100_000])


def mutated(text, rng):
    """Return the text with a few of: a cut, a piece doubled, lost or moved, bytes changed."""
    data = bytearray(text.encode())
    for _ in range(rng.randint(1, 4)):
        low, high = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        match rng.randrange(5):
            case 0:
                data = data[low:high]
            case 1:
                del data[low : low + rng.randrange(200)]
            case 2:
                data[low:low] = data[high : high + rng.randrange(2000)]
            case 3:
                data[low:low] = bytes(rng.choices(b"\"',.:{}[]()|> \n\r\x1b\x00\xff", k=rng.randrange(60)))
            case 4:
                for _ in range(rng.randrange(50)):
                    data[rng.randrange(len(data))] = rng.randrange(256) if data else 0
        if not data:
            break
    return bytes(data)


def test_no_mutation_of_a_real_text_breaks_it(texts):
    rng = random.Random(20)
    kinds = sorted(texts)
    for _ in range(100):
        data = mutated(texts[rng.choice(kinds)], rng)
        began = time.process_time()
        with contextlib.suppress(ConversionError):
            assert_adds_up(explain(data))
        assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "unit",
    [b" ", b"\n", b'"', b'"a.b",', b"|", b" | > ", b"> ", b"&", b"\x1b[", b"Missing key(s) in state_dict: ", b"a"],
)
def test_a_long_run_of_anything_takes_time_in_proportion(unit):
    began = time.process_time()
    for data in (unit * (500_000 // len(unit)), b'Missing key(s) in state_dict: "' + unit * (500_000 // len(unit))):
        with contextlib.suppress(ConversionError):
            explain(data)
    assert time.process_time() - began < 4


# --- the command --------------------------------------------------------------------------------------------------


def test_the_command_reads_a_file_and_tells_people(texts, tmp_path, capsys):
    (tmp_path / "error.txt").write_text(texts["v1 config"])
    code, out, err = run_cli(capsys, "explain", tmp_path / "error.txt")
    assert (code, out) == (1, "")
    assert "57 names: 36 bogus second names, 21 true" in err
    assert "gpt.gpt_inference.transformer.h.{0-1}.ln_1.weight" in err
    assert "verdict: fail by what the text says" in err


def test_every_text_is_told_to_people_in_words(texts, tmp_path, capsys):
    reported = {name: issue[0] for name, issue in ISSUES.items()}
    for name, text in {**texts, **reported}.items():
        (tmp_path / "error.txt").write_text(text, encoding="utf-8")
        code, _, err = run_cli(capsys, "explain", tmp_path / "error.txt")
        assert code in (0, 1), name
        assert "verdict: " in err


def test_one_document_on_stdout(texts, tmp_path, capsys):
    (tmp_path / "error.txt").write_text(texts["vocabulary"])
    code, out, _ = run_cli(capsys, "explain", tmp_path / "error.txt", "--json")
    document = json.loads(out)
    assert (code, document["schema"], document["verdict"]) == (1, 1, "fail")
    part = document["scare"]
    assert (part["names"], part["bogus"], part["true"], part["cut_off"]) == (39, 36, 3, [])
    assert part["mismatched"][0] == {"key": "gpt.text_embedding.weight", "checkpoint": [65, 128], "model": [66, 128]}
    assert document["source"] is None


def test_second_names_alone_exit_with_0_and_quiet_says_nothing(texts, tmp_path, capsys):
    (tmp_path / "error.txt").write_text(texts["inference mode"])
    assert run_cli(capsys, "explain", tmp_path / "error.txt", "--quiet") == (0, "", "")
    code, _, err = run_cli(capsys, "explain", tmp_path / "error.txt")
    assert code == 0
    assert "verdict: pass" in err


def test_quiet_still_says_what_is_wrong(texts, tmp_path, capsys):
    (tmp_path / "error.txt").write_text(texts["vocabulary"])
    code, _, err = run_cli(capsys, "explain", tmp_path / "error.txt", "--quiet")
    assert code == 1
    assert "[vocab-rows]" in err
    assert "bogus" not in err


def test_standard_input_without_torch_and_fast(texts):
    code = "import sys\nfrom verify.cli import main as cli\ncode = cli.main(['explain'])\nprint(code, sorted({'torch', 'TTS', 'transformers'} & sys.modules.keys()))"
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], input=texts["vocabulary"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "1 []"
    assert time.perf_counter() - began < 20


def test_a_terminal_on_stdin_is_told_how_to_use_it(monkeypatch, capsys):
    stdin = io.StringIO()
    stdin.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", stdin)
    code, _, err = run_cli(capsys, "explain", "--json")
    assert code == 2
    assert "explain < FILE" in err


def test_no_such_file_is_no_traceback(tmp_path, capsys):
    for path in (tmp_path / "none.txt", tmp_path):
        code, _, err = run_cli(capsys, "explain", path)
        assert code == 2
        assert path.name in err


# --- a model in the program's own hands -----------------------------------------------------------------------------


def test_a_model_in_inference_mode_is_told_from_a_file_that_lacks_something(model_parts, tmp_path):
    """`explain_load` on a real Xtts that eval() has changed: its second names are bogus, a tensor that is gone is not."""
    from verify import explain_load
    from verify.coqui.model import build_skeleton
    from verify.source.config import inference_config

    state, config, vocab = model_parts
    model = build_skeleton(inference_config(config, "test"), vocab)
    assert explain_load(model, state).causes == ()
    model.eval()
    explanation = explain_load(model, state)
    assert [cause.code for cause in explanation.causes] == ["inference-mode"]
    assert len(explanation.second_names) == len(explanation.missing) > 20
    lost = {key: value for key, value in state.items() if key != "gpt.final_norm.bias"}
    causes = {cause.code: cause for cause in explain_load(model, lost).causes}
    assert causes["missing-keys"].keys == ("gpt.final_norm.bias",)
