"""Write the zip container that `torch.load` reads: stored members, 64-byte aligned, CRC-32 after the data, one pass.

The layout is that of torch 2.x (`caffe2/serialize/inline_container.cc`): `data.pkl` first, then one member a storage,
each padded by an `FB` extra field; sizes and CRC-32 stand in a data descriptor behind the data (APPNOTE 4.3.9) and in
the directory, so nothing is written twice and the SHA-256 of the file can be taken on the way.
"""

import pickle
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from verify.checkpoint import zip_directory
from verify.checkpoint.tensors import ITEM_BYTES, STORAGES, TensorRecord, row_major
from verify.conversion.proven_file import ProvenFile
from verify.errors import OutputError

ALIGNMENT_BYTES = 64
ROOT = "model"
_FLAGS = 0x0808  # data descriptor follows; names are UTF-8
_WIDE = 0xFFFFFFFF
_CLASS_OF = {dtype: kind for kind, (dtype, _) in STORAGES.items()}


def index_pickle(tensors: Mapping[str, TensorRecord], config: Mapping[str, Any]) -> bytes:
    """Return the `data.pkl` of `{"model": tensors, "config": config}`, one storage a tensor, without importing torch."""
    model = _group(tensors, 0)
    # The config's own pickle between PROTO and STOP; nothing else here uses the memo, so its memo slots stay its own.
    plain = pickle.dumps(dict(config), protocol=2)[2:-1]
    return b"\x80\x02}(" + _text("model") + model + _text("config") + plain + b"u."


def voices_pickle(voices: Mapping[str, Mapping[str, TensorRecord]]) -> bytes:
    """Return the `data.pkl` of `{voice: {part: tensor}}`; storages are numbered in the order of the parts."""
    body, number = b"", 0
    for name, parts in voices.items():
        body += _text(name) + _group(parts, number)
        number += len(parts)
    return b"\x80\x02}(" + body + b"u."


def state_pickle(tensors: Mapping[str, TensorRecord]) -> bytes:
    """Return the `data.pkl` of a bare state dict."""
    return b"\x80\x02" + _group(tensors, 0) + b"."


def tensor_pickle(record: TensorRecord) -> bytes:
    """Return the `data.pkl` of one tensor."""
    return b"\x80\x02" + _tensor(record, "0") + b"."


def _group(tensors: Mapping[str, TensorRecord], first: int) -> bytes:
    """Return a dictionary of tensors whose storages are numbered from `first`."""
    items = (_text(key) + _tensor(record, str(number)) for number, (key, record) in enumerate(tensors.items(), first))
    return b"}(" + b"".join(items) + b"u"


def _text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def _integer(value: int) -> bytes:
    if value < 2**31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(9, "little")
    return b"\x8a" + bytes([len(data)]) + data


def _tuple(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(_integer, values)) + b"t"


def _tensor(record: TensorRecord, member: str) -> bytes:
    """Return the call of `_rebuild_tensor_v2(storage, 0, shape, stride, False, OrderedDict())`."""
    storage = b"ctorch\n" + _CLASS_OF[record.dtype].encode() + b"Storage\n"
    pid = b"(" + _text("storage") + storage + _text(member) + _text("cpu") + _integer(record.elements) + b"tQ"
    shape = _tuple(record.shape) + _tuple(row_major(record.shape))
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + _integer(0) + shape + b"\x89ccollections\nOrderedDict\n)RtR"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    name: str
    header: int  # where it begins
    bytes: int
    crc: int


class ContainerWriter:
    """Appends members to a container; `finish` writes its directory."""

    def __init__(self, out: ProvenFile) -> None:
        self.out = out
        self.members: list[_Member] = []
        self._descriptor = b""  # of the last member, written together with what follows

    def begin(self, name: str, size: int) -> None:
        """Write the header of a member of `size` bytes, padded so that its data is aligned.

        Raises:
            OutputError: the member needs 4 GiB or more, which this format variant cannot hold in one tensor.
        """
        if size >= _WIDE:
            raise OutputError(
                "tensor-too-large", f"one tensor of {size:,} bytes is more than a member can hold (4 GiB)"
            )
        self._name, self._size = f"{ROOT}/{name}".encode(), size
        self._start = self.out.position + len(self._descriptor)
        data_start = self._start + zip_directory.LOCAL_HEADER.size + len(self._name) + 4
        padding = -data_start % ALIGNMENT_BYTES
        header = zip_directory.LOCAL_HEADER.pack(
            zip_directory.LOCAL_SIGNATURE, 0, _FLAGS, 0, 0, 0, 0, 0, 0, len(self._name), padding + 4
        )
        self._add(header + self._name + struct.pack("<2sH", b"FB", padding) + b"Z" * padding)

    def end(self, crc: int) -> None:
        """Close the member, whose data has the given CRC-32."""
        self._descriptor = struct.pack("<4sIII", b"PK\x07\x08", crc, self._size, self._size)
        self.members.append(_Member(name=self._name.decode(), header=self._start, bytes=self._size, crc=crc))

    def add(self, name: str, data: bytes) -> None:
        """Write one small member."""
        self.begin(name, len(data))
        self.end(self.out.add(data))

    def _add(self, data: bytes) -> None:
        self.out.add(self._descriptor + data)

    def finish(self) -> str:
        """Write the directory and return the file's SHA-256."""
        start = self.out.position + len(self._descriptor)
        directory = b"".join(map(self._entry, self.members))
        self._add(directory + self._end_record(start, len(directory)))
        return self.out.finish()

    def _entry(self, member: _Member) -> bytes:
        name, offset, size = member.name.encode(), member.header, member.bytes
        extra = struct.pack("<HHQ", 1, 8, offset) if offset >= _WIDE else b""
        fixed = zip_directory.CENTRAL_HEADER.pack(
            zip_directory.CENTRAL_SIGNATURE, 0, 45 if extra else 0, _FLAGS, 0, 0, 0, member.crc, size, size,
            len(name), len(extra), 0, 0, 0, 0, min(offset, _WIDE),
        )  # fmt: skip
        return fixed + name + extra

    def _end_record(self, start: int, size: int) -> bytes:
        """Return what closes a directory of `size` bytes at `start`."""
        end, count, wide = start + size, len(self.members), b""
        if end >= _WIDE or count >= 0xFFFF:
            wide = zip_directory.ZIP64_END_RECORD.pack(
                zip_directory.ZIP64_END_SIGNATURE, 44, 45, 45, 0, 0, count, count, size, start
            ) + zip_directory.ZIP64_LOCATOR.pack(zip_directory.ZIP64_LOCATOR_SIGNATURE, 0, end, 1)
        short = min(count, 0xFFFF)
        return wide + zip_directory.END_RECORD.pack(
            zip_directory.END_SIGNATURE, 0, 0, short, short, min(size, _WIDE), min(start, _WIDE), 0
        )


def estimate_bytes(records: Iterable[TensorRecord]) -> int:
    """Return an upper bound of the file's size: data, and at most 1 KB of index, headers and padding a tensor."""
    return sum(record.elements * ITEM_BYTES[record.dtype] + 1024 for record in records) + 2**20
