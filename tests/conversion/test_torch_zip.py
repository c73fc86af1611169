"""What the writer makes is what torch loads, byte for byte, whatever the source's shape; what the reader sees is true."""

import hashlib
import importlib
import json
import os
import subprocess
import sys
import zipfile
import zlib
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.support.helpers import ROOT
from verify.checkpoint import reader, zip_directory
from verify.checkpoint.archive import read_archive
from verify.conversion import proven_file, torch_zip, writer
from verify.conversion.ledger import build_ledger
from verify.conversion.writer import write_model
from verify.errors import ArchiveError, OutputError
from verify.files import local

CONFIG = {"model": "xtts", "pi": 3.14159, "none": None, "list": [1, "zwei", {"drei": True}], "big": 2**40}


@cache
def tensors():
    """Return a tensor of every dtype and layout, by name."""
    import torch

    return {
        "float32": torch.randn(3, 5),
        "float16": torch.randn(7).half(),
        "bfloat16": torch.randn(2, 2).bfloat16(),
        "float64": torch.randn(4, dtype=torch.float64),
        "int64": torch.arange(6).reshape(2, 3),
        "int32": torch.arange(5, dtype=torch.int32),
        "int16": torch.arange(5, dtype=torch.int16),
        "int8": torch.arange(5, dtype=torch.int8),
        "uint8": torch.arange(5, dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "scalar": torch.tensor(3, dtype=torch.int64),
        "empty": torch.empty(0, 4),
        "transposed": torch.randn(4, 6).t(),
        "slice": torch.randn(100)[10:20],
        "column": torch.randn(10, 10)[:, 3],
    }


def quiet(_):
    pass


@pytest.fixture
def rewritten(tmp_path):
    """(source archive, written file) of every dtype and layout."""
    import torch

    torch.save({"model": tensors(), "config": {}}, tmp_path / "in.pth")
    archive = read_archive(tmp_path / "in.pth")
    written = write_model(tmp_path / "out.pth", {r.key: r for r in archive.tensors}, CONFIG, quiet)
    return archive, written


@pytest.mark.parametrize("mmap", [False, True])
def test_torch_loads_what_we_write_bit_for_bit(rewritten, mmap):
    import torch

    _, written = rewritten
    loaded = torch.load(written.path, weights_only=True, mmap=mmap)
    assert loaded["config"] == CONFIG
    assert list(loaded["model"]) == list(tensors())
    for key, value in tensors().items():
        assert loaded["model"][key].dtype == value.dtype
        assert loaded["model"][key].is_contiguous()
        assert torch.equal(loaded["model"][key], value), key


def test_members_are_aligned_stored_and_checksummed(rewritten):
    _, written = rewritten
    with zipfile.ZipFile(written.path) as archive:
        assert archive.testzip() is None
        infos = archive.infolist()
    with written.path.open("rb") as file:
        directory = zip_directory.read_directory(file, written.bytes)
        for info in infos:
            assert info.compress_type == zipfile.ZIP_STORED
            assert zip_directory.data_offset(file, directory.members[info.filename]) % 64 == 0


def test_the_hash_is_that_of_the_file(rewritten):
    _, written = rewritten
    assert hashlib.sha256(written.path.read_bytes()).hexdigest() == written.sha256
    assert written.path.stat().st_size == written.bytes


def test_the_index_names_nothing_but_torch_and_ordereddict(rewritten):
    import pickletools

    _, written = rewritten
    with zipfile.ZipFile(written.path) as archive:
        opcodes = pickletools.genops(archive.read("model/data.pkl"))
        names = {arg for opcode, arg, _ in opcodes if opcode.name == "GLOBAL"}
    assert {name.split()[0] for name in names} == {"torch", "torch._utils", "collections"}


def test_our_reader_agrees_with_torch_on_every_fact(rewritten):
    import torch

    archive, _ = rewritten
    for record in archive.tensors:
        value = tensors()[record.key]
        assert record.shape == tuple(value.shape)
        assert record.stride == value.stride()
        assert record.dtype == str(value.dtype).removeprefix("torch.")
        assert record.contiguous == value.is_contiguous() or value.numel() <= 1
        with archive.path.open("rb") as file:
            file.seek(record.storage_start)
            stored = file.read(record.storage_bytes)
        whole = torch.frombuffer(bytearray(stored), dtype=value.dtype) if stored else torch.empty(0, dtype=value.dtype)
        offset = record.offset // value.element_size()
        assert torch.equal(
            torch.as_strided(whole, record.shape, record.stride, offset) if stored else whole.reshape(0, 4), value
        )


def test_a_file_beyond_4_gib_uses_zip64(tmp_path, monkeypatch):
    """Sparse, so that it costs no disk: 5 members of 1 GiB of zeros; the last lies beyond 4 GiB."""
    path = tmp_path / "big.pth"
    size = 2**30
    write = proven_file.ProvenFile.write

    def holed(out, data):  # one byte stands for a hole in place of a GiB of zeros; only offsets are tested here
        write(out, data)
        if len(data) == 1:
            out.file.seek(size - 1, 1)
            out.back.seek(size, 1)  # reads nothing, which counts as zero

    monkeypatch.setattr(proven_file.ProvenFile, "write", holed)
    with path.open("wb", buffering=0) as file, path.open("rb", buffering=0) as back:
        out = torch_zip.ContainerWriter(proven_file.ProvenFile(file, back))
        for number in range(5):
            out.begin(f"data/{number}", size)
            out.out.add(b"\0")
            out.out.position += size - 1
            out.end(0)
        out.finish()
    with path.open("rb") as file:
        directory = zip_directory.read_directory(file, path.stat().st_size)
        offsets = [zip_directory.data_offset(file, member) for member in directory.members.values()]
    assert offsets[-1] > 2**32
    with zipfile.ZipFile(path) as archive:
        assert [info.file_size for info in archive.infolist()] == [size] * 5
        assert archive.infolist()[-1].header_offset == directory.members["model/data/4"].header_offset


def test_memory_stays_flat(tmp_path):
    """Peak memory of the whole conversion, measured from outside, must not follow the file's size."""
    import torch

    psutil = pytest.importorskip("psutil")
    peaks = []
    for rows in (1_000, 60_000):  # 4 MB and 240 MB of weights
        folder = tmp_path / str(rows)
        folder.mkdir()
        config = {"model_args": {"gpt_n_model_channels": 1000, "gpt_n_heads": 8, "gpt_use_perceiver_resampler": True}}
        torch.save(
            {"model": {"gpt.text_embedding.weight": torch.zeros(rows, 1000)}, "config": config}, folder / "x.pth"
        )
        (folder / "vocab.json").write_text(json.dumps({"model": {"vocab": {"[START]": 0, "[STOP]": rows - 1}}}))
        command = [
            sys.executable,
            "convert_and_verify.py",
            str(folder / "x.pth"),
            "--no-verify",
            "--keep-failed",
            "--quiet",
        ]
        process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
        peak = 0
        while process.poll() is None:
            try:
                peak = max(peak, process.memory_info().rss)
            except psutil.NoSuchProcess:
                break
        assert process.wait() == 1  # one tensor is no Xtts; it is written all the same, and kept as failed
        assert (folder / "x-inference.failed" / "model.pth").stat().st_size > rows * 4000
        peaks.append(peak)
    assert max(peaks) < 70e6
    assert peaks[1] - peaks[0] < 10e6


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_one_bad_value_anywhere_is_found(tmp_path, dtype, bad):
    import torch

    generator = np.random.default_rng(0)
    for position in (0, 1, *generator.integers(0, 700_000, 4), 699_999):  # in the first chunk, between, at the very end
        value = torch.zeros(700_000, dtype=getattr(torch, dtype))
        value[int(position)] = bad
        torch.save({"good": torch.ones(3), "mel_stats": value}, tmp_path / "x.pth")
        archive = read_archive(tmp_path / "x.pth")
        _, scan = reader.read_tensors({record.key: record for record in archive.tensors}, quiet)
        assert scan.non_finite == ("mel_stats",)


def test_a_flipped_byte_anywhere_in_the_kept_data_is_found(tmp_path):
    import torch

    torch.save({"a": torch.randn(300_000), "b": torch.randn(5)}, tmp_path / "x.pth")
    archive = read_archive(tmp_path / "x.pth")
    good = archive.path.read_bytes()
    generator = np.random.default_rng(1)
    for record in archive.tensors:
        for position in (0, record.bytes - 1, *generator.integers(0, record.bytes, 3)):
            data = bytearray(good)
            data[record.storage_start + int(position)] ^= 1 << int(generator.integers(8))
            archive.path.write_bytes(data)
            records = {again.key: again for again in read_archive(archive.path).tensors}
            with pytest.raises(ArchiveError, match=f"{record.key} .*CRC-32 stored"):
                reader.read_tensors(records, quiet)


def flip_bit(path, place):
    with open(path, "r+b") as disk:
        disk.seek(place)
        byte = disk.read(1)[0]
        disk.seek(place)
        disk.write(bytes([byte ^ 16]))


def two_tensors(folder, sums=True):
    import torch

    torch.save({"a": torch.randn(1000), "b": torch.randn(1000)}, folder / "x.pth")
    records = {record.key: record for record in read_archive(folder / "x.pth").tensors}
    return records if sums else {key: replace(record, crc=0) for key, record in records.items()}


@pytest.mark.parametrize("sums", [True, False], ids=["crc", "no crc"])
def test_a_file_that_does_not_hold_what_was_written_is_found_before_it_is_published(tmp_path, monkeypatch, sums):
    """Let the disk flip one bit, anywhere: what is read back is then not what was meant."""
    tensors, write = two_tensors(tmp_path, sums), proven_file.ProvenFile.write
    size = write_model(tmp_path / "good.pth", tensors, CONFIG, quiet).bytes
    for number, place in enumerate((0, 200, 3000, 7000, size - 1)):

        def rot(out, data, place=place):
            start = out.file.tell()
            write(out, data)
            if 0 <= place - start < len(data):
                flip_bit(out.file.name, place)

        monkeypatch.setattr(proven_file.ProvenFile, "write", rot)
        with pytest.raises(OutputError, match="reads back with"):
            write_model(tmp_path / f"{number}.pth", tensors, CONFIG, quiet)


def test_a_damaged_source_is_not_told_as_a_damaged_disk(tmp_path):
    tensors = two_tensors(tmp_path)
    tensors["b"] = replace(tensors["b"], crc=tensors["b"].crc ^ 1)
    with pytest.raises(ArchiveError, match=r"b .*CRC-32 stored"):
        write_model(tmp_path / "new.pth", tensors, CONFIG, quiet)


def test_a_source_that_is_cut_while_it_is_read_ends_in_an_error(tmp_path):
    import torch

    torch.save({"a": torch.randn(3_000_000)}, tmp_path / "x.pth")
    archive = read_archive(tmp_path / "x.pth")
    cut = []

    def cut_once(done):
        if not cut:
            cut.append(done)
            with archive.path.open("r+b") as file:
                file.truncate(5_000_000)

    with pytest.raises(ArchiveError, match="ended at byte"):
        writer.write_model(tmp_path / "out.pth", {"mel_stats": archive.tensors[0]}, {}, cut_once)


def test_a_source_that_is_replaced_while_it_is_read_ends_in_an_error(tmp_path):
    import torch

    torch.save({"a": torch.randn(3_000_000)}, tmp_path / "x.pth")
    archive = read_archive(tmp_path / "x.pth")

    def replace(_):
        (tmp_path / "y").write_bytes(b"other")
        (tmp_path / "y").replace(archive.path)

    replaced = []
    with pytest.raises(ArchiveError, match="changed while it was read"):
        writer.write_model(
            tmp_path / "out.pth",
            {"a": archive.tensors[0]},
            {},
            lambda n: replaced or replaced.append(replace(n)),
        )


def test_safetensors_give_the_same_ledger_and_bytes(converted, tmp_path):
    import torch
    from safetensors.torch import save_file

    folder, _ = converted
    state = torch.load(folder / "model.pth", weights_only=True)["model"]
    save_file(state, tmp_path / "model.safetensors")
    archive = read_archive(tmp_path / "model.safetensors")
    assert archive.layout == "safetensors"
    ledger = build_ledger(archive.tensors, lambda a, b: False)
    written = write_model(tmp_path / "out.pth", ledger.written, {}, quiet)
    loaded = torch.load(written.path, weights_only=True)["model"]
    assert all(torch.equal(loaded[key], value) for key, value in state.items())
    assert loaded.keys() == state.keys()


def test_both_ways_of_crc_32_agree(monkeypatch):
    data = np.random.default_rng(0).bytes(300_001)
    assert local.crc32(data[70_000:], local.crc32(data[:70_000])) == zlib.crc32(data)
    monkeypatch.setitem(sys.modules, "zlib_ng.zlib_ng", None)  # as where there is no wheel
    try:
        assert importlib.reload(local).crc32 is zlib.crc32
    finally:
        monkeypatch.undo()
        importlib.reload(local)


def test_a_system_without_fdatasync_writes_the_same_file(tmp_path, monkeypatch):
    tensors = two_tensors(tmp_path)
    here = write_model(tmp_path / "here.pth", tensors, CONFIG, quiet)
    monkeypatch.delattr(os, "fdatasync", raising=False)
    there = write_model(tmp_path / "there.pth", tensors, CONFIG, quiet)
    assert (tmp_path / "here.pth").read_bytes() == (tmp_path / "there.pth").read_bytes()
    assert here.sha256 == there.sha256
