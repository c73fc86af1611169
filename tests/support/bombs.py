"""Small files that are expensive to read: each took seconds or hundreds of megabytes before the reader had limits.

A bomb is the files of a run folder (see `seeds.run_folder`).
"""

import struct
from collections.abc import Callable

from tests.support import seeds

Files = dict[str, bytes]
PROTOCOL = b"\x80\x02"


def text(value: str) -> bytes:
    """Return the opcodes of a long text."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def name(module: str, attribute: str) -> bytes:
    """Return the GLOBAL opcode of a name in a module."""
    return f"c{module}\n{attribute}\n".encode()


def integer(value: int) -> bytes:
    """Return the opcode of an integer of 16 bytes."""
    return b"\x8a\x10" + value.to_bytes(16, "little", signed=True)


def checkpoint_of(index: bytes, members: int = 12) -> bytes:
    """Return a container of this index and storages of 320 bytes."""
    return seeds.zipped({"x/data.pkl": index, **{f"x/data/{number}": bytes(320) for number in range(members)}})


def _tensor(member: str = "0", shape: tuple = (80,)) -> bytes:
    return seeds.pickled(seeds.Tensor(member, shape))[2:-1]


def _keys(keys: list[str]) -> Files:
    """Return a checkpoint whose keys all name one tensor of the memo."""
    put = _tensor() + b"r\xff\xff\xff\x0f0"
    body = b"".join(text(key) + b"j\xff\xff\xff\x0f" for key in keys)
    return {"checkpoint": checkpoint_of(PROTOCOL + put + b"}" + text("model") + b"}(" + body + b"us.")}


def _calls(function: bytes, elements: int = 400_000, calls: int = 390_000) -> Files:
    """Return a checkpoint that calls one function very often with one long tuple of arguments."""
    put = b"(" + b"N" * elements + b"tq\x000" + function + b"q\x010"
    return {"checkpoint": checkpoint_of(PROTOCOL + put + b"h\x01h\x00R0" * calls + b"}.")}


def _dictionary(items: bytes) -> Files:
    return {"checkpoint": checkpoint_of(PROTOCOL + b"}(" + items + b"u.")}


def _empty_tensors(keys: list[str]) -> Files:
    """Return a safetensors file of tensors without elements, besides the good ones."""
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    return {"safetensors": seeds.safetensors({**dict.fromkeys(keys, empty), **seeds.safetensors_header()})}


def _equal_texts() -> Files:
    """Return a dictionary whose one key is set again and again to a text that is equal but another: each is compared."""
    long = text("k" * 7_000_000)
    return {
        "checkpoint": checkpoint_of(
            PROTOCOL + long + b"q\x000" + long + b"q\x010}h\x00Ns" + b"h\x01Ns" * 390_000 + b"."
        )
    }


def small_indexes() -> list[bytes]:
    """Return small variants of the bombs' indexes, hundreds of bytes each, as seeds for the fuzzer."""
    put = b"(" + b"N" * 50 + b"tq\x000"
    calls = [put + function + b"q\x010" + b"h\x01h\x00R0" * 20 for function in (
        name("collections", "OrderedDict"), name("builtins", "set"), name("torch", "device"),
        name("torch._utils", "_rebuild_sparse_tensor"), name("torch", "Size"), name("_codecs", "encode"),
    )]  # fmt: skip
    bodies = [
        *(call + b"}." for call in calls),
        b"}(" + b"".join(integer(n * (2**61 - 1)) + b"N" for n in range(20)) + b"u.",
    ]
    return [PROTOCOL + body for body in bodies]


FILES: dict[str, Callable[[], Files]] = {
    "a tuple of 400,000 elements, given to OrderedDict 390,000 times": lambda: _calls(
        name("collections", "OrderedDict")
    ),
    "a tuple of 400,000 elements, given to set 390,000 times": lambda: _calls(name("builtins", "set")),
    "a tuple of 400,000 elements, given to a device 390,000 times": lambda: _calls(name("torch", "device")),
    "a tuple of 400,000 elements, given to a sparse tensor 390,000 times": lambda: _calls(
        name("torch._utils", "_rebuild_sparse_tensor")
    ),
    "integer keys of one hash": lambda: _dictionary(
        b"".join(integer(number * (2**61 - 1)) + b"N" for number in range(500_000))
    ),
    "integer keys whose last 40 bits are zero": lambda: _dictionary(
        b"".join(integer(number << 40) + b"N" for number in range(500_000))
    ),
    "one key of 7 MB, set 390,000 times to its equal": _equal_texts,
    "a key of 14 MB of wrappers": lambda: _keys(["xtts." * 2_800_000 + "x"]),
    "100,000 unknown tensors without elements": lambda: _empty_tensors([f"u{number}" for number in range(100_000)]),
    "60,000 tensors of one collision": lambda: _empty_tensors(
        [f"module.gpt.unknown.{number}" for number in range(60_000)]
    ),
    "950,000 unknown keys of one tensor": lambda: _keys([f"{number:x}" for number in range(950_000)]),
    "950,000 training keys of one tensor": lambda: _keys([f"dvae.{number:x}" for number in range(950_000)]),
    "400,000 layers of one tensor": lambda: _keys([f"gpt.gpt.h.{number}.ln_1.bias" for number in range(400_000)]),
    "a layer of the number 999,999": lambda: _keys(["gpt.gpt.h.999999.ln_1.bias"]),
    "9,000 unknown keys of 900 characters": lambda: _keys([f"{number:0900}" for number in range(9_000)]),
    "a key of 15 MB": lambda: _keys(["u" * 15_000_000]),
    "ten keys of 1 MB": lambda: _keys([f"{number}" + "u" * 1_000_000 for number in range(10)]),
    "keys that look like every other model": lambda: _keys(
        [f"encoder.0.0.weight.{number:0480}" for number in range(9_000)]
    ),
    "200,000 members": lambda: {
        "checkpoint": checkpoint_of(seeds.pickled({"model": {"mel_stats": seeds.Tensor("0", (80,))}}), 60_000)
    },
    "a dtype of lists in lists": lambda: {
        "safetensors": seeds.safetensors(
            b'{"a":{"dtype":' + b"[" * 900 + b"]" * 900 + b',"shape":[0],"data_offsets":[0,0]}}'
        )
    },
    "voices of 900,000 names": lambda: {
        "speakers": checkpoint_of(
            PROTOCOL
            + _tensor()
            + b"r\xff\xff\xff\x0f0}"
            + text("a")
            + b"j\xff\xff\xff\x0fsr\xfe\xff\xff\x0f0}("
            + b"".join(text(f"{number:x}") + b"j\xfe\xff\xff\x0f" for number in range(900_000))
            + b"u."
        )
    },
}
