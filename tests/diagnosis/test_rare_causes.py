"""Causes that few people meet: each is made all the same, so that its words are known and true."""

import io
import json
import struct
import zipfile

import numpy as np
import pytest
import soundfile

from tests.support.helpers import assert_fault, run_cli, save_tiny
from verify.checkpoint.archive import read_voices
from verify.conversion.proven_file import ProvenFile
from verify.conversion.torch_zip import ContainerWriter
from verify.conversion.writer import write_model
from verify.errors import ConversionError


def test_a_container_of_too_many_members_is_refused_by_its_end_record(tmp_path, capsys):
    save_tiny(tmp_path / "x.pth")
    data = bytearray((tmp_path / "x.pth").read_bytes())
    end = data.rindex(b"PK\x05\x06")
    # A zip64 end record that claims a million members, where the plain one says: look there.
    data[end + 8 : end + 12] = b"\xff\xff\xff\xff"
    start = struct.unpack("<I", data[end + 16 : end + 20])[0]
    size = struct.unpack("<I", data[end + 12 : end + 16])[0]
    wide = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, 10**6, 10**6, size, start)
    locator = struct.pack("<IIQI", 0x07064B50, 0, end, 1)
    (tmp_path / "x.pth").write_bytes(bytes(data[:end]) + wide + locator + bytes(data[end:]))
    assert_fault(capsys, tmp_path / "x.pth", 2, "more than 50,000 members")


def test_e12_a_config_of_eleven_megabytes(make_run, capsys):
    run = make_run()
    (run / "config.json").write_bytes(b" " * 11_000_000 + b"{}")
    assert_fault(capsys, run, 2, "4,194,304 is the limit")


def test_a_tensor_of_4_gib_is_refused_before_its_first_byte():
    with pytest.raises(ConversionError, match="more than a member can hold"):
        ContainerWriter(ProvenFile(io.BytesIO(), io.BytesIO())).begin("data/0", 2**32)


def test_a_file_in_the_way_of_the_new_one_is_named(tmp_path):
    (tmp_path / "model.pth").write_bytes(b"somebody's")
    with pytest.raises(ConversionError, match=r"model\.pth: File exists"):
        write_model(tmp_path / "model.pth", {}, {}, lambda _: None)
    assert (tmp_path / "model.pth").read_bytes() == b"somebody's"


def test_a_shape_that_no_config_explains(make_run, capsys):
    def shorter(state):
        state["xtts.gpt.final_norm.bias"] = state["xtts.gpt.final_norm.bias"][:64].clone()

    document = assert_fault(capsys, make_run(shorter), 1, "gpt.final_norm.bias has shape [64] in the file and [128]")
    assert [cause["code"] for cause in document["causes"]] == ["shape-mismatch"]


def test_a_known_name_that_this_model_has_not(make_run, capsys):
    import torch

    def of_v1(state):
        state["xtts.gpt.prompt_pos_embedding.emb.weight"] = torch.zeros(216, 128)

    document = assert_fault(capsys, make_run(of_v1), 1, "gpt.prompt_pos_embedding.emb.weight")
    assert [cause["code"] for cause in document["causes"]] == ["unexpected-keys"]


def test_a_config_that_coquis_constructors_refuse(model_parts):
    from verify.coqui.model import UnbuildableError, build_skeleton

    _, config, vocab = model_parts
    with pytest.raises(UnbuildableError, match="no Xtts can be built from this config"):
        build_skeleton({**config, "model_args": {**config["model_args"], "gpt_n_heads": 7}}, vocab)


def test_e14_a_short_clip_of_a_low_rate_is_used_with_a_warning(make_run, tmp_path, capsys):
    tone = 0.3 * np.sin(2 * np.pi * 200 * np.arange(8000) / 8000)
    soundfile.write(tmp_path / "low.wav", tone, 8000)
    arguments = (make_run(), "-o", tmp_path / "out", "--speaker-wav", tmp_path / "low.wav", "--expect", "sound")
    code, _, err = run_cli(capsys, *arguments, "--text", "Hi.")
    assert code == 0, err
    assert "the reference is 1.00 s long" in err
    assert "sampled at 8,000 Hz" in err


def test_a_disk_that_changes_what_was_written_is_found_before_anybody_uses_it(make_run, tmp_path, capsys, monkeypatch):
    from verify.coqui import model

    mapped = model.map_written

    def rotten(path):
        with zipfile.ZipFile(path) as archive:
            info = max(archive.infolist(), key=lambda item: item.file_size)
        data = bytearray(path.read_bytes())
        data[info.header_offset + info.file_size // 2] ^= 1
        path.write_bytes(data)
        return mapped(path)

    monkeypatch.setattr(model, "map_written", rotten)
    code, out, err = run_cli(capsys, make_run(), "-o", tmp_path / "out", "--expect", "sound", "--json")
    assert code == 1
    assert "1 loaded tensor differs from the source" in err
    assert not (tmp_path / "out").exists()
    assert json.loads(out)["identical"]["ok"] is False


def test_a_fault_of_ours_is_no_traceback_and_says_how_to_get_one(make_run, capsys, monkeypatch):
    from verify.commands import inspect

    monkeypatch.setattr(inspect, "inspect", lambda job: 1 // 0)
    code, _, err = run_cli(capsys, "inspect", make_run())
    assert code == 2
    assert "unexpected ZeroDivisionError" in err
    assert "XTTS_VERIFY_DEBUG=1" in err


def test_the_systems_own_refusal_is_passed_on(tmp_path, capsys):
    code, _, err = run_cli(capsys, "explain", tmp_path)
    assert code == 2
    assert "Is a directory" in err


def test_e11_a_speakers_file_without_voices(tmp_path):
    import torch

    torch.save({"voice": torch.zeros(2)}, tmp_path / "speakers_xtts.pth")
    with pytest.raises(ConversionError, match="does not hold voices by name"):
        read_voices(tmp_path / "speakers_xtts.pth")
