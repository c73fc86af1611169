"""Each row of faults.md that this version promises, by its id. `assert_fault` holds the invariants of every row."""

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import soundfile

from tests.support.helpers import (
    ROOT,
    TINY_CONFIG,
    assert_fault,
    fingerprint,
    member_span,
    rewrite_zip,
    run_cli,
    save_tiny,
    tiny_state,
)
from verify.checkpoint import allowlist

# --- A: not what it should be -------------------------------------------------------------------------------------


def test_a1_missing_path_names_near_ones(tmp_path, capsys):
    save_tiny(tmp_path / "best_model_100.pth")
    code, _, err = run_cli(capsys, tmp_path / "best_model_10.pth")
    assert code == 2
    assert "best_model_10.pth is not there" in err
    assert "Did you mean" in err
    assert "best_model_100.pth" in err


def test_a2_folder_without_checkpoint(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("x")
    assert_fault(capsys, tmp_path, 2, "holds no checkpoint", "best_model_N.pth", "notes.txt")


def test_a2_folder_of_runs_names_them(tmp_path, capsys):
    for name in ("XTTS_FT-1", "run/training/XTTS_FT-2"):
        save_tiny(tmp_path / name / "best_model_3.pth")
    assert_fault(capsys, tmp_path, 2, "Pass one of the runs below it", "XTTS_FT-1", "training/XTTS_FT-2")


def test_a2_out_path_of_the_trainer_means_the_only_run_below_it(tmp_path, capsys):
    run = save_tiny(tmp_path / "run" / "training" / "XTTS_FT-1" / "best_model_3.pth").parent
    save_tiny(tmp_path / "run" / "training" / "XTTS_v2.0_original_model_files" / "model.pth")
    _, out, err = run_cli(capsys, "inspect", tmp_path, "--json")
    assert json.loads(out)["source"]["path"] == str(run / "best_model_3.pth"), err
    assert f"the only run below it is {run} [run-below]" in err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_a3_fifo_is_refused_before_it_is_opened(tmp_path, capsys):
    fifo = tmp_path / "model.pth"
    os.mkfifo(fifo)
    assert_fault(capsys, fifo, 2, "is a FIFO")


def test_a3_device(capsys):
    if not Path("/dev/zero").exists():
        pytest.skip("no /dev/zero")
    code, _, err = run_cli(capsys, "/dev/zero")
    assert code == 2
    assert "is a device" in err


def refused(capsys, folder: Path, content: bytes, *says: str) -> None:
    """Hold the refusal of a file of this content under a checkpoint's name."""
    (folder / "best_model_1.pth").write_bytes(content)
    assert_fault(capsys, folder / "best_model_1.pth", 2, *says)


def test_a4_an_empty_file(tmp_path, capsys):
    refused(capsys, tmp_path, b"", "is empty")


def test_a5_a_git_lfs_pointer(tmp_path, capsys):
    refused(capsys, tmp_path, b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "git lfs pull")


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html><body>404</body></html>", b"\n  <html><head></head></html>"])
def test_a6_a_web_page(tmp_path, capsys, page):
    refused(capsys, tmp_path, page, "is a web page")


@pytest.mark.parametrize("content", [bytes(4096), bytes(range(256)) * 16])
def test_a7_zeros_and_random_bytes(tmp_path, capsys, content):
    refused(capsys, tmp_path, content, "not a torch checkpoint")


def test_a7_json(tmp_path, capsys):
    refused(capsys, tmp_path, b'{"a": 1}' * 40, "is a JSON file")


def test_a8_the_format_is_told_by_content(tmp_path, capsys):
    from safetensors.torch import save_file

    save_file({key: value.contiguous() for key, value in tiny_state().items()}, tmp_path / "model.pth")
    save_tiny(tmp_path / "other.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(TINY_CONFIG))
    for name, layout in (("model.pth", "gpt_only"), ("other.safetensors", "gpt_only")):
        code, out, _ = run_cli(capsys, "inspect", tmp_path / name, "--json")
        document = json.loads(out)
        assert document["source"]["layout"] == layout
        assert document["ledger"]["in"] == 4
        assert code == 1  # a config of width 128 for weights of width 4


def test_c1_a_pickled_module_is_asked_for_its_state_dict(tmp_path, capsys):
    import torch

    path = tmp_path / "x.pth"
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()), path)
    assert_fault(capsys, path, 2, "torch.nn.modules.linear.Linear", "ask for its state_dict()")


def test_a9_torchscript(tmp_path, capsys):
    import torch

    path = tmp_path / "model.pth"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))
    assert_fault(capsys, path, 2, "TorchScript")


def test_a10_legacy_format(tmp_path, capsys):
    import torch

    path = tmp_path / "old.pth"
    torch.save({"model": tiny_state()}, path, _use_new_zipfile_serialization=False)
    assert_fault(capsys, path, 2, "before version 1.6", "re-save")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            lambda torch: {
                "voice": {"gpt_cond_latent": torch.rand(1, 32, 4), "speaker_embedding": torch.rand(1, 4, 1)}
            },
            "looks like speakers_xtts.pth",
        ),
        (lambda torch: torch.rand(80), "looks like mel_stats.pth"),
        (lambda torch: {"base.lora_A.weight": torch.rand(2, 2), "base.lora_B.weight": torch.rand(2, 2)}, "LoRA"),
        (
            lambda torch: {
                "codebook.embed": torch.rand(2, 2),
                "encoder.0.0.weight": torch.rand(2),
                "decoder.0.weight": torch.rand(2),
            },
            "dvae.pth",
        ),
    ],
)
def test_a11_other_files_of_xtts(tmp_path, capsys, content, says):
    import torch

    torch.save(content(torch), tmp_path / "x.pth")
    (tmp_path / "config.json").write_text(json.dumps(TINY_CONFIG))
    assert_fault(capsys, tmp_path / "x.pth", 2, says)


# --- B: damaged containers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_b1_truncated_says_both_sizes(tmp_path, capsys, share):
    path = save_tiny(tmp_path / "best_model_3.pth")
    size = path.stat().st_size
    os.truncate(path, int(size * share))
    needed = sum(value.numel() * value.element_size() for value in tiny_state().values())
    assert_fault(capsys, path, 2, "truncated", f"{int(size * share):,} bytes are there", f"{needed:,} bytes")


def test_b2_one_flipped_byte_names_the_key(tmp_path, capsys, make_run):
    import torch

    run = make_run()
    checkpoint = run / "best_model_7.pth"
    start, size = member_span(checkpoint, "/data/0")
    data = bytearray(checkpoint.read_bytes())
    data[start + size // 2] ^= 0x10
    checkpoint.write_bytes(data)
    torch.load(checkpoint, weights_only=True)  # torch accepts it in silence, which is why the check is ours
    document = assert_fault(capsys, run, 2, "is damaged", "CRC-32 stored", "computed")
    assert document["causes"][0]["keys"][0].startswith("xtts.")


def test_b3_compressed_member(tmp_path, capsys):
    path = rewrite_zip(save_tiny(tmp_path / "x.pth"), lambda name, data: data, zipfile.ZIP_DEFLATED)
    assert_fault(capsys, path, 2, "is compressed")


def test_b4_a_compressed_bomb_is_refused_by_its_directory(tmp_path, capsys):
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x/data.pkl", "w") as member:
        for _ in range(40):
            member.write(bytes(10**7))
    assert path.stat().st_size < 600_000
    assert_fault(capsys, path, 2, "is compressed", "400,000,000 bytes")


def test_b5_member_shorter_than_its_tensor(tmp_path, capsys):
    path = rewrite_zip(save_tiny(tmp_path / "x.pth"), lambda name, data: data[:-4] if name.endswith("data/0") else data)
    assert_fault(capsys, path, 2, "declares 320 bytes", "stores 316")


def test_b6_member_longer_than_its_storage(tmp_path, capsys):
    path = rewrite_zip(
        save_tiny(tmp_path / "x.pth"), lambda name, data: data + b"1234" if name.endswith("data/0") else data
    )
    assert_fault(capsys, path, 2, "declares 320 bytes", "stores 324")


@pytest.mark.parametrize("name", ["data/1", "data.pkl"])
def test_b7_missing_member(tmp_path, capsys, name):
    path = rewrite_zip(save_tiny(tmp_path / "x.pth"), lambda member, data: None if member.endswith(name) else data)
    assert_fault(capsys, path, 2, f"{name} is missing")


def test_b8_duplicate_member(tmp_path, capsys):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = rewrite_zip(
            save_tiny(tmp_path / "x.pth"), lambda name, data: [data, data] if name.endswith("data/0") else data
        )
    assert_fault(capsys, path, 2, "is in the container twice")


def test_b9_member_outside_the_file(tmp_path, capsys):
    path = save_tiny(tmp_path / "x.pth")
    data = bytearray(path.read_bytes())
    entry = data.rfind(b"PK\x01\x02")
    data[entry + 42 : entry + 46] = struct.pack("<I", len(data) + 1000)
    path.write_bytes(data)
    assert_fault(capsys, path, 2, "overlaps what begins at byte")


@pytest.mark.parametrize("order", [b"big", b"junk"])
def test_b10_byte_order(tmp_path, capsys, order):
    path = rewrite_zip(save_tiny(tmp_path / "x.pth"), lambda name, data: order if name.endswith("byteorder") else data)
    assert_fault(capsys, path, 2, "member byteorder says")


def test_b11_no_checksums_is_a_warning(tmp_path, capsys):
    import torch

    torch.serialization.set_crc32_options(False)
    try:
        path = save_tiny(tmp_path / "x.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    _, out, err = run_cli(capsys, "inspect", path, "--json")
    codes = [cause["code"] for cause in json.loads(out)["causes"]]
    if "no-checksums" not in codes:  # torch may have written true checksums all the same
        with zipfile.ZipFile(path) as archive:
            assert any(info.CRC for info in archive.infolist())
            pytest.skip("this torch writes checksums even when told not to")
    assert "no checksums" in err


def test_b12_bytes_after_the_end_are_a_warning(tmp_path, capsys):
    path = save_tiny(tmp_path / "x.pth")
    path.write_bytes(path.read_bytes() + b"x" * 100)
    _, out, _ = run_cli(capsys, "inspect", path, "--json")
    assert "trailing-bytes" in [cause["code"] for cause in json.loads(out)["causes"]]


def test_b13_index_beyond_the_limit(tmp_path, capsys):
    path = rewrite_zip(
        save_tiny(tmp_path / "x.pth"), lambda name, data: b"N" * (17 * 2**20) if name.endswith("data.pkl") else data
    )
    assert_fault(capsys, path, 2, "is the limit")


@pytest.mark.parametrize("nested", [b"]" * 3_000_000, b"(" * 1000, b"]" + b"]a" * 300_000])
def test_b13_nested_index(tmp_path, capsys, nested):
    pickled = b"\x80\x02" + nested + b"."
    path = rewrite_zip(save_tiny(tmp_path / "x.pth"), lambda name, data: pickled if name.endswith("data.pkl") else data)
    assert_fault(capsys, path, 2)


# --- C: hostile or odd pickles ------------------------------------------------------------------------------------


class _Touch:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_c1_code_in_the_pickle_is_listed_and_never_run(tmp_path, capsys):
    path = save_tiny(tmp_path / "in" / "x.pth", evil=_Touch(tmp_path / "pwned"))
    document = assert_fault(
        capsys, path, 2, "posix.system" if os.name == "posix" else "system", "nothing of it was run"
    )
    assert document["causes"][0]["code"] == "unsafe-pickle"
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("new_format", [True, False])
def test_c2_code_in_the_legacy_format_or_with_the_override(tmp_path, capsys, monkeypatch, new_format):
    import torch

    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "x.pth"
    torch.save(
        {"model": tiny_state(), "evil": _Touch(tmp_path / "pwned")}, path, _use_new_zipfile_serialization=new_format
    )
    assert_fault(capsys, path, 2, "system", "nothing of it was run")
    assert not (tmp_path / "pwned").exists()


def test_c2_bare_pickle(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "x.pth"
    path.write_bytes(pickle.dumps(_Touch(tmp_path / "pwned"), protocol=2))
    assert_fault(capsys, path, 2, "system", "nothing of it was run")


@pytest.mark.parametrize("module", ["TTS.tts.configs.xtts_config", "TTS.tts.models.xtts"])
def test_c3_pickled_config_is_read_without_importing_it(model_parts, make_run, tmp_path, capsys, module):
    import torch
    from TTS.tts.configs.xtts_config import XttsArgs, XttsAudioConfig, XttsConfig

    _, config, _ = model_parts
    run = make_run()
    live = XttsConfig()
    live.from_dict(config)
    kept = XttsArgs.__module__
    checkpoint = run / "best_model_7.pth"
    state = torch.load(checkpoint, weights_only=True)["model"]
    import TTS.tts.models.xtts as old_home

    try:
        for cls in (XttsArgs, XttsAudioConfig):
            cls.__module__ = module
            setattr(old_home, cls.__name__, cls)
        torch.save({"model": state, "config": live}, checkpoint)
    finally:
        XttsArgs.__module__ = XttsAudioConfig.__module__ = kept
    (run / "config.json").unlink()  # so that the pickled one is what is used
    code, _, err = run_cli(capsys, run, "-o", tmp_path / "out", "--expect", "sound", "--no-sample")
    assert code == 0, err
    written = torch.load(tmp_path / "out" / "model.pth", weights_only=True)["config"]
    assert type(written) is dict
    assert written["model_args"]["gpt_layers"] == config["model_args"]["gpt_layers"]


def test_c4_sparse_and_quantized_tensors_are_named(tmp_path, capsys):
    import torch

    state = {**tiny_state(), "xtts.gpt.final_norm.weight": torch.eye(3).to_sparse()}
    path = save_tiny(tmp_path / "x.pth", state)
    assert_fault(capsys, path, 2, "xtts.gpt.final_norm.weight", "sparse")


def test_c4_strided_tensor_is_written_contiguous(make_run, model_parts, tmp_path, capsys):
    import torch

    key = "xtts.gpt.text_head.weight"

    def transpose(state):
        state[key] = state[key].t().contiguous().t()

    run = make_run(transpose)
    code, _, err = run_cli(capsys, run, "-o", tmp_path / "out", "--no-sample")
    assert code == 0, err
    loaded = torch.load(tmp_path / "out" / "model.pth", weights_only=True)["model"][key.removeprefix("xtts.")]
    assert loaded.is_contiguous()
    assert torch.equal(loaded, model_parts[0][key.removeprefix("xtts.")])


def test_c5_expanded_tensor_is_refused_at_once(tmp_path, capsys):
    import torch

    state = {**tiny_state(), "xtts.gpt.final_norm.weight": torch.zeros(1).expand(10**11)}
    assert_fault(capsys, save_tiny(tmp_path / "x.pth", state), 2, "xtts.gpt.final_norm.weight", "100,000,000,000")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (lambda torch: [1, 2], "no model"),
        (lambda torch: None, "no model"),
        (lambda torch: {1: torch.ones(1)}, "not a tensor"),
        (lambda torch: {"a": "text", "b": torch.ones(1)}, "not a tensor"),
    ],
)
def test_c6_something_else_in_place_of_a_state_dict(tmp_path, capsys, model, says):
    import torch

    path = tmp_path / "x.pth"
    torch.save({"model": model(torch), "step": 1}, path)
    assert_fault(capsys, path, 2, says)


def test_c7_shared_and_partial_storages_are_written_once_each(make_run, model_parts, tmp_path, capsys):
    import torch

    def share(state):
        norm = state["xtts.gpt.final_norm.weight"]
        big = torch.zeros(1_000_000)
        big[500 : 500 + norm.numel()] = norm
        state["xtts.gpt.final_norm.weight"] = big[500 : 500 + norm.numel()]
        state["xtts.gpt.gpt.ln_f.weight"] = state["xtts.gpt.gpt.h.0.ln_1.weight"]

    run = make_run(share)
    code, _, err = run_cli(capsys, run, "-o", tmp_path / "out", "--no-sample")
    assert code == 0, err
    loaded = torch.load(tmp_path / "out" / "model.pth", weights_only=True)["model"]
    assert torch.equal(loaded["gpt.final_norm.weight"], model_parts[0]["gpt.final_norm.weight"])
    assert torch.equal(loaded["gpt.gpt.ln_f.weight"], model_parts[0]["gpt.gpt.h.0.ln_1.weight"])
    tensor_bytes = sum(value.numel() * value.element_size() for value in loaded.values())
    assert (tmp_path / "out" / "model.pth").stat().st_size < tensor_bytes + 1024 * len(loaded)


# --- D: weights that do not fit -----------------------------------------------------------------------------------


def test_d1_a_deleted_key(make_run, capsys):
    def drop(state):
        del state["xtts.gpt.final_norm.bias"]

    run = make_run(drop)
    document = assert_fault(capsys, run, 1, "gpt.final_norm.bias")
    assert document["load"]["missing"] == ["gpt.final_norm.bias"]
    assert document["causes"][0]["code"] == "missing-keys"


def test_d1_a_deleted_layer_is_folded(make_run, capsys):
    def drop(state):
        for key in [key for key in state if ".gpt.h.0." in key]:
            del state[key]

    document = assert_fault(capsys, make_run(drop), 1, "gpt.gpt.h.0.ln_1.weight", "12 keys")
    assert len(document["load"]["missing"]) == 12


def test_d1_the_last_layer_lost_names_config_and_weights(make_run, capsys):
    def drop(state):
        for key in [key for key in state if ".gpt.h.1." in key]:
            del state[key]

    document = assert_fault(capsys, make_run(drop), 1, "gpt_layers is 2, the weights call for 1")
    (cause,) = document["causes"]
    assert sorted(cause["keys"]) == sorted(document["load"]["missing"])


def test_d2_a_key_that_nobody_knows(make_run, capsys):
    import torch

    def add(state):
        state["xtts.gpt.extra.weight"] = torch.ones(3)

    document = assert_fault(capsys, make_run(add), 1, "to no XTTS", "xtts.gpt.extra.weight")
    assert document["load"]["unexpected"] == ["gpt.extra.weight"]
    ledger = document["ledger"]
    assert ledger["in"] == sum(ledger[name] for name in ("kept", "renamed", "aliases", "dropped", "unknown"))


def test_d3_vocabulary_and_rows_differ(make_run, tmp_path, capsys):
    run = make_run()
    vocab = json.loads((run / "vocab.json").read_text())
    vocab["model"]["vocab"]["<new>"] = max(vocab["model"]["vocab"].values()) + 1
    (run / "vocab.json").write_text(json.dumps(vocab))
    rows = max(vocab["model"]["vocab"].values())
    document = assert_fault(
        capsys, run, 1, f"gpt.text_embedding.weight has {rows} rows", f"holds {rows + 1} tokens", "--vocab"
    )
    (cause,) = document["causes"]
    assert cause["code"] == "vocab-rows"
    assert sorted(cause["keys"]) == ["gpt.text_embedding.weight", "gpt.text_head.bias", "gpt.text_head.weight"]


def test_d3_rows_of_a_base_version_are_named(tmp_path, capsys):
    path = save_tiny(tmp_path / "x.pth")
    (tmp_path / "vocab.json").write_text(json.dumps({"model": {"vocab": {"[START]": 0, "[STOP]": 1, "a": 6152}}}))
    _, _, err = run_cli(capsys, "inspect", path)
    assert "6,681 rows" in err
    assert "6,153 tokens, those of v2.0.2" in err
    assert "match the v2.0.3 vocabulary" in err


def test_d4_two_keys_for_one_name(tmp_path, capsys):
    state = tiny_state()
    state["mel_stats"] = state["xtts.mel_stats"] + 1
    assert_fault(
        capsys,
        save_tiny(tmp_path / "x.pth", state),
        2,
        "xtts.mel_stats and mel_stats both become mel_stats",
        "different",
    )
    state["mel_stats"] = state["xtts.mel_stats"].clone()
    assert_fault(capsys, save_tiny(tmp_path / "x.pth", state), 2, "the same values")


TWIN = "xtts.gpt.gpt_inference.transformer.h.0.ln_1.weight"


def test_d5_equal_twins_are_dropped(make_run, tmp_path, capsys):
    def twin(state):
        state[TWIN] = state["xtts.gpt.gpt.h.0.ln_1.weight"].clone()
        state["xtts.gpt.gpt.wte.weight"] = state["xtts.gpt.mel_embedding.weight"]

    code, out, err = run_cli(capsys, make_run(twin), "-o", tmp_path / "out", "--no-sample", "--json")
    assert code == 0, err
    assert json.loads(out)["ledger"]["aliases"] == 2


def test_d5_different_twins_are_refused(tmp_path, capsys):
    import torch

    state = {**tiny_state(), TWIN: torch.zeros(4)}
    assert_fault(
        capsys,
        save_tiny(tmp_path / "x.pth", state),
        2,
        TWIN,
        "should be the same tensor as xtts.gpt.gpt.h.0.ln_1.weight",
    )


def test_d5_a_twin_alone_is_the_weight(make_run, model_parts, tmp_path, capsys):
    import torch

    def rename(state):
        state[TWIN] = state.pop("xtts.gpt.gpt.h.0.ln_1.weight")

    code, out, err = run_cli(capsys, make_run(rename), "-o", tmp_path / "out", "--no-sample", "--json")
    assert code == 0, err
    assert json.loads(out)["ledger"]["renamed"] == 1
    loaded = torch.load(tmp_path / "out" / "model.pth", weights_only=True)["model"]
    assert torch.equal(loaded["gpt.gpt.h.0.ln_1.weight"], model_parts[0]["gpt.gpt.h.0.ln_1.weight"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_d6_nan_or_inf_in_one_weight(make_run, capsys, value):
    def poison(state):
        state["xtts.gpt.mel_head.weight"] = state["xtts.gpt.mel_head.weight"].clone()
        state["xtts.gpt.mel_head.weight"][5, 7] = value

    document = assert_fault(capsys, make_run(poison), 1, "NaN or Inf", "xtts.gpt.mel_head.weight")
    assert document["causes"][0]["code"] == "non-finite"


@pytest.mark.parametrize(
    ("dtype", "speech"), [("float16", ("--text", "Hi.")), ("bfloat16", ("--no-sample",)), ("float64", ("--no-sample",))]
)
def test_d7_other_float_dtypes_are_kept_load_and_speak(make_run, tmp_path, capsys, dtype, speech):
    import torch

    dtype = getattr(torch, dtype)

    def cast(state):
        return {key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()}

    code, out, err = run_cli(capsys, make_run(cast), "-o", tmp_path / "out", "--expect", "sound", *speech, "--json")
    assert code == 0, err
    assert json.loads(out)["identical"]["ok"]
    assert (
        torch.load(tmp_path / "out" / "model.pth", weights_only=True)["model"]["gpt.final_norm.weight"].dtype == dtype
    )


def test_d7_float64_beyond_float32_is_refused(make_run, capsys):
    def blow(state):
        state["xtts.gpt.final_norm.weight"] = state["xtts.gpt.final_norm.weight"].double()
        state["xtts.gpt.final_norm.weight"][0] = 1e300

    assert_fault(capsys, make_run(blow), 1, "xtts.gpt.final_norm.weight holds 1e+300")


def test_d8_optimizer_without_a_model(tmp_path, capsys):
    import torch

    path = tmp_path / "x.pth"
    torch.save({"optimizer": [{"state": {}}], "step": 5}, path)
    assert_fault(capsys, path, 2, "'optimizer', 'step'")


def test_d11_config_without_the_perceiver(make_run, capsys):
    run = make_run(change_config=lambda config: config["model_args"].pop("gpt_use_perceiver_resampler"))
    document = assert_fault(
        capsys, run, 1, "gpt_use_perceiver_resampler is false (the default), the weights call for true"
    )
    (cause,) = document["causes"]
    assert len(cause["keys"]) == len(document["load"]["missing"]) + len(document["load"]["unexpected"])


def test_d10_gpt_only_names_the_parts_that_are_not_there(make_run, capsys):
    def strip(state):
        return {key: value for key, value in state.items() if key.startswith("xtts.gpt.")}

    document = assert_fault(capsys, make_run(strip), 1, "holds no vocoder, speaker encoder or mel stats")
    assert document["source"]["layout"] == "gpt_only"
    (cause,) = document["causes"]
    assert sorted(cause["keys"]) == sorted(document["load"]["missing"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{}", "no tokenizer"),
        ("not json", "not valid JSON"),
        (json.dumps({"model": {"vocab": {"a": 0}}}), "no [START]"),
    ],
)
def test_d12_bad_vocabularies(make_run, capsys, content, says):
    run = make_run()
    (run / "vocab.json").write_text(content)
    assert_fault(capsys, run, 2, says)


def test_d13_converting_an_output_again_changes_nothing(converted, tmp_path, capsys):
    folder, _ = converted
    code, _, err = run_cli(capsys, folder, "-o", tmp_path / "again", "--no-sample")
    assert code == 0, err
    assert (tmp_path / "again" / "model.pth").read_bytes() == (folder / "model.pth").read_bytes()


# --- E: outputs, moments, machines --------------------------------------------------------------------------------


def test_e1_output_is_the_input(tmp_path, capsys):
    path = save_tiny(tmp_path / "run" / "best_model_3.pth")
    (tmp_path / "link").symlink_to(tmp_path / "run", target_is_directory=True)
    os.link(path, tmp_path / "hard.pth")
    for source, output in (
        (path, path),
        (path, tmp_path / "run"),
        (tmp_path / "run", tmp_path / "link"),
        (path, tmp_path / "hard.pth"),
    ):
        before = fingerprint(path)
        code, out, err = run_cli(capsys, source, "-o", output, "--force")
        assert code == 2
        assert "is the input" in err
        assert out == ""
        assert fingerprint(path) == before


def test_e2_an_output_is_never_replaced_unasked(tmp_path, capsys):
    path = save_tiny(tmp_path / "in" / "x.pth")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.pth").write_text("mine")
    assert_fault(capsys, path, 2, "exists already", "--force", output=tmp_path / "out")
    assert (tmp_path / "out" / "model.pth").read_text() == "mine"


def test_e2_force_does_not_remove_files_of_others(tmp_path, capsys):
    path = save_tiny(tmp_path / "in" / "x.pth")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    assert_fault(capsys, path, 2, "thesis.txt", output=tmp_path / "out", options=["--force"])
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"


def test_e3_output_is_a_link_or_a_file(tmp_path, capsys):
    path = save_tiny(tmp_path / "in" / "x.pth")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert_fault(capsys, path, 2, "is not a folder", output=tmp_path / "file", options=["--force"])
    assert_fault(capsys, path, 2, "is a symbolic link", output=tmp_path / "link", options=["--force"])


def test_e4_parent_missing_or_a_file(tmp_path, capsys):
    path = save_tiny(tmp_path / "in" / "x.pth")
    (tmp_path / "file").write_text("x")
    assert_fault(capsys, path, 2, "is not there", output=tmp_path / "no" / "out")
    assert_fault(capsys, path, 2, "is not a folder", output=tmp_path / "file" / "out")


def test_e5_disk_full_before_the_first_byte(make_run, monkeypatch, capsys):
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=1000))
    assert_fault(capsys, make_run(), 2, "no room", "bytes are needed", "1,000 are free")


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, 20_000_000))
from verify.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is POSIX")
@pytest.mark.parametrize("old", [False, True])
def test_e5_disk_full_in_the_middle_leaves_the_old_output_whole(make_run, tmp_path, old):
    run, out = make_run(), tmp_path / "out"
    if old:
        out.mkdir()
        (out / "model.pth").write_text("old")
    command = [sys.executable, "-c", LIMITED, str(run), "-o", str(out), "--no-verify", "--force"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2, done.stderr
    assert "no room" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == (["out", "run"] if old else ["run"])
    assert not old or (out / "model.pth").read_text() == "old"


def test_e10_a_tokenizer_path_that_leads_elsewhere(make_run, tmp_path, capsys):
    for named in ("https://example.com/vocab.json", "/dev/zero", str(tmp_path / "nothing.json")):

        def point(config, named=named):
            config["model_args"]["tokenizer_file"] = named

        run = make_run(change_config=point, vocab=False)
        assert_fault(capsys, run, 2, "no vocab.json was found")


def test_e10_no_follow_uses_nothing_outside_the_run(genuine_run, tmp_path, capsys):
    code, _, err = run_cli(capsys, genuine_run, "-o", tmp_path / "out", "--no-follow")
    assert code == 2
    assert "no vocab.json was found" in err


def test_e11_hostile_speakers_are_left_out(make_run, tmp_path, capsys):
    import torch

    run = make_run()
    torch.save({"voice": _Touch(tmp_path / "pwned")}, run / "speakers_xtts.pth")
    code, out, err = run_cli(capsys, run, "-o", tmp_path / "out", "--no-sample", "--json")
    assert code == 0, err
    assert "speakers_xtts.pth was left out" in err
    assert not (tmp_path / "out" / "speakers_xtts.pth").exists()
    assert not (tmp_path / "pwned").exists()
    assert json.loads(out)["verdict"] == "warn"


def test_e11_speakers_that_coqui_cannot_open_are_an_error_of_the_folder(converted, tmp_path, capsys):
    """An exporter writes an empty file where its download failed; the model beside it never loads."""
    from TTS.tts.layers.xtts.xtts_manager import SpeakerManager

    folder = shutil.copytree(converted[0], tmp_path / "model")
    (folder / "speakers_xtts.pth").write_bytes(b"")
    with pytest.raises(EOFError):
        SpeakerManager(folder / "speakers_xtts.pth")
    code, out, err = run_cli(capsys, "verify", folder, "--no-sample", "--json")
    assert code == 1, err
    assert [cause["code"] for cause in json.loads(out)["causes"]] == ["speakers-damaged"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("not json", "not valid JSON"),
        ('{"model_args": {"gpt_layers": 1000000000}}', "gpt_layers is 1000000000; expected integer from 1 to 256"),
        ('{"model_args": {"gpt_layers": "many"}}', "gpt_layers is many"),
        ('{"temperature": NaN}', "temperature is nan"),
        ('{"model": "vits"}', "for model 'vits'"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_e12_bad_configs(tmp_path, capsys, content, says):
    path = save_tiny(tmp_path / "x.pth")
    (tmp_path / "config.json").write_text(content)
    assert_fault(capsys, path, 2, says)


def test_e13_odd_names_work(tmp_path, capsys):
    folder = tmp_path / "with space Ж字"
    path = save_tiny(folder / "-best [1].pth")
    code, _, _ = run_cli(capsys, "inspect", path)
    assert code == 1  # read: the tiny weights do not fit their config
    code, _, _ = run_cli(capsys, "inspect", tmp_path / ("x" * 4000))
    assert code == 2  # URLs: tests/files/test_remote.py


def test_e16_cuda_without_a_gpu(make_run, tmp_path, capsys):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert_fault(capsys, make_run(), 2, "sees no CUDA device", "--device cpu", options=["--device", "cuda"])


def test_e17_an_environment_that_does_not_import(make_run, tmp_path):
    (tmp_path / "broken" / "torchcodec").mkdir(parents=True)
    for name in ("torch", "torchaudio"):
        (tmp_path / "broken" / name).mkdir(exist_ok=True)
        (tmp_path / "broken" / name / "__init__.py").write_text("raise ImportError('built for another CUDA')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "broken")}
    command = [sys.executable, str(ROOT / "convert_and_verify.py"), str(make_run()), "-o", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert "environment, not checkpoint" in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


def test_every_name_that_calls_something_is_inert():
    """No value of the allow list is a callable of another module: what a pickle names is never looked up."""
    assert all(call.__module__ == allowlist.__name__ for call in allowlist.CALLS.values())


def test_e14_a_clip_that_cannot_be_used_is_refused_before_the_long_work(make_run, tmp_path, capsys):
    (tmp_path / "clips").mkdir()
    clip = tmp_path / "clips" / "silent.wav"
    soundfile.write(clip, [0.0] * 44100, 22050)
    assert_fault(capsys, make_run(), 2, "is silent", options=["--speaker-wav", clip])
    clip.write_bytes(b"RIFF, but no more")
    assert_fault(capsys, make_run(), 2, "is not audio", options=["--speaker-wav", clip])
    assert_fault(capsys, make_run(), 2, "is not there", options=["--speaker-wav", tmp_path / "clips" / "gone.wav"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--text", ""], "holds nothing to say"),
        (["--text", "?!..."], "holds nothing to say"),
        (["--text", "word " * 1000], "400 is the limit"),
        (["--language", "xx"], "Pass --language with one of: en es fr"),
    ],
)
def test_e15_texts_and_languages_that_cannot_be_spoken(make_run, capsys, options, says):
    assert_fault(capsys, make_run(), 2, says, options=options)


def test_e15_a_language_whose_package_is_missing_is_the_environments_fault(make_run, capsys):
    pytest.importorskip("TTS")
    try:
        import cutlet  # noqa: F401
    except ImportError:
        assert_fault(capsys, make_run(), 2, "needs another package", "coqui-tts[ja]", options=["--language", "ja"])


def test_e16_a_gpu_without_room_gives_way_to_the_cpu_under_auto(make_run, tmp_path, capsys, monkeypatch):
    """The GPU is the one thing that is not real here: torch's own error is raised where it would come."""
    import torch

    from verify.coqui import devices, model

    real = model.prepare_for_speech

    def full(loaded, device):
        if device == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(loaded, device)

    monkeypatch.setattr(devices, "choose_device", lambda wanted: "cuda" if wanted != "cpu" else "cpu")
    monkeypatch.setattr(devices, "device_name", lambda device: device)
    monkeypatch.setattr(model, "prepare_for_speech", full)
    run = make_run()
    code, out, err = run_cli(capsys, run, "-o", tmp_path / "out", "--expect", "sound", "--text", "Hi.", "--json")
    assert code == 0, err
    assert "the CPU spoke instead" in err
    assert json.loads(out)["sample"]["device"] == "cpu"
    assert json.loads(out)["environment"]["device"] == "cpu"
    assert_fault(capsys, run, 2, "ran out of memory", "--device cpu", options=["--device", "cuda"])
