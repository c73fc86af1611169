"""Mutants of small valid files, and the finds of the fuzzers and of reading for them: each once broke a promise."""

import json
import struct
import sys
import zipfile

import pytest

from tests.attacks.test_attacks import text
from tests.support import fuzz, fuzz_archive, mutate, seeds

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")


# --- the mutator --------------------------------------------------------------------------------------------------


def test_the_seeds_are_valid(tmp_path):
    import torch

    run = seeds.run_folder(tmp_path / "run")
    assert fuzz.measure([str(run), "--no-verify", "-o", str(tmp_path / "out"), "--json"]).code == 0
    ours = torch.load(tmp_path / "out" / "model.pth", weights_only=True)["model"]
    theirs = torch.load(run / "best_model_7.pth", weights_only=True)["model"]
    assert all(torch.equal(value, theirs[f"xtts.{key}"]) for key, value in ours.items())
    assert list(ours) == list(seeds.SHAPES)
    assert list(torch.load(tmp_path / "out" / "speakers_xtts.pth", weights_only=True)) == ["Ana"]


def test_a_mutant_is_the_same_every_time():
    assert [mutate.mutant(5, number) for number in range(40)] == [mutate.mutant(5, number) for number in range(40)]


def test_hundreds_of_mutants_keep_every_promise(tmp_path):
    fuzz.measure(["inspect", str(seeds.run_folder(tmp_path / "warm"))])
    outcomes = list(fuzz.campaign(2, range(400), tmp_path / "mutant"))
    assert [outcome for outcome in outcomes if outcome.complaint] == []
    assert {outcome.exit_code for outcome in outcomes} == {0, 1, 2}
    assert {outcome.kind for outcome in outcomes} == set(mutate.KINDS)


def test_the_coverage_guided_harness_reads_its_seeds_without_a_find(tmp_path):
    harness = fuzz_archive.Harness(tmp_path / "finds")
    for data in fuzz_archive.seed_inputs():
        harness(data)
    assert not (tmp_path / "finds").exists()


# --- finds: bombs -------------------------------------------------------------------------------------------------


def checkpoint_of(index: bytes) -> bytes:
    return seeds.zipped({"x/data.pkl": index, **{f"x/data/{number}": bytes(320) for number in range(12)}})


def with_loss(loss: bytes) -> bytes:
    """A good checkpoint whose `model_loss` is the given piece of pickle."""
    import io

    with zipfile.ZipFile(io.BytesIO(seeds.checkpoint())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return seeds.zipped({**members, "x/data.pkl": members["x/data.pkl"][:-2] + text("model_loss") + loss + b"u."})


BIG = text("a" * 8_000_000)
BYTES = b"B" + struct.pack("<I", 8_000_000) + bytes(8_000_000)
BOMBS = {  # each took more than 1 GB, or seconds a megabyte, before it was bounded
    "a long name built 390,000 times": (
        {"checkpoint": lambda: checkpoint_of(b"\x80\x04" + BIG + b"q\x000" + text("b") + b"q\x010(" + b"h\x00h\x01\x93" * 390_000 + b"t.")},
        "asks Python to import",
    ),
    "4 kB encoded 390,000 times": (
        {"checkpoint": lambda: checkpoint_of(b"\x80\x02c_codecs\nencode\nq\x000" + text("a" * 4096) + b"q\x010" + text("latin1") + b"q\x020(" + b"h\x00h\x01h\x02\x86R" * 390_000 + b"t.")},
        "unusual way",
    ),
    "one long text named 20,000 times in the loss": (
        {"checkpoint": lambda: with_loss(BIG + b"q\xfe0(" + b"h\xfe" * 20_000 + b"l")},
        "more than 100,000 values",
    ),
    "8 MB of bytes as the key of 20,000 dictionaries": (
        {"checkpoint": lambda: with_loss(BYTES + b"q\xfe0(" + b"}h\xfeNs" * 20_000 + b"l")},
        "a key of 8,000,000 characters",
    ),
    "a safetensors header of 30 million lists": (
        {"safetensors": lambda: seeds.safetensors(b'{"a":[' + b"[]," * 30_000_000 + b"[]]}")},
        "4,194,304 is the limit",
    ),
    "a config of 3 million lists": (
        {"config": lambda: b'{"a":[' + b"[]," * 3_000_000 + b"[]]}"},
        "4,194,304 is the limit",
    ),
}  # fmt: skip


@LINUX
@pytest.mark.parametrize("name", BOMBS)
def test_finds_that_cost_memory(tmp_path, name):
    files, says = BOMBS[name]
    run = seeds.run_folder(tmp_path / "run", **{kind: make() for kind, make in files.items()})
    done = fuzz.measure(["inspect", str(run), "--json"])
    assert (done.code, done.escaped) == (2, "")
    assert says in " ".join(done.err.split())
    assert len(done.document["causes"][0]["message"]) < 3000
    assert done.seconds < fuzz.MAX_SECONDS
    assert done.growth_bytes < fuzz.MAX_GROWTH_BYTES


@LINUX
@pytest.mark.parametrize(
    "make_index",
    [
        lambda: b"\x80\x02N" + b"".join(b"r" + struct.pack("<I", number) for number in range(990_000)) + b".",
        lambda: b"\x80\x02(" + b"}" * 990_000 + b"t.",
        lambda: b"\x80\x02}(" + b"".join(b"J" + struct.pack("<I", number) + b"N" for number in range(490_000)) + b"u.",
        lambda: b"\x80\x02(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x50tq\x000(" + b"h\x00Q" * 490_000 + b"t.",
    ],
    ids=["memo", "dictionaries", "keys", "storages"],
)  # fmt: skip
def test_the_limits_of_the_index_bound_its_memory(tmp_path, make_index):
    checkpoint = checkpoint_of(make_index())
    done = fuzz.measure(["inspect", str(seeds.run_folder(tmp_path / "run", checkpoint=checkpoint)), "--json"])
    assert done.code == 2
    assert done.growth_bytes < fuzz.MAX_GROWTH_BYTES


# --- finds: faults ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["inspect"], ["--no-verify"]])
def test_an_empty_tensor_of_countless_rows_is_no_shape(tmp_path, command):
    """Its strides do not fit the index of the new file: OverflowError."""
    entry = {"dtype": "F32", "shape": [0] + [2**47] * 15, "data_offsets": [0, 0]}
    header = {"gpt.final_norm.weight": entry, **seeds.safetensors_header()}
    run = seeds.run_folder(tmp_path / "run", safetensors=seeds.safetensors(header))
    done = fuzz.measure([*command, str(run), "--json"])
    assert (done.code, done.document["causes"][0]["code"]) == (2, "bad-container")
    shape = (0, *[2**47] * 15)
    state = {"xtts.gpt.final_norm.weight": seeds.Tensor("0", shape), "xtts.mel_stats": seeds.Tensor("11", (80,))}
    index = seeds.pickled({"model": state})
    container = seeds.zipped({"x/data.pkl": index, "x/data/0": b"", "x/data/11": seeds.floats(80)})
    run = seeds.run_folder(tmp_path / "other", checkpoint=container)
    done = fuzz.measure([*command, str(run), "--json"])
    assert done.document["causes"][0]["code"] == "bad-pickle"


def test_an_empty_tensor_lies_inside_its_storage_too(tmp_path):
    """Found by atheris: its offset pointed anywhere, since none of its elements did."""
    index = seeds.pickled({"model": {"xtts.mel_stats": seeds.Tensor("11", (80,))}})
    empty = index.replace(b"K\x00K\x50\x85", b"K\x70K\x00\x85")
    assert empty != index
    run = seeds.run_folder(tmp_path / "run", checkpoint=checkpoint_of(empty))
    done = fuzz.measure(["inspect", str(run), "--json"])
    assert (done.code, done.document["causes"][0]["code"]) == (2, "tensor-shape")
    assert "from element 112 on, its storage holds 80" in " ".join(done.err.split())


LONG = "a b" * 700_000


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"checkpoint": checkpoint_of(seeds.pickled({"model": {LONG: seeds.Tensor("0", (80,))}}))},
        lambda: {"checkpoint": checkpoint_of(seeds.pickled({"model": {"mel_stats": seeds.Tensor(LONG, (80,))}}))},
        lambda: {"checkpoint": seeds.checkpoint(extra={"model_loss": {"train_loss": LONG, LONG: LONG}})},
        lambda: {"speakers": seeds.zipped({"x/data.pkl": seeds.pickled({LONG: {"a": seeds.Tensor("9", (3,))}})})},
        lambda: {"config": json.dumps({**seeds.CONFIG, "model": LONG}).encode()},
        lambda: {"checkpoint": seeds.zipped({"\xff" * 30_000 + f"{number}": b"" for number in range(500)})},
    ],
    ids=["key", "member", "loss", "voice", "model", "names of members"],
)
def test_a_long_name_floods_no_terminal_and_takes_no_time(tmp_path, make):
    """Names of 33 MB in a directory took 7 seconds, most of them to break the message into lines."""
    done = fuzz.measure(["inspect", str(seeds.run_folder(tmp_path / "run", **make())), "--json"])
    assert not done.escaped
    assert len(done.err) < 8000
    assert done.seconds < fuzz.MAX_SECONDS
    assert all(len(cause["message"]) < 4100 for cause in done.document["causes"])
