"""Seeded changes to small valid files: bytes, zip fields, pickle opcodes, safetensors headers, JSON values."""

import io
import itertools
import json
import pickletools
import struct
import zipfile
from functools import cache
from random import Random

from tests.support import seeds

NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 4095, 32767, 65535, 65536, 2**20, 2**31 - 1, 2**31, 2**32 - 1, 2**32)
WIDE = (*NUMBERS, 2**40, 2**47, 2**48, 2**53, 2**63 - 1, 2**63, 2**64 - 1)
TEXTS = ("", "x", "\0", "\n", "../../x", "/dev/zero", "x" * 5000, "x" * 100_000, "Ж字😀", "[b]", "\x1b[2J", "storage", "cpu", "model", "xtts.", "9" * 400)  # fmt: skip
NAMES = (
    "os system", "builtins eval", "torch._utils _rebuild_tensor_v2", "torch FloatStorage", "torch HalfStorage", "torch QInt8Storage",
    "collections OrderedDict", "collections Counter", "torch Size", "torch device", "_codecs encode", "numpy dtype",
    "TTS.tts.models.xtts XttsArgs", "torch._utils _rebuild_parameter", "torch._utils _rebuild_sparse_tensor", "builtins set",
)  # fmt: skip
RAW = ("1e999", "-1e999", "NaN", "-Infinity", "1" * 5000, "0." + "1" * 5000, "[" * 3000 + "]" * 3000, '{"a":' * 900 + "1" + "}" * 900,
       '"\\ud800"', "tru", '{"a":1,"a":2}', "1" * 4000)  # fmt: skip


def mutant(seed: int, number: int) -> tuple[str, dict[str, bytes]]:
    """Return the kind of mutant `number` and the files of its run folder; the same numbers give the same bytes."""
    random = Random(f"{seed}:{number}")
    kind = random.choice(list(KINDS))
    return kind, KINDS[kind](random)


# --- bytes --------------------------------------------------------------------------------------------------------


def change_bytes(random: Random, data: bytes) -> bytes:
    """Flip, overwrite, insert, delete, repeat or cut, one to six times."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 6)):
        at, length = random.randrange(len(changed) + 1), random.choice((1, 2, 4, 8, 30, 300))
        action = random.randrange(6)
        if action == 0 and at < len(changed):
            changed[at] ^= 1 << random.randrange(8)
        elif action == 1:
            changed[at : at + 4] = struct.pack("<I", random.choice(NUMBERS) & 0xFFFFFFFF)
        elif action == 2:
            changed[at:at] = random.randbytes(length)
        elif action == 3:
            del changed[at : at + length]
        elif action == 4:
            changed[at:at] = changed[max(0, at - length) : at]
        elif random.random() < 0.2:
            del changed[at:]
    return bytes(changed)


@cache
def _files() -> dict[str, tuple[bytes, ...]]:
    return {
        "checkpoint": (seeds.checkpoint(), seeds.checkpoint(4, ""), seeds.checkpoint(extra={"optimizer": [1] * 50})),
        "speakers": (seeds.speakers(),),
        "safetensors": (seeds.safetensors(),),
        "config": (json.dumps(seeds.CONFIG).encode(),),
        "vocab": (json.dumps(seeds.VOCAB).encode(),),
    }


def _bytes(random: Random) -> dict[str, bytes]:
    name = random.choice(("checkpoint", "checkpoint", *_files()))
    return {name: change_bytes(random, random.choice(_files()[name]))}


# --- zip fields ---------------------------------------------------------------------------------------------------

# record -> (signature, [(offset, width) of its fields]), APPNOTE 4.3.7, 4.3.12, 4.3.16
RECORDS = (
    (b"PK\x03\x04", ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2))),
    (b"PK\x01\x02", ((4, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (34, 2), (42, 4))),
    (b"PK\x05\x06", ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2))),
)


def change_zip(random: Random, data: bytes) -> bytes:
    """Give fields of the container's records other values, names other letters, or the end a zip64 record."""
    changed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        signature, fields = random.choice(RECORDS)
        places = _places(data, signature)
        place, (offset, width) = random.choice(places), random.choice(fields)
        old = int.from_bytes(data[place + offset : place + offset + width], "little")
        new = random.choice((old + 1, old - 1, old ^ 1 << random.randrange(8 * width), *random.choices(NUMBERS, k=4)))
        changed[place + offset : place + offset + width] = (new % 2 ** (8 * width)).to_bytes(width, "little")
        if random.random() < 0.2:  # a letter of the name of the member
            at = place + (46 if signature == b"PK\x01\x02" else 30) + random.randrange(8)
            changed[at : at + 1] = random.randbytes(1)
    if random.random() < 0.15:
        values = [random.choice(WIDE) for _ in range(4)]
        record = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, *values)
        locator = struct.pack("<IIQI", 0x07064B50, 0, random.choice((len(changed) - 22, *WIDE)), 1)
        changed[-22:-22] = record + locator
    return bytes(changed)


def _places(data: bytes, signature: bytes) -> list[int]:
    places, at = [], data.find(signature)
    while at >= 0:
        places.append(at)
        at = data.find(signature, at + 1)
    return places


def _zip(random: Random) -> dict[str, bytes]:
    name = random.choice(("checkpoint", "checkpoint", "speakers"))
    data = random.choice(_files()[name])
    if random.random() < 0.3:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
        number = random.randrange(len(members))
        member, content = members[number]
        members[number] = random.choice((
            (member, content[: random.randrange(len(content) + 1)]), (member.upper(), content), ("y" + member[1:], content),
            (member + "\0", content), (member, change_bytes(random, content)), (random.choice(TEXTS)[:60_000], content),
        ))  # fmt: skip
        return {name: seeds.zipped(dict(random.sample(members, len(members)) if random.random() < 0.3 else members))}
    return {name: change_zip(random, data)}


# --- pickle opcodes -----------------------------------------------------------------------------------------------


@cache
def _index(data: bytes) -> tuple[str, dict[str, bytes], tuple[bytes, ...]]:
    """Return the name of the index in a container, all members, and the opcodes of the index, each with its argument."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = next(name for name in members if name.endswith("data.pkl"))
    starts = [position for _, _, position in pickletools.genops(members[name])] + [len(members[name])]
    return name, members, tuple(members[name][a:b] for a, b in itertools.pairwise(starts))


def _opcode(random: Random) -> bytes:
    """Return a random opcode with a random argument."""
    number, text = random.choice(WIDE), random.choice(TEXTS).encode()
    module, name = random.choice(NAMES).split()
    choices = [bytes([random.randrange(256)]), b"(", b"0", b"1", b"2", b"N", b"]", b"}", b")", b"R", b"b", b"Q", b"s", b"u", b"a", b"e",
               b"t", b"l", b"d", b"\x81", b"\x85", b"\x86", b"\x87", b"\x90", b"\x93", b"\x94", b"."]  # fmt: skip
    choices += [b"K%c" % (number % 256), b"h%c" % random.randrange(100), b"q%c" % random.randrange(100)]
    choices += [b"J" + struct.pack("<I", number & 0xFFFFFFFF), b"\x8a\x09" + (number % 2**64).to_bytes(9, "little")]
    choices += [b"r" + struct.pack("<I", number & 0xFFFFFFFF), b"j" + struct.pack("<I", number & 0xFFFFFFFF)]
    choices += [b"X" + struct.pack("<I", len(text)) + text, b"X" + struct.pack("<I", number & 0xFFFFFFFF) + text]
    choices += [b"\x8c%c" % min(len(text), 255) + text[:255], b"B" + struct.pack("<I", len(text)) + text]
    choices += [b"G" + struct.pack(">d", random.choice((0.0, float("nan"), float("inf"), -1e308)))]
    choices += [f"c{module}\n{name}\n".encode()] * 4
    choices += [
        f"i{module}\n{name}\n".encode(),
        b"P%d\n" % number,
        b"\x82\x01",
        b"\x92",
        b"\x97",
        b"\x98",
        b"\x91",
        b"o",
    ]
    return random.choice(choices)


def change_pickle(random: Random, opcodes: tuple[bytes, ...]) -> bytes:
    """Remove, repeat, swap, replace or insert opcodes, one to eight times."""
    changed = list(opcodes)
    for _ in range(random.randint(1, 8)):
        at, action = random.randrange(len(changed)), random.randrange(6)
        if action == 0 and len(changed) > 2:
            del changed[at]
        elif action == 1:
            times = 20_000 if random.random() < 0.03 else 1  # what is cheap once may be a bomb
            changed[at:at] = changed[at : at + random.choice((1, 2, 3, 5, 40))] * times
        elif action == 2:
            other = random.randrange(len(changed))
            changed[at], changed[other] = changed[other], changed[at]
        elif action == 3:
            changed[at] = _opcode(random)
        elif action == 4:
            changed[at:at] = [_opcode(random) for _ in range(random.choice((1, 1, 3, 300)))]
        else:
            changed[at] = change_bytes(random, changed[at])
    return b"".join(changed)


def _pickle(random: Random) -> dict[str, bytes]:
    kind = random.choice(("checkpoint", "checkpoint", "checkpoint", "speakers"))
    name, members, opcodes = _index(random.choice(_files()[kind]))
    return {kind: seeds.zipped({**members, name: change_pickle(random, opcodes)})}


# --- JSON ---------------------------------------------------------------------------------------------------------


def change_json(random: Random, value) -> bytes:
    """Delete, replace, nest, rename or repeat values, one to four times, and write what no JSON writer would."""
    changed, raw = json.loads(json.dumps(value)), {}
    for _ in range(random.randint(1, 4)):
        parent = _container(random, changed)
        key = random.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
        action = random.randrange(6)
        if action == 0:
            del parent[key]
        elif action == 1 and isinstance(parent, dict):
            parent[random.choice((*TEXTS, *parent))] = parent.pop(key)
        elif action == 2:
            raw[f"@{len(raw)}@"] = random.choice(RAW)
            parent[key] = f"@{len(raw) - 1}@"
        elif action == 3:
            parent[key] = random.choice(([parent[key]], {"a": parent[key]}, [parent[key]] * 50))
        else:
            parent[key] = random.choice(
                (None, True, -1, 0.5, [], {}, *WIDE, *TEXTS, [2**47] * 16, [0, 2**47], ["x"] * 200)
            )
    text = json.dumps(changed)
    for mark, words in raw.items():
        text = text.replace(f'"{mark}"', words)
    return text.encode()


def _container(random: Random, value):
    """Return a random non-empty dictionary or list in the value, itself included."""
    containers, pending = [], [value]
    while pending:
        item = pending.pop()
        if isinstance(item, (dict, list)) and item:
            containers.append(item)
            pending.extend(item.values() if isinstance(item, dict) else item)
    return random.choice(containers) if containers else {"": value}


def _safetensors(random: Random) -> dict[str, bytes]:
    data = seeds.safetensors(change_json(random, seeds.safetensors_header()))
    if random.random() < 0.1:
        data = struct.pack("<Q", random.choice(WIDE)) + data[8:]
    return {"safetensors": data}


def _json(random: Random) -> dict[str, bytes]:
    name, value = random.choice((("config", seeds.CONFIG), ("vocab", seeds.VOCAB)))
    return {name: change_json(random, value)}


KINDS = {
    "bytes": _bytes, "zip": _zip, "pickle": _pickle, "safetensors": _safetensors, "json": _json,
}  # fmt: skip
