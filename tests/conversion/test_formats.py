"""Formats and dtypes: what is written is what torch would have made of it, is proved, speaks, and stays as it is."""

import dataclasses
import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from safetensors import safe_open

from tests.support.helpers import member_span, run_cli, save_tiny
from verify import Job, convert, load_xtts, options
from verify.checkpoint.tensors import TensorRecord
from verify.conversion import cast, formats, key_map, safetensors_writer
from verify.conversion.safetensors_writer import write_safetensors

HALVES = ("float16", "bfloat16")


def test_a_format_is_known_wherever_its_file_must_be_found_again():
    from verify.coqui.model import LOADERS
    from verify.files.names import OUTPUT_NAMES, USUAL_CHECKPOINTS

    assert LOADERS.keys() == formats.FORMATS.keys() == set(get_args(options.Format))
    assert set(formats.FILE_NAMES) <= OUTPUT_NAMES
    assert set(formats.FILE_NAMES) <= set(USUAL_CHECKPOINTS)
    assert [formats.of_file(Path(name)) for name in formats.FILE_NAMES] == [*formats.FORMATS.values()]


def bits(tensor):
    import torch

    return tensor.view({2: torch.int16, 4: torch.int32}[tensor.element_size()])


def numbers_that_round(dtype):
    """Return float32 numbers of every kind: any bits, every half-precision number, and the middles between neighbours."""
    import torch

    drawn = torch.from_numpy(np.random.default_rng(0).integers(0, 2**32, 10**6, dtype=np.uint32).view(np.float32))
    every = torch.arange(2**16).to(torch.int32).to(torch.int16).view(dtype).float()
    every = every[every.isfinite()].sort().values
    middles = (every[1:].double() + every[:-1].double()) / 2
    near = [middles, middles * (1 + 1e-7), middles * (1 - 1e-7), middles * (1 + 1e-12), middles * (1 - 1e-12)]
    found = torch.cat([drawn.double(), every.double(), *near])
    return found[found.float().isfinite()]


@pytest.mark.parametrize("new", HALVES)
@pytest.mark.parametrize("old", ["float32", "float64", *HALVES])
def test_a_cast_is_torchs_own_bit_for_bit(old, new):
    import torch

    source = numbers_that_round(getattr(torch, new)).to(getattr(torch, old))
    source = source[source.isfinite()]
    chunk = memoryview(source.contiguous().view(torch.uint8).numpy()).toreadonly()
    ours = cast._cast_chunk(chunk, old, new, cast.Scratch(len(source), old), cast.Loss())
    theirs = source.to(getattr(torch, new))
    assert bytes(ours) == theirs.contiguous().view(torch.uint8).numpy().tobytes()


@pytest.mark.parametrize(("dtype", "least", "most"), [("float16", 2**-14, 1e5), ("bfloat16", 2**-126, 3.4e38)])
def test_what_a_cast_costs_is_counted_among_numbers_of_every_kind(dtype, least, most):
    import torch

    drawn = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    drawn[::7], drawn[::11] = least * drawn[::7], 0
    chunk = np.concatenate([drawn, np.float32([2**-140, most, np.inf, np.nan])])
    loss = cast.Loss()
    cast._cast_chunk(memoryview(chunk.tobytes()), "float32", dtype, cast.Scratch(len(chunk), "float32"), loss)
    old = torch.from_numpy(drawn).double()
    new = torch.from_numpy(drawn).to(getattr(torch, dtype)).double()
    normal = old.abs() >= least
    assert loss.worst == pytest.approx(float(((new - old).abs() / old.abs())[normal].max()), rel=1e-6)
    assert loss.relative == pytest.approx(float((new - old).norm() / old.norm()), rel=1e-5)
    assert loss.to_zero == int(((new == 0) & (old != 0)).sum()) + 1
    assert loss.overflow == pytest.approx(most)


def test_float64_becomes_float32_as_torch_makes_it():
    import torch

    source = numbers_that_round(torch.bfloat16)
    ours = cast.cast(source.numpy(), "float32")
    assert torch.equal(bits(torch.from_numpy(ours)), bits(source.float()))


def test_nan_stays_nan():
    import torch

    for dtype in HALVES:
        data = cast.cast(np.array([np.nan, 1, -np.inf], np.float32), dtype)
        made = torch.from_numpy(data.view(np.int16)).view(getattr(torch, dtype))
        assert made.isnan().tolist() == [True, False, False]
        assert made[2] == -torch.inf


def test_buffers_are_what_a_live_model_calls_so(model_parts):
    """They become float32 under any cast, so the table must know them all and no weight."""
    from verify.coqui.model import build_skeleton

    _, config, vocab = model_parts
    model = build_skeleton(config, vocab)
    buffers = {name for name, value in model.named_buffers() if value.is_floating_point()} & model.state_dict().keys()
    named = {name for name in model.state_dict() if key_map.is_buffer(name)}
    assert named == buffers
    assert sum(model.state_dict()[name].nbytes for name in named) < 200_000


# --- the file -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def half(genuine_run, tmp_path_factory):
    """(folder, report) of the main job with --dtype float16; it has spoken."""
    folder = tmp_path_factory.mktemp("half") / "inference"
    job = Job(source=genuine_run, output=folder, expect="sound", texts=("Hi.",), dtype="float16")
    return folder, convert(job)


def test_every_weight_is_half_and_every_buffer_single(half, converted):
    import torch

    folder, report = half
    made = torch.load(folder / "model.pth", weights_only=True)["model"]
    whole = torch.load(converted[0] / "model.pth", weights_only=True)["model"]
    assert made.keys() == whole.keys()
    for name, value in whole.items():
        wanted = value if key_map.is_buffer(name) or not value.is_floating_point() else value.half()
        assert made[name].dtype == wanted.dtype
        assert torch.equal(made[name], wanted)
    assert report.verdict == "pass"
    assert report.identical.ok
    assert report.identical.bytes == sum(value.nbytes for value in made.values())
    assert (folder / "model.pth").stat().st_size < 0.52 * (converted[0] / "model.pth").stat().st_size


def test_the_report_says_what_the_cast_cost(half, converted):
    import torch

    whole = torch.load(converted[0] / "model.pth", weights_only=True)["model"]
    report = json.loads((half[0] / "report.json").read_text())["cast"]
    assert report["dtype"] == "float16"
    assert {part["part"] for part in report["parts"]} == {"GPT", "conditioning", "vocoder", "speaker encoder"}
    for part in report["parts"]:
        members = {
            name: (value.double(), value.half().double())
            for name, value in whole.items()
            if key_map.part_of(name) == part["part"] and value.is_floating_point() and not key_map.is_buffer(name)
        }
        errors = {name: float((old - new).norm() / old.norm()) for name, (old, new) in members.items() if old.any()}
        normal = [((old - new).abs() / old.abs())[old.abs() >= 2**-14] for old, new in members.values()]
        assert part["tensors"] == len(members)
        assert part["worst_element"] == pytest.approx(float(torch.cat(normal).max()), rel=1e-5)
        assert part["worst_tensor"] == pytest.approx(max(errors.values()), rel=1e-4)
        assert errors[part["tensor"]] == pytest.approx(max(errors.values()), rel=1e-4)
        assert part["to_zero"] == sum(int(((new == 0) & (old != 0)).sum()) for old, new in members.values())
        assert part["worst_element"] <= 2**-11


def test_coqui_copies_a_half_file_into_single_weights_and_speaks(half):
    """What is saved is disk and download, not time: coqui computes in float32 with the rounded weights."""
    import torch
    from TTS.tts.configs.xtts_config import XttsConfig
    from TTS.tts.models.xtts import Xtts

    folder, _ = half
    config = XttsConfig()
    config.load_json(str(folder / "config.json"))
    model = Xtts(config)
    model.load_checkpoint(config, checkpoint_dir=str(folder), eval=True)
    made = torch.load(folder / "model.pth", weights_only=True)["model"]
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    loaded = model.state_dict()
    assert all(torch.equal(loaded[name], value.to(loaded[name].dtype)) for name, value in made.items())
    latents, embedding = torch.zeros(1, 32, 128), torch.zeros(1, 512, 1)
    said = model.inference("hi", "en", latents, embedding, max_new_tokens=5)
    assert np.isfinite(said["wav"]).all()


def test_a_half_folder_is_verified_and_converting_it_again_changes_nothing(half, tmp_path, capsys):
    import torch

    folder, _ = half
    code, out, err = run_cli(capsys, "verify", folder, "--no-sample", "--json")
    assert code == 0, err
    assert json.loads(out)["source"]["dtypes"]["float16"] > 100
    assert run_cli(capsys, folder, "--dtype", "float32", "--no-verify", "-o", tmp_path / "wide")[0] == 0
    wide, made = (torch.load(place / "model.pth", weights_only=True)["model"] for place in (tmp_path / "wide", folder))
    assert all(
        torch.equal(wide[name], value.float() if value.is_floating_point() else value) for name, value in made.items()
    )
    code, out, _ = run_cli(capsys, folder, "--dtype", "float16", "--no-verify", "-o", tmp_path / "again", "--json")
    assert code == 0
    assert json.loads(out)["cast"] is None  # nothing was left to cast
    assert (tmp_path / "again" / "model.pth").read_bytes() == (folder / "model.pth").read_bytes()


@pytest.mark.parametrize(("dtype", "value"), [("float16", -1e5), ("bfloat16", 3.4e38)])
def test_a_value_beyond_the_dtype_is_refused_by_name(make_run, tmp_path, capsys, dtype, value):
    def change(state):
        state["xtts.gpt.mel_head.bias"] = state["xtts.gpt.mel_head.bias"].clone()
        state["xtts.gpt.mel_head.bias"][3] = value

    code, out, err = run_cli(capsys, make_run(change), "--dtype", dtype, "-o", tmp_path / "out", "--json")
    assert code == 1
    cause = next(cause for cause in json.loads(out)["causes"] if cause["code"] == "dtype-overflow")
    assert cause["keys"] == ["gpt.mel_head.bias"]
    assert f"gpt.mel_head.bias holds {value:,.6g}" in err
    assert not (tmp_path / "out").exists()


def test_damage_is_found_while_casting(genuine_run, tmp_path, capsys):
    source = next(genuine_run.glob("best_model_*.pth"))
    damaged = tmp_path / "best_model_9.pth"
    data = bytearray(source.read_bytes())
    start, size = member_span(source, "data/100")
    data[start + size // 2] ^= 1
    damaged.write_bytes(data)
    options = ("--vocab", genuine_run.parent.parent / "vocab.json", "--dtype", "bfloat16", "--no-verify")
    code, _, err = run_cli(capsys, damaged, *options, "-o", tmp_path / "out")
    assert code == 2
    assert "[crc-mismatch]" in err


def test_cast_weights_are_not_proved_to_say_the_same(genuine_run, tmp_path, capsys):
    code, _, err = run_cli(capsys, genuine_run, "--prove", "--dtype", "float16", "-o", tmp_path / "out")
    assert code == 2
    assert "[cannot-prove]" in err
    assert "cast to float16" in err


# --- safetensors --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def safe(genuine_run, tmp_path_factory):
    """(folder, report) of the main job with --format safetensors; it has loaded."""
    folder = tmp_path_factory.mktemp("safe") / "inference"
    return folder, convert(Job(source=genuine_run, output=folder, sample=False, format="safetensors"))


def test_a_safetensors_file_holds_the_tensors_and_says_where_they_are_from(safe, converted, genuine_checkpoint):
    import safetensors.torch
    import torch

    folder, report = safe
    assert report.verdict == "pass"
    assert report.identical.ok
    assert not (folder / "model.pth").exists()
    whole = torch.load(converted[0] / "model.pth", weights_only=True)["model"]
    made = safetensors.torch.load_file(folder / "model.safetensors")
    assert made.keys() == whole.keys()
    assert all(torch.equal(made[name], value) for name, value in whole.items())
    with safe_open(folder / "model.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["source_fingerprint"] == report.archive.fingerprint
    assert "source_sha256" not in metadata
    assert metadata["step"] == str(report.archive.step)
    assert metadata["format"] == "pt"
    assert {"xtts_verify_version", "coqui_tts_version", "date", "epoch"} <= metadata.keys()


def test_it_is_laid_out_as_the_safetensors_library_lays_it_out(safe, tmp_path):
    import safetensors.torch

    made = safetensors.torch.load_file(safe[0] / "model.safetensors")
    safetensors.torch.save_file(made, tmp_path / "theirs.safetensors")
    ours, theirs = ((path).read_bytes() for path in (safe[0] / "model.safetensors", tmp_path / "theirs.safetensors"))
    starts = [8 + int.from_bytes(data[:8], "little") for data in (ours, theirs)]
    assert starts[0] % 8 == 0
    assert ours[starts[0] :] == theirs[starts[1] :]
    headers = [json.loads(data[8:start]) for data, start in zip((ours, theirs), starts, strict=True)]
    headers[0].pop("__metadata__")
    assert headers[0] == headers[1]


def test_a_safetensors_folder_is_verified_loaded_and_stays_as_it_is(safe, converted, tmp_path, capsys):
    import torch

    folder, report = safe
    code, out, err = run_cli(capsys, "verify", folder, "--no-sample", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["source"]["layout"], found["source"]["step"]) == ("safetensors", report.archive.step)
    model = load_xtts(folder)
    whole = torch.load(converted[0] / "model.pth", weights_only=True)["model"]
    assert all(torch.equal(model.state_dict()[name], value) for name, value in whole.items())
    options = ("--format", "safetensors", "--no-verify", "-o", tmp_path / "again")
    assert run_cli(capsys, folder, *options)[0] == 0
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_pth_and_back_is_the_same_model(safe, converted, tmp_path, capsys):
    import torch

    assert run_cli(capsys, safe[0], "--no-verify", "-o", tmp_path / "back")[0] == 0
    back, whole = (torch.load(place / "model.pth", weights_only=True) for place in (tmp_path / "back", converted[0]))
    assert back["config"] == whole["config"]
    assert all(torch.equal(back["model"][name], value) for name, value in whole["model"].items())


def test_a_strangers_metadata_is_no_more_than_short_text(tmp_path):
    import safetensors.torch
    import torch

    from verify.checkpoint.archive import read_archive

    odd = {"step": "9" * 40, "epoch": "-1", "date": "\x1b[2J", "note": "x" * 5000, "source_sha256": "ab"}
    safetensors.torch.save_file({"gpt.final_norm.bias": torch.zeros(4)}, tmp_path / "a.safetensors", odd)
    found = read_archive(tmp_path / "a.safetensors")
    assert (found.step, found.epoch, found.date) == (None, None, None)
    assert found.metadata == {"step": "9" * 40, "epoch": "-1", "source_sha256": "ab"}
    metadata = safetensors_writer.metadata(found, "cd" * 32, {"coqui-tts": "0.28.0"})
    assert metadata == {"format": "pt", "source_sha256": "cd" * 32, "coqui_tts_version": "0.28.0"}
    known = dataclasses.replace(found, metadata={"source_sha256": "ef" * 32, "step": "7", "note": "mine"})
    assert safetensors_writer.metadata(known, "", {}) == {"source_sha256": "ef" * 32, "step": "7"}
    known = dataclasses.replace(found, metadata={"source_fingerprint": "ef" * 32})
    assert safetensors_writer.metadata(known, "cd" * 32, {}) == known.metadata


def test_strided_and_empty_tensors_are_written_as_they_read(tmp_path):
    import safetensors.torch
    import torch

    from verify.checkpoint.archive import read_archive

    torch.manual_seed(0)
    state = {"xtts.gpt.mel_head.weight": torch.randn(64, 48).t(), "xtts.gpt.mel_head.bias": torch.randn(0)}
    archive = read_archive(save_tiny(tmp_path / "best_model_1.pth", state))
    tensors = {record.key: record for record in archive.tensors}
    write_safetensors(tmp_path / "a.safetensors", tensors, {}, lambda _: None, "bfloat16")
    made = safetensors.torch.load_file(tmp_path / "a.safetensors")
    assert all(torch.equal(made[name], value.bfloat16()) for name, value in state.items())


def test_no_more_than_a_chunk_is_held(tmp_path):
    """A cast streams: 64 MB go through it while a few MB are held."""
    import tracemalloc

    import torch

    from verify.checkpoint.archive import read_archive

    archive = read_archive(save_tiny(tmp_path / "best_model_1.pth", {"xtts.gpt.mel_head.weight": torch.randn(2**24)}))
    tensors: dict[str, TensorRecord] = {record.key: record for record in archive.tensors}
    tracemalloc.start()
    try:
        write_safetensors(tmp_path / "a.safetensors", tensors, {}, lambda _: None, "float16")
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()
    assert (tmp_path / "a.safetensors").stat().st_size > 2**25
