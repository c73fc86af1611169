"""The limits that docs/security.md names beside the budget: what lies on one is read, one more is refused."""

import io
import os
import re
import struct

import pytest

from tests.support import bombs, seeds
from verify.audio import clips
from verify.checkpoint import layout, safetensors, unpickle, zip_directory
from verify.checkpoint.budget import Budget as ReadingBudget
from verify.conversion.key_map import is_known
from verify.errors import MAX_MESSAGE_CHARACTERS, Cause, ConversionError
from verify.files.budget import Budget
from verify.files.location import parse_location
from verify.source import companions, config, vocabulary


def an_index(body: bytes) -> None:
    unpickle.loads(bombs.PROTOCOL + body + b".", ReadingBudget())


def a_name(length: int) -> None:
    container = seeds.zipped({f"x/{'n' * (length - 2)}": b""})
    zip_directory.read_directory(io.BytesIO(container), len(container))


def plain_data(depth: int) -> None:
    value: list = []
    for _ in range(depth):
        value = [value]
    layout.plain(value, ReadingBudget())


def requests(number: int) -> None:
    Budget(requests=number - 1).grant(parse_location("https://example.org/x.pth"), 1)


# What is limited -> (a function that reads so much of it, what is read, the code of the refusal of one more)
SMALL = {
    "characters of a key": (lambda number: ReadingBudget().spend_key("k" * number), 500, "key-limit"),
    "an integer as a key": (lambda key: an_index(b"}" + bombs.integer(key) + b"Ns"), 2**32 - 1, "bad-pickle"),
    "bytes of an integer": (lambda size: an_index(b"\x8a" + bytes([size]) + bytes(size)), 16, "bad-pickle"),
    "containers inside one another": (lambda depth: an_index(b"(" * depth + b"N" + b"t" * depth), 200, "pickle-limit"),
    "plain data inside plain data": (plain_data, 32, "pickle-limit"),
    "bytes of a member's name": (a_name, 1000, "bad-container"),
    "requests for one URL": (requests, 100_000, "remote-unreachable"),
}


@pytest.mark.parametrize("what", SMALL)
def test_what_lies_on_a_limit_is_read_and_one_more_is_refused(what):
    read, most, code = SMALL[what]
    read(most)
    with pytest.raises(ConversionError) as caught:
        read(most + 1)
    assert caught.value.cause.code == code


def directory_of(path):
    size = path.stat().st_size
    with path.open("r+b") as file:
        end = struct.pack("<IHHHHIIH", zip_directory.END_SIGNATURE, 0, 0, 1, 1, size, 0, 0)
        file.seek(size)
        file.write(end)
        zip_directory.read_directory(file, size + len(end))


def header_of(path):
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(struct.pack("<Q", size - 8) + b"{")
        file.seek(0)
        safetensors.read(path, file, size, ReadingBudget())


LARGE = {  # of a file that is all zeros: how it is read, and its largest size
    "directory": (directory_of, 32 * 2**20),
    "safetensors header": (header_of, 4 * 2**20 + 8),
    "config.json": (config.read_json, 4 * 2**20),
    "vocab.json": (vocabulary.read_vocabulary, companions.MAX_VOCAB_BYTES),
    "clip": (clips.read_clip, 500_000_000),
}


@pytest.mark.parametrize("what", LARGE)
def test_a_file_that_is_a_byte_too_large_is_refused_unread(what, tmp_path):
    read, most = LARGE[what]
    path = tmp_path / "x.wav"
    refusals = []
    for size in (most, most + 1):
        path.write_bytes(b"")
        os.truncate(path, size)
        with pytest.raises(ConversionError) as caught:
            read(path)
        refusals.append(str(caught.value))
    assert refusals[0] != refusals[1], refusals  # on the limit it is read, and found to be no such file
    assert re.search(r"is the limit|has 1 members in 33,554,433 bytes", refusals[1])


def test_a_message_is_cut():
    long = Cause(code="x", severity="note", message="m" * 5000).message
    assert len(long) < MAX_MESSAGE_CHARACTERS + 30
    assert long.endswith("(5,000 characters)")


def test_the_number_of_a_layer_has_three_digits():
    assert is_known("gpt.gpt.h.999.ln_1.bias")
    assert not is_known("gpt.gpt.h.1000.ln_1.bias")
