"""`load_xtts` gives a ready model without a file, and the base speaks beside the tuned one."""

import json

import pytest

from tests.support.helpers import fingerprint, run_cli
from verify import ConversionError, load_xtts


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


def test_the_base_speaks_too_where_one_is_given(make_run, converted, tmp_path, capsys):
    """With the same weights, sentence and seed it must come as near to the reference, by the same encoder."""
    options = ("--base", converted[0], "--text", "so.", "--expect", "sound", "-o", tmp_path / "out", "--json")
    _, out, err = run_cli(capsys, make_run(), *options)
    document = json.loads(out)
    assert document["seconds"]["base"] > 0, err
    assert document["sample"]["speaker_similarity_of_base"] == document["sample"]["speaker_similarity"]
