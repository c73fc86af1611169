"""`load_xtts` gives a ready model without a file, and the base speaks beside the tuned one."""

import json

import pytest

from tests.support.helpers import fingerprint, run_cli
from verify import ConversionError, load_xtts, verify


def test_a_training_checkpoint_becomes_a_ready_model_without_a_file(genuine_run, converted, tmp_path):
    import torch

    before = fingerprint(genuine_run)
    model = load_xtts(genuine_run)
    assert fingerprint(genuine_run) == before
    written = torch.load(converted[0] / "model.pth")["model"]
    state = model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in written.items())
    assert hasattr(model.gpt, "gpt_inference")
    latents, embedding = torch.randn(1, 32, 128), torch.randn(1, 512, 1)
    model.gpt.max_gen_mel_tokens = 8
    assert len(model.inference("so.", "en", latents, embedding)["wav"])


def test_voices_of_the_folder_are_known_by_name(make_run):
    import torch

    run = make_run()
    voice = {"speaker_embedding": torch.randn(1, 512, 1), "gpt_cond_latent": torch.randn(1, 32, 128)}
    torch.save({"Ana": voice}, run / "speakers_xtts.pth")
    known = load_xtts(run).speaker_manager.speakers["Ana"]
    assert list(known) == ["gpt_cond_latent", "speaker_embedding"]  # coqui takes them by position
    assert torch.equal(known["gpt_cond_latent"], voice["gpt_cond_latent"])


def test_what_does_not_load_raises_its_true_cause(make_run):
    def narrow(config):
        config["model_args"]["gpt_layers"] = 3

    with pytest.raises(ConversionError, match="gpt_layers is 3, the weights call for 2"):
        load_xtts(make_run(change_config=narrow))


def whole_numbers(state):
    state["xtts.gpt.final_norm.weight"] = state["xtts.gpt.final_norm.weight"].long()


def not_a_number(state):
    state["xtts.gpt.final_norm.weight"] = state["xtts.gpt.final_norm.weight"] * float("nan")


def too_much(state):
    state["xtts.gpt.final_norm.scale"] = state["xtts.gpt.final_norm.weight"].clone()


def too_little(state):
    del state["xtts.gpt.final_norm.weight"]


def too_narrow(state):
    state["xtts.gpt.final_norm.weight"] = state["xtts.gpt.final_norm.weight"][:-1].clone()


@pytest.mark.parametrize("change", [whole_numbers, not_a_number, too_much, too_little, too_narrow])
def test_load_xtts_and_verify_refuse_the_same_files_for_the_same_reason(make_run, change):
    run = make_run(change)
    with pytest.raises(ConversionError) as refused:
        load_xtts(run)
    causes = [cause for cause in verify(run, sample=False).causes if cause.severity == "error"]
    assert refused.value.cause == causes[0]


def test_whole_numbers_in_place_of_floats_are_refused_by_name(make_run):
    with pytest.raises(ConversionError, match=r"gpt\.final_norm\.weight holds int64 values in the file and float32"):
        load_xtts(make_run(whole_numbers))


def test_the_base_speaks_too_where_one_is_given(make_run, converted, tmp_path, capsys):
    """With the same weights, sentence and seed it must come as near to the reference, by the same encoder."""
    options = ("--base", converted[0], "--text", "so.", "--expect", "sound", "-o", tmp_path / "out", "--json")
    _, out, err = run_cli(capsys, make_run(), *options)
    document = json.loads(out)
    assert document["seconds"]["base"] > 0, err
    assert document["sample"]["speaker_similarity_of_base"] == document["sample"]["speaker_similarity"]
