"""One true cause for each thing that goes wrong: made from a genuine run by changing its data, named with both sides."""

import json
import shutil

import pytest

from tests.support.helpers import assert_fault, run_cli, with_a_text_row_more
from verify import resources
from verify.diagnosis import environment
from verify.diagnosis.architecture import UNKNOWABLE

SOUND = ("--expect", "sound", "--text", "Hi.")


def causes_of(out: str) -> dict:
    return {cause["code"]: cause for cause in json.loads(out)["causes"]}


def inspect(capsys, *arguments):
    """Return (exit status, causes by code, stderr) of `inspect`."""
    code, out, err = run_cli(capsys, "inspect", *arguments, "--json")
    return code, causes_of(out), err


@pytest.fixture(scope="session")
def base(converted):
    """The genuine model as the base of others."""
    return converted[0]


def edit_vocab(run, change):
    path = run / "vocab.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


# --- vocabulary against embedding ---------------------------------------------------------------------------------


def test_tokens_without_a_row_are_named(make_run, capsys):
    run = make_run()
    edit_vocab(run, lambda content: content["model"]["vocab"].update({"<new>": 65, "<newer>": 66}))
    code, causes, _ = inspect(capsys, run)
    assert code == 1
    message = causes["vocab-rows"]["message"]
    assert "gpt.text_embedding.weight has 65 rows" in message
    assert "holds 67 tokens" in message
    assert "without a row: <new> (65), <newer> (66)" in message


def test_start_and_stop_beyond_the_rows_come_first(make_run, capsys):
    def fewer_rows(state):
        for name in ("text_embedding.weight", "text_head.weight", "text_head.bias"):
            state[f"xtts.gpt.{name}"] = state[f"xtts.gpt.{name}"][:60]

    _, causes, _ = inspect(capsys, make_run(fewer_rows))
    assert "without a row: [START] (64)" in causes["vocab-rows"]["message"]


@pytest.mark.parametrize(("rows", "tokens", "says"), [(6153, 6681, "v2.0.2"), (6681, 6153, "v2.0.3")])
def test_both_base_versions_are_named_and_which_to_pass(make_run, capsys, rows, tokens, says):
    import torch

    def other_rows(state):
        state["xtts.gpt.text_embedding.weight"] = torch.zeros(rows, 128)

    run = make_run(other_rows)
    edit_vocab(run, lambda content: content["model"]["vocab"].update({f"t{n}": n for n in range(65, tokens)}))
    _, causes, _ = inspect(capsys, run)
    assert f"{rows:,} rows, those of {says}" in causes["vocab-rows"]["message"]
    assert f"{tokens:,} tokens, those of v2.0." in causes["vocab-rows"]["message"]
    hint = f"The rows match the {says} vocabulary: pass that vocab.json with --vocab; that of {says} is at https://huggingface.co/coqui/XTTS-v2/resolve/{says}/vocab.json"
    assert causes["vocab-rows"]["hint"] == hint


def test_another_vocabulary_that_fits_is_offered(make_run, base, capsys):
    run = make_run()
    edit_vocab(run, lambda content: content["model"]["vocab"].update({"<new>": 65}))
    _, causes, _ = inspect(capsys, run, "--base", base)
    assert causes["vocab-rows"]["hint"].startswith(f"{base / 'vocab.json'} (--base) has as many tokens")


def swap(content):
    ids = content["model"]["vocab"]
    ids["a"], ids["b"] = ids["b"], ids["a"]


def test_d12_the_bases_tokens_in_another_order_are_an_error(make_run, base, capsys):
    run = make_run()
    edit_vocab(run, swap)
    assert_fault(
        capsys, run, 1, "2 of the 65 tokens of the base", "a has id 3 there and id 4 here", options=["--base", base]
    )


def test_an_extended_vocabulary_keeps_the_ids_of_the_base(make_run, base, capsys):
    run = make_run(with_a_text_row_more)
    edit_vocab(run, lambda content: content["model"]["vocab"].update({"<new>": 65}))
    code, causes, _ = inspect(capsys, run, "--base", base)
    assert (code, causes) == (0, {})
    edit_vocab(run, swap)
    code, causes, _ = inspect(capsys, run, "--base", base)
    assert (code, causes["vocab-order"]["severity"]) == (0, "warning")


def test_a_language_that_coqui_cannot_clean_is_a_note(make_run, capsys):
    run = make_run()
    edit_vocab(run, lambda content: content["model"]["vocab"].update({"[vi]": content["model"]["vocab"].pop("9")}))
    code, causes, _ = inspect(capsys, run)
    assert code == 0
    assert "[vi], which stock coqui-tts cannot clean" in causes["vocab-languages"]["message"]
    assert causes["vocab-languages"]["severity"] == "note"
    assert_fault(capsys, run, 2, "no sentence in 'vi' is known", options=("--language", "vi"))


def test_the_languages_are_those_that_the_installed_coqui_cleans():
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer

    tokenizer = VoiceBpeTokenizer()
    with pytest.raises(NotImplementedError):
        tokenizer.preprocess_text("xin chào", "vi")
    need_a_package = set()
    for language, sentence in resources.load("sentences").items():
        try:
            assert tokenizer.preprocess_text(sentence["text"].lower(), language.split("-")[0])
        except ImportError:
            need_a_package.add(language)
    assert need_a_package == set(environment.lacking_languages())


def test_e15_a_number_in_hindi_is_more_than_coqui_can_read(make_run, capsys):
    options = ("--text", "1 2 3 a", "--language", "hi")
    assert_fault(capsys, make_run(), 2, "coqui-tts cannot read the text (NotImplementedError", options=options)


def test_e15_a_text_that_the_vocabulary_does_not_know(make_run, tmp_path, capsys):
    arguments = (make_run(), "-o", tmp_path / "out", "--text", "Привет", "--language", "ru", "--json")
    code, out, _ = run_cli(capsys, *arguments)
    check = next(check for check in json.loads(out)["checks"] if check["name"] == "known tokens")
    assert code == 1
    assert check["measured"] > 0.5
    assert not check["ok"]
    assert check["demanded"]


# --- config against weights ---------------------------------------------------------------------------------------

WRONG_FIELDS = {
    "gpt_layers": 3,
    "gpt_n_model_channels": 256,
    "gpt_num_audio_tokens": 2000,
    "gpt_max_audio_tokens": 500,
    "gpt_max_text_tokens": 300,
    "gpt_use_perceiver_resampler": False,
    "decoder_input_dim": 64,
    "d_vector_dim": 256,
    "cond_d_vector_in_each_upsampling_layer": False,
    "output_hop_length": 512,
}


@pytest.mark.parametrize("field", WRONG_FIELDS)
def test_d11_each_field_is_listed_with_what_config_and_weights_say(make_run, model_parts, capsys, field):
    right = model_parts[1]["model_args"].get(field, 256 if field == "output_hop_length" else None)
    right = True if field == "cond_d_vector_in_each_upsampling_layer" else right
    wrong = str(WRONG_FIELDS[field]).lower()
    run = make_run(change_config=lambda config: config["model_args"].update({field: WRONG_FIELDS[field]}))
    code, causes, _ = inspect(capsys, run)
    assert code == 1
    cause = causes[
        "missing-layers" if field == "gpt_layers" else "config-mismatch"
    ]  # both configs say that there were 3
    assert f"{field} is {wrong}, the weights call for {str(right or 512).lower()}" in cause["message"]


def test_d11_every_key_of_a_load_belongs_to_the_config(make_run, capsys):
    def worse(config):
        config["model_args"].update(WRONG_FIELDS)

    document = assert_fault(capsys, make_run(change_config=worse), 1, "does not fit the weights")
    load = document["load"]
    wrong = [*load["missing"], *load["unexpected"], *(item["key"] for item in load["mismatched"])]
    explained = [key for cause in document["causes"] for key in cause["keys"]]
    assert sorted(wrong) == sorted(explained)
    assert len(wrong) > 50
    assert [cause["code"] for cause in document["causes"]] == ["missing-layers", "config-mismatch"]


def test_the_code_stride_shows_in_the_dvae_of_a_training_checkpoint(genuine_run, tmp_path, capsys):
    config = json.loads((genuine_run / "config.json").read_text())
    config["model_args"]["gpt_code_stride_len"] = 512
    (tmp_path / "config.json").write_text(json.dumps(config))
    code, causes, _ = inspect(capsys, genuine_run, "--config", tmp_path / "config.json")
    assert code == 1
    assert "gpt_code_stride_len is 512, the weights call for 1024" in causes["config-mismatch"]["message"]


def test_what_no_shape_tells_is_said_to_be_unknown(converted, genuine_run, capsys):
    assert set(UNKNOWABLE) < set(converted[1].architecture.unknown) | {"gpt_code_stride_len"}
    _, out, err = run_cli(capsys, "inspect", genuine_run, "--json")
    assert json.loads(out)["architecture"]["unknown"] == list(UNKNOWABLE)
    assert "no shape tells, so it is believed: gpt_n_heads 4" in err


def test_heads_that_are_not_those_of_the_config_inside(make_run, tmp_path, capsys):
    run = make_run()
    config = json.loads((run / "config.json").read_text())
    config["model_args"]["gpt_n_heads"] = 8
    (run / "config.json").write_text(json.dumps(config))
    code, causes, _ = inspect(capsys, run)
    assert code == 1
    assert "gpt_n_heads is 8, inside 4" in causes["config-differs"]["message"]
    (run / "config.json").rename(tmp_path / "mine.json")
    code, causes, _ = inspect(capsys, run, "--config", tmp_path / "mine.json")
    assert (code, causes["config-differs"]["severity"]) == (0, "warning")


def test_config_from_weights_mends_every_field_that_they_determine(make_run, model_parts, tmp_path, capsys):
    fields = {field: value for field, value in WRONG_FIELDS.items() if field != "gpt_layers"}
    run, out_folder = make_run(change_config=lambda config: config["model_args"].update(fields)), tmp_path / "out"
    config = json.loads((run / "config.json").read_text())
    config["model_args"]["gpt_layers"] = 5  # of another run: inside the checkpoint it is 2
    (run / "config.json").write_text(json.dumps(config))
    code, out, err = run_cli(capsys, run, "--config-from-weights", "-o", out_folder, "--no-sample", "--json")
    assert code == 0, err
    note = causes_of(out)["config-from-weights"]
    assert "gpt_layers 5 → 2" in note["message"]
    assert "gpt_n_heads 4" in note["hint"]
    written = json.loads((out_folder / "config.json").read_text())["model_args"]
    genuine = model_parts[1]["model_args"]
    assert {field: written[field] for field in WRONG_FIELDS if field in genuine} == {
        field: genuine[field] for field in WRONG_FIELDS if field in genuine
    }


def test_config_from_weights_needs_no_config_at_all(model_parts, tmp_path, capsys):
    import torch

    state, _, vocab = model_parts
    torch.save(state, tmp_path / "bare.pth")
    arguments = (tmp_path / "bare.pth", "--vocab", vocab)
    code, _, err = run_cli(capsys, *arguments, *SOUND)
    assert code == 2
    assert "--config-from-weights" in err
    code, out, err = run_cli(capsys, *arguments, "--config-from-weights", *SOUND, "--json", "--no-sample")
    assert code == 0, err
    assert "gpt_start_audio_token 8192 (the default) → 1024" in causes_of(out)["config-from-weights"]["message"]


# --- missing parts ------------------------------------------------------------------------------------------------


def without(*prefixes):
    return lambda state: {key: value for key, value in state.items() if not key.startswith(prefixes)}


def test_d10_the_base_fills_what_is_missing_and_says_what_came_from_where(make_run, base, tmp_path, capsys):
    import torch

    run = make_run(without("xtts.hifigan_decoder.", "xtts.mel_stats"))
    assert_fault(capsys, run, 1, "holds no vocoder, speaker encoder or mel stats", "--base DIR")
    code, out, err = run_cli(capsys, run, "--base", base, "-o", tmp_path / "out", "--no-sample", "--json")
    assert code == 0, err
    document = json.loads(out)
    filled = {group["reason"]: group["tensors"] for group in document["ledger"]["groups"] if group["fate"] == "filled"}
    assert filled == {
        f"{part}, from {base / 'model.pth'}": count
        for part, count in {"mel stats": 1, "vocoder": 241, "speaker encoder": 295}.items()
    }
    assert document["ledger"]["in"] == document["ledger"]["kept"]
    assert document["source"]["layout"] == "gpt_only"
    ours, theirs = (torch.load(folder / "model.pth")["model"] for folder in (tmp_path / "out", base))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_d10_half_a_part_is_never_filled(make_run, base, capsys):
    run = make_run(without("xtts.hifigan_decoder.waveform_decoder.conv_pre."))
    options = ("--base", base)
    document = assert_fault(capsys, run, 1, "tensors of two trainings do not make one part", options=options)
    assert document["ledger"]["filled"] == 0
    assert sorted(document["load"]["missing"]) == [
        f"hifigan_decoder.waveform_decoder.conv_pre.{name}" for name in ("bias", "weight")
    ]


@pytest.mark.parametrize("prefix", ["gpt.", ""])
def test_d10_a_gpt_saved_by_itself(model_parts, base, tmp_path, capsys, prefix):
    import torch

    state, config, vocab = model_parts
    gpt = {prefix + key.removeprefix("gpt."): value for key, value in state.items() if key.startswith("gpt.")}
    (tmp_path / "run").mkdir()
    torch.save(gpt, tmp_path / "run" / "gpt.pth")
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    shutil.copyfile(vocab, tmp_path / "run" / "vocab.json")
    source = tmp_path / "run" / "gpt.pth"
    assert_fault(capsys, source, 1, "the file holds no vocoder, speaker encoder or mel stats")
    arguments = (source, "--base", base, "-o", tmp_path / "out", "--no-sample", "--json")
    code, out, err = run_cli(capsys, *arguments)
    assert code == 0, err
    assert json.loads(out)["source"]["layout"] == "gpt_only"
    assert json.loads(out)["load"]["strict"]


def test_a_base_without_a_model_fills_nothing_and_is_named(make_run, base, tmp_path, capsys):
    (tmp_path / "base").mkdir()
    shutil.copyfile(base / "vocab.json", tmp_path / "base" / "vocab.json")
    run = make_run(without("xtts.hifigan_decoder."))
    options = ("--base", tmp_path / "base")
    assert_fault(capsys, run, 1, f"{tmp_path / 'base'} (--base) holds no model with them", options=options)


def test_a_gpt_that_is_all_the_bases_is_a_warning(make_run, base, capsys):
    run = make_run(without("xtts.gpt."))
    code, causes, _ = inspect(capsys, run, "--base", base)
    assert (code, causes["filled"]["severity"]) == (0, "warning")
    assert "GPT (36 tensors)" in causes["filled"]["message"]
    assert "this speaks as the base does" in causes["filled"]["hint"]


def test_a_fault_of_the_base_is_not_told_as_one_of_the_file(make_run, base, tmp_path, capsys):
    import torch

    state = torch.load(base / "model.pth")
    state["model"]["hifigan_decoder.waveform_decoder.conv_pre.bias"] = torch.zeros(64)
    (tmp_path / "base").mkdir()
    torch.save(state, tmp_path / "base" / "model.pth")
    run = make_run(without("xtts.hifigan_decoder."))
    assert_fault(capsys, run, 1, "model.pth): hifigan", "pass another --base", options=("--base", tmp_path / "base"))


def test_a_lost_vocoder_layer_is_not_another_hop_length(make_run, capsys):
    run = make_run(without("xtts.hifigan_decoder.waveform_decoder.ups.0."))
    document = assert_fault(capsys, run, 1, "the file lacks 3 tensors that the model needs")
    assert [cause["code"] for cause in document["causes"]] == ["missing-keys"]


def test_inspect_names_what_is_lost_without_a_model_to_compare_with(make_run, capsys):
    run = make_run(without("xtts.gpt.final_norm.", "xtts.gpt.gpt.h.1.ln_1."))
    code, causes, _ = inspect(capsys, run)
    assert code == 1
    assert causes["missing-keys"]["keys"] == [
        *(f"gpt.final_norm.{name}" for name in ("bias", "weight")),
        *(f"gpt.gpt.h.1.ln_1.{name}" for name in ("bias", "weight")),
    ]


def test_layers_lost_at_the_end_are_not_taken_for_a_smaller_model(make_run, capsys):
    run = make_run(without("xtts.gpt.gpt.h.1."))
    options = ("--config-from-weights",)
    assert_fault(capsys, run, 1, "GPT layer 1 of 0-1 is not in the file", "agrees", options=options)


def test_special_tokens_that_share_an_id_are_an_error(make_run, capsys):
    run = make_run()
    edit_vocab(run, lambda content: content["model"]["vocab"].pop("[STOP]"))
    code, causes, _ = inspect(capsys, run)
    assert code == 1
    assert "[START] and [STOP] both have id 64" in causes["vocab-special"]["message"]


def test_v1_and_v2_mixed_up_are_one_cause_with_all_fields(make_run, capsys):
    old = {"gpt_num_audio_tokens", "gpt_start_audio_token", "gpt_stop_audio_token", "gpt_use_perceiver_resampler"}

    def v1(config):
        config["model_args"] = {key: value for key, value in config["model_args"].items() if key not in old}

    code, causes, _ = inspect(capsys, make_run(change_config=v1))
    assert code == 1
    assert list(causes) == ["config-mismatch"]
    message = causes["config-mismatch"]["message"]
    assert "the weights are XTTS v2, the config is one of v1" in message
    assert "gpt_start_audio_token is 8192 (the default), the weights call for 1024" in message


def test_parts_of_two_sizes_are_named(make_run, base, capsys):
    def narrow(state):
        key = "xtts.hifigan_decoder.waveform_decoder.conv_pre.weight"
        state[key] = state[key][:, :64].clone()

    document = assert_fault(capsys, make_run(narrow), 1, "takes latents of width 64, the GPT makes them 128 wide")
    assert document["load"]["strict"] is False


# --- nothing was trained ------------------------------------------------------------------------------------------


def test_a_gpt_that_equals_the_base_is_a_warning(make_run, base, capsys):
    code, out, err = run_cli(capsys, "inspect", make_run(), "--base", base, "--json")
    assert code == 0
    assert "training changed nothing" in causes_of(out)["unchanged"]["message"]
    parts = {part["part"]: (part["identical"], part["tensors"]) for part in json.loads(out)["base"]["parts"]}
    assert parts["GPT"] == (36, 36)
    assert "GPT 36 of 36" in err


def test_one_trained_tensor_is_enough(make_run, base, capsys):
    def train(state):
        state["xtts.gpt.final_norm.bias"] = state["xtts.gpt.final_norm.bias"] + 0.1

    _, out, _ = run_cli(capsys, "inspect", make_run(train), "--base", base, "--json")
    assert "unchanged" not in causes_of(out)
    parts = {part["part"]: (part["identical"], part["tensors"]) for part in json.loads(out)["base"]["parts"]}
    assert parts["GPT"] == (35, 36)


def check_named(document, name):
    return next(check for check in document["checks"] if check["name"] == name)


def test_d9_a_zeroed_vocoder_loads_and_fails(make_run, tmp_path, capsys):
    import torch

    def zero(state):
        for key in state:
            if key.startswith("xtts.hifigan_decoder.waveform_decoder.resblocks."):
                state[key] = torch.zeros_like(state[key])

    code, out, err = run_cli(capsys, make_run(zero), "-o", tmp_path / "out", *SOUND, "--json")
    assert code == 1
    assert json.loads(out)["load"]["strict"]
    check = check_named(json.loads(out), "no zeroed weights")
    assert (check["ok"], check["demanded"]) == (False, True)
    assert check["measured"] > 100
    assert "check failed: no zeroed weights" in err


def test_d9_weights_at_their_initial_values_fail_where_speech_is_expected(make_run, tmp_path, capsys):
    import torch

    def untrain(state):
        for key in state:
            if ".ln_" in key or "final_norm" in key:
                state[key] = torch.full_like(state[key], 1.0 if key.endswith("weight") else 0.0)
            elif ".gpt.gpt.h." in key and key.endswith(".bias"):
                state[key] = torch.zeros_like(state[key])

    code, out, err = run_cli(capsys, make_run(untrain), "-o", tmp_path / "out", "--text", "Hi.", "--json")
    assert code == 1
    check = check_named(json.loads(out), "trained values")
    assert (check["ok"], check["demanded"]) == (False, True)
    assert "GPT" in check["hint"]
    assert "check failed: trained values" in err


def test_the_initial_values_are_those_of_a_live_model():
    from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
    from TTS.tts.models.xtts import Xtts

    from verify.diagnosis.weights_check import initial_value

    args = XttsArgs(
        gpt_layers=2, gpt_n_model_channels=64, gpt_n_heads=4, decoder_input_dim=64, gpt_number_text_tokens=30,
        gpt_start_text_token=1, gpt_stop_text_token=0, gpt_use_perceiver_resampler=True,
    )  # fmt: skip
    state = Xtts(XttsConfig(model_args=args)).state_dict()
    constant = {
        key: float(value.flatten()[0])
        for key, value in state.items()
        if value.is_floating_point() and bool((value == value.flatten()[0]).all())
    }
    ours = {key: initial_value(key) for key in state if initial_value(key) is not None}
    assert ours.items() <= constant.items()
    # Names in which the same number stands for a random layer elsewhere are left out.
    assert {key for key in constant if key not in ours} <= {
        key for key in constant if ".attention.2." in key or "downsample.1" in key
    }


def test_a_scale_far_from_the_base_fails(make_run, base, tmp_path, capsys):
    def blow_up(state):
        state["xtts.gpt.mel_head.weight"] = state["xtts.gpt.mel_head.weight"] * 100

    options = ("--base", base, "--no-sample", "-o", tmp_path / "out", "--json")
    code, out, err = run_cli(capsys, make_run(blow_up), *options)
    assert code == 1
    check = check_named(json.loads(out), "scale of the base")
    assert check["measured"] == pytest.approx(100, rel=0.01)
    assert "gpt.mel_head.weight" in err


# --- layouts ------------------------------------------------------------------------------------------------------


def old_masks(state):
    import torch

    for layer in range(2):
        state[f"xtts.gpt.gpt.h.{layer}.attn.bias"] = torch.ones(1, 1, 8, 8, dtype=torch.bool)
        state[f"xtts.gpt.gpt.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)


def old_weight_norm(state):
    for key in list(state):
        for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
            if key.endswith(f".parametrizations.weight.{new}"):
                state[key.replace(f"parametrizations.weight.{new}", old)] = state.pop(key)


def wrapped(prefix):
    return lambda state: {prefix + key: value for key, value in state.items()}


def in_inference_mode(state):
    for key in list(state):
        if ".gpt.gpt.h." in key:
            state[key.replace(".gpt.gpt.", ".gpt.gpt_inference.transformer.")] = state[key]


LAYOUTS = {
    "trainer": None,
    "data parallel": wrapped("module."),
    "compiled": wrapped("_orig_mod."),
    "compiled in parallel": wrapped("module._orig_mod."),
    "old attention masks": old_masks,
    "old weight norm": old_weight_norm,
    "inference mode": in_inference_mode,
    "float16": lambda state: {
        key: value.half() if value.is_floating_point() else value for key, value in state.items()
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_d13_every_layout_becomes_the_same_model_and_converting_again_changes_nothing(
    make_run, base, tmp_path, capsys, layout
):
    import torch

    run = make_run(LAYOUTS[layout])
    first, second = tmp_path / "first", tmp_path / "second"
    assert run_cli(capsys, run, "--no-verify", "-o", first)[0] == 0
    assert run_cli(capsys, first, "--no-verify", "-o", second)[0] == 0
    assert (first / "model.pth").read_bytes() == (second / "model.pth").read_bytes()
    assert (first / "config.json").read_bytes() == (second / "config.json").read_bytes()
    ours, genuine = (torch.load(folder / "model.pth")["model"] for folder in (second, base))
    assert ours.keys() == genuine.keys()
    if layout != "float16":
        assert all(torch.equal(ours[key], genuine[key]) for key in genuine)


# --- environment --------------------------------------------------------------------------------------------------


def test_e17_a_broken_cache_is_the_environments_fault(make_run, tmp_path, capsys, monkeypatch):
    """Break what a wrong transformers breaks: the position of a token that is generated from the cache."""
    from TTS.tts.layers.xtts.gpt import LearnedPositionEmbeddings

    right = LearnedPositionEmbeddings.get_fixed_embedding
    monkeypatch.setattr(
        LearnedPositionEmbeddings, "get_fixed_embedding", lambda self, place, device: right(self, place + 1, device)
    )
    code, out, err = run_cli(capsys, make_run(), "-o", tmp_path / "out", *SOUND, "--json")
    assert code == 2, err
    assert "environment, not checkpoint: cached generation is off by" in err
    assert "torch 2.11" in err
    assert not (tmp_path / "out").exists()
    assert json.loads(out)["verdict"] == "error"
