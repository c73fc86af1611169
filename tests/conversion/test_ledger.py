"""The key table is true: held against a live Xtts of the installed coqui-tts, and against coqui's own conversion."""

import pytest

from tests.support.helpers import tensor_record
from verify.checkpoint.archive import read_archive
from verify.checkpoint.equality import same_bytes
from verify.conversion import key_map
from verify.conversion.ledger import ALIAS, DROPPED, KEPT, RENAMED, UNKNOWN, build_ledger
from verify.errors import LedgerError


def fates(*keys: str, equal: bool = True) -> dict[str, tuple[str, str]]:
    ledger = build_ledger([tensor_record(key) for key in keys], lambda a, b: equal)
    return {entry.record.key: (entry.fate, entry.target) for entry in ledger.entries}


@pytest.fixture(scope="module")
def live_models():
    """A v2 and a v1 Xtts of 2 narrow layers, before inference mode."""
    from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
    from TTS.tts.models.xtts import Xtts

    models = {}
    for version, perceiver in (("v2", True), ("v1", False)):
        args = XttsArgs(
            gpt_layers=2, gpt_n_model_channels=64, gpt_n_heads=4, decoder_input_dim=64, gpt_number_text_tokens=30,
            gpt_start_text_token=1, gpt_stop_text_token=0, gpt_use_perceiver_resampler=perceiver,
        )  # fmt: skip
        models[version] = Xtts(XttsConfig(model_args=args))
    return models


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_every_name_of_a_live_model_is_kept_by_a_line(live_models, version):
    unknown = [key for key in live_models[version].state_dict() if key_map.part_of(key) is None]
    assert unknown == []


def test_no_line_of_the_table_keeps_a_name_that_no_model_has(live_models):
    live = {key_map._NUMBER.sub("#", key) for model in live_models.values() for key in model.state_dict()}
    assert set(key_map._kept()) - live == set()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_aliases_are_the_same_parameter_in_a_live_model(live_models, version):
    """In inference mode coqui gives tensors second names; ours must lead each of them to the very same object."""
    model = live_models[version]
    before = set(model.state_dict())
    model.gpt.init_gpt_for_inference()
    live = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))
    added = [key for key in model.state_dict() if key not in before]
    assert len(added) > 20
    for key in added:
        target = key_map.alias_target(key)
        assert target is not None, key
        assert live[key] is live[target], f"{key} is not {target}"


def test_the_number_of_bogus_names_in_the_readme():
    """At 30 layers, the real depth, inference mode adds 372 second names: the wall of "missing keys"."""
    from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
    from TTS.tts.models.xtts import Xtts

    args = XttsArgs(
        gpt_layers=30, gpt_n_model_channels=32, gpt_n_heads=4, decoder_input_dim=32, gpt_number_text_tokens=30,
        gpt_start_text_token=1, gpt_stop_text_token=0, gpt_use_perceiver_resampler=True,
    )  # fmt: skip
    model = Xtts(XttsConfig(model_args=args))
    before = set(model.state_dict())
    model.gpt.init_gpt_for_inference()
    assert len(set(model.state_dict()) - before) == 372


def test_our_kept_set_is_coquis_own_by_name_and_bytes(genuine_checkpoint, converted, live_models, tmp_path):
    import shutil

    import torch

    copy = tmp_path / "copy.pth"
    shutil.copyfile(genuine_checkpoint, copy)  # coqui may rewrite what it is handed
    theirs = live_models["v2"].get_compatible_checkpoint_state_dict(copy)
    ours = torch.load(converted[0] / "model.pth", weights_only=True)["model"]
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        assert value.dtype == theirs[key].dtype
        assert torch.equal(value, theirs[key]), key


def test_a_genuine_run_adds_up(genuine_checkpoint):
    archive = read_archive(genuine_checkpoint)
    ledger = build_ledger(archive.tensors, same_bytes)
    assert len(archive.tensors) == sum(ledger.count(fate) for fate in (KEPT, RENAMED, ALIAS, DROPPED))
    assert ledger.count(UNKNOWN) == 0
    assert ledger.count(DROPPED) == 60
    assert sum(group.tensors for group in ledger.groups()) == len(archive.tensors)
    assert sum(group.bytes for group in ledger.groups()) == sum(item.bytes for item in archive.tensors)


def test_wrappers_come_off_the_front_only():
    assert key_map.normalise("module._orig_mod.xtts.gpt.final_norm.bias").text == "gpt.final_norm.bias"
    assert key_map.normalise("gpt.xtts.final_norm.bias").text == "gpt.xtts.final_norm.bias"


@pytest.mark.parametrize(
    ("key", "fate", "target"),
    [
        ("xtts.gpt.gpt.h.29.mlp.c_fc.weight", KEPT, "gpt.gpt.h.29.mlp.c_fc.weight"),
        ("gpt.gpt.h.3.attn.c_attn.bias", KEPT, "gpt.gpt.h.3.attn.c_attn.bias"),
        ("gpt.gpt.h.3.attn.bias", DROPPED, "gpt.gpt.h.3.attn.bias"),
        ("gpt.gpt.h.3.attn.masked_bias", DROPPED, "gpt.gpt.h.3.attn.masked_bias"),
        ("dvae.encoder.0.0.weight", DROPPED, "dvae.encoder.0.0.weight"),
        (
            "torch_mel_spectrogram_dvae.mel_stft.spectrogram.window",
            DROPPED,
            "torch_mel_spectrogram_dvae.mel_stft.spectrogram.window",
        ),
        ("gpt.gpt.wte.weight", RENAMED, "gpt.mel_embedding.weight"),
        ("gpt.gpt_inference.lm_head.1.bias", RENAMED, "gpt.mel_head.bias"),
        ("gpt.gpt_inference.lm_head.0.bias", RENAMED, "gpt.final_norm.bias"),
        ("gpt.gpt_inference.transformer.h.0.ln_1.bias", RENAMED, "gpt.gpt.h.0.ln_1.bias"),
        ("gpt.gpt_inference.transformer.wte.weight", RENAMED, "gpt.mel_embedding.weight"),
        ("gpt.gpt_inference.transformer.h.0.attn.bias", DROPPED, "gpt.gpt_inference.transformer.h.0.attn.bias"),
        (
            "hifigan_decoder.waveform_decoder.ups.0.weight_g",
            RENAMED,
            "hifigan_decoder.waveform_decoder.ups.0.parametrizations.weight.original0",
        ),
        ("gpt.gpt_inference.unheard_of.weight", UNKNOWN, "gpt.gpt_inference.unheard_of.weight"),
        ("something.else", UNKNOWN, "something.else"),
    ],
)
def test_one_fate_for_each_name(key, fate, target):
    assert fates(key)[key] == (fate, target)


def test_three_aliases_of_one_absent_tensor_give_one_weight_and_two_duplicates():
    names = ("gpt.gpt.wte.weight", "gpt.gpt_inference.embeddings.weight", "gpt.gpt_inference.transformer.wte.weight")
    assert [fate for fate, _ in fates(*names).values()] == [RENAMED, ALIAS, ALIAS]


def test_an_alias_that_differs_is_refused():
    with pytest.raises(
        LedgerError, match=r"gpt\.gpt\.wte\.weight should be the same tensor as gpt\.mel_embedding\.weight"
    ):
        fates("gpt.gpt.wte.weight", "gpt.mel_embedding.weight", equal=False)
