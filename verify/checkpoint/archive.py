"""Read what a checkpoint holds without torch: names, dtypes, shapes, where the bytes lie, and the plain data beside them."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from verify.checkpoint import recognise, safetensors_header, unpickle, zipdir
from verify.errors import ArchiveError, Cause

# torch storage class -> (dtype, bytes an element)
STORAGES = {
    "Double": ("float64", 8),
    "Float": ("float32", 4),
    "Half": ("float16", 2),
    "BFloat16": ("bfloat16", 2),
    "Long": ("int64", 8),
    "Int": ("int32", 4),
    "Short": ("int16", 2),
    "Char": ("int8", 1),
    "Byte": ("uint8", 1),
    "Bool": ("bool", 1),
}
ITEM_BYTES = dict(STORAGES.values())
MAX_PLAIN_DEPTH, MAX_PLAIN_VALUES = 32, 100_000
_TRUNCATED_HINT = "Copy or download it again. If training was killed while saving, use an older one: --checkpoint STEP."


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRecord:
    """One tensor of a file. Shape and stride count elements; `offset` is its first element in the storage, in bytes."""

    key: str
    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    storage: str  # name of the zip member, or the key in a safetensors file
    storage_start: int  # byte in the file where the storage's data begins
    storage_bytes: int
    crc: int | None  # CRC-32 that the container states for the storage

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.elements * ITEM_BYTES[self.dtype]

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie in row-major order without gaps."""
        expected = 1
        for size, stride in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if size != 1 and stride != expected:
                return self.elements == 0
            expected *= size
        return True

    @property
    def fills_storage(self) -> bool:
        return self.contiguous and self.offset == 0 and self.bytes == self.storage_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A checkpoint file: its tensors in file order, its plain data, and what was odd about it."""

    path: Path
    bytes: int
    layout: str  # "trainer", "inference", "state_dict" or "safetensors"
    tensors: tuple[TensorRecord, ...]
    config: dict[str, Any] | None = None
    step: int | None = None
    epoch: int | None = None
    date: str | None = None
    loss: Any = None
    warnings: tuple[Cause, ...] = field(default=())


def read_archive(path: Path) -> Archive:
    """Read a `.pth` container or a `.safetensors` header; the format is told by content, not by name.

    Raises:
        ArchiveError: the file is truncated, damaged, of another kind, or holds no state dict.
        UnsafePickleError: its pickle names code.
    """
    size = recognise.require_regular_file(path)
    with path.open("rb", buffering=0) as file:
        head = file.read(512)
        if head.startswith(recognise.ZIP_MAGIC):
            return _read_zip(path, file, size)
        if safetensors_header.looks_like(head, size):
            return _read_safetensors(path, file, size)
        if head.startswith(b"\x80"):  # legacy or bare pickle: list the code it names before saying that it is not read
            file.seek(0)
            _list_blocked(file.read(unpickle.MAX_PICKLE_BYTES))
        recognise.refuse_other_format(path, head, size)
        raise AssertionError  # pragma: no cover: refuse_other_format always raises


def _list_blocked(data: bytes) -> None:
    """Run the inert machine over the pickles at the start of `data` for the names it blocks; damage is no news here.

    Raises:
        UnsafePickleError: they name code.
    """
    for _ in range(5):  # a legacy file has a magic number, a version, system facts, the object, then the storage keys
        try:
            _, used = unpickle.loads(data)
        except ArchiveError as error:
            if error.cause.code == "unsafe-pickle":
                raise
            return
        data = data[used:]


def _read_zip(path: Path, file: BinaryIO, size: int) -> Archive:
    directory, prefix, root = _read_root(path, file, size)
    contents = _split(path, root)
    tensors = tuple(_record(file, directory, prefix, key, spec) for key, spec in contents["state"].items())
    return Archive(
        path=path,
        bytes=size,
        layout=contents["layout"],
        tensors=tensors,
        warnings=_warnings(directory, tensors),
        **contents["plain"],
    )


def _read_root(path: Path, file: BinaryIO, size: int) -> tuple[zipdir.Directory, str, Any]:
    """Return the directory, the folder name inside the container, and what its index describes."""
    try:
        directory = zipdir.read_directory(file, size)
    except ArchiveError as error:
        if error.cause.code == "truncated":
            raise _explain_truncation(path, file, size) from error
        raise
    index = next((name for name in directory.members if name.endswith("/data.pkl") or name == "data.pkl"), None)
    if index is None:
        raise _no_index(path, directory)
    prefix = index.removesuffix("data.pkl")
    if f"{prefix}constants.pkl" in directory.members:
        raise ArchiveError(
            "torchscript",
            f"{path} is a TorchScript program, not a checkpoint of weights",
            "TorchScript carries code. Pass the checkpoint that it was traced from.",
        )
    _require_little_endian(file, directory, prefix)
    root, _ = unpickle.loads(_read_index(file, directory.members[index]))
    return directory, prefix, root


def read_voices(path: Path) -> tuple[str, ...]:
    """Return the names of the voices in a `speakers_xtts.pth`, read as inertly as any checkpoint.

    Raises:
        ArchiveError: it is damaged, names code, or holds anything but tensors of voices.
    """
    size = recognise.require_regular_file(path)
    with path.open("rb", buffering=0) as file:
        if file.read(4) != recognise.ZIP_MAGIC:
            file.seek(0)
            recognise.refuse_other_format(path, file.read(512), size)
        directory, prefix, root = _read_root(path, file, size)
        if not isinstance(root, dict) or not all(isinstance(voice, dict) for voice in root.values()):
            raise ArchiveError("not-speakers", f"{path} does not hold voices by name")
        for name, voice in root.items():
            for part, spec in voice.items():
                if not isinstance(spec, unpickle.TensorSpec):
                    raise ArchiveError(
                        "not-speakers",
                        f"{path}: {name!s:.60} has {part!s:.60} of type {type(spec).__name__}, not a tensor",
                    )
                _record(file, directory, prefix, f"{name}.{part}", spec)
        return tuple(map(str, root))


def _no_index(path: Path, directory: zipdir.Directory) -> ArchiveError:
    names = ", ".join(list(directory.members)[:5])
    if directory.members:
        folder = next(iter(directory.members)).split("/")[0]
        if any(name.startswith(f"{folder}/data/") for name in directory.members):
            return ArchiveError("missing-member", f"member {folder}/data.pkl is missing from {path}", _TRUNCATED_HINT)
    return ArchiveError(
        "not-a-checkpoint", f"{path} is a ZIP without data.pkl (it holds {names})", recognise.TRAINING_FILE_HINT
    )


def _read_index(file: BinaryIO, member: zipdir.Member) -> bytes:
    """Return data.pkl, bounded and checked against its CRC-32."""
    import zlib

    if member.bytes > unpickle.MAX_PICKLE_BYTES:
        raise ArchiveError(
            "pickle-limit",
            f"data.pkl has {member.bytes:,} bytes; {unpickle.MAX_PICKLE_BYTES:,} is the limit (a real XTTS checkpoint has 0.5 MB)",
        )
    file.seek(zipdir.data_offset(file, member))
    data = file.read(member.bytes)
    if len(data) != member.bytes:
        raise ArchiveError("truncated", f"data.pkl ends after {len(data):,} of {member.bytes:,} bytes", _TRUNCATED_HINT)
    computed = zlib.crc32(data)
    if member.crc and computed != member.crc:
        raise crc_error("data.pkl", member.name, member.crc, computed)
    return data


def crc_error(key: str, member: str, stored: int, computed: int) -> ArchiveError:
    """Return the error for data whose CRC-32 is not the one that the container states."""
    return ArchiveError(
        "crc-mismatch",
        f"{key} (member {member}) is damaged: CRC-32 stored {stored:08x}, computed {computed:08x}",
        "The file changed after it was written: copy or download it again. torch.load would have loaded this silently.",
        (key,),
    )


def _require_little_endian(file: BinaryIO, directory: zipdir.Directory, prefix: str) -> None:
    member = directory.members.get(f"{prefix}byteorder")
    if member is None:  # torch before 2.1 did not write it
        return
    file.seek(zipdir.data_offset(file, member))
    order = file.read(min(member.bytes, 16))
    if order != b"little":
        raise ArchiveError(
            "byte-order",
            f"member byteorder says {order!r}; only 'little' is read",
            "Save the checkpoint on a little-endian machine.",
        )


def _explain_truncation(path: Path, file: BinaryIO, size: int) -> ArchiveError:
    """Return the error for a cut file: the index comes first in it, so it can often tell how much is missing."""
    file.seek(0)
    start = zipdir.LOCAL_HEADER.unpack(file.read(zipdir.LOCAL_HEADER.size).ljust(zipdir.LOCAL_HEADER.size, b"\0"))
    file.seek(zipdir.LOCAL_HEADER.size + start[9] + start[10])
    try:
        root, _ = unpickle.loads(file.read(unpickle.MAX_PICKLE_BYTES))
        storages: dict[str, int] = {}
        _sum_storages(root, storages, 0)
        expected = f"its tensors alone need {sum(storages.values()):,} bytes"
    except ArchiveError as error:
        if error.cause.code == "unsafe-pickle":
            return error
        expected = "not even its index is whole"
    return ArchiveError("truncated", f"{path} is truncated: {size:,} bytes are there, {expected}", _TRUNCATED_HINT)


def _sum_storages(value: Any, storages: dict[str, int], depth: int) -> None:
    if isinstance(value, unpickle.TensorSpec):
        storages[value.storage.member] = value.storage.elements * STORAGES.get(value.storage.kind, ("", 1))[1]
    elif isinstance(value, (dict, list, tuple)) and depth < MAX_PLAIN_DEPTH and len(storages) < MAX_PLAIN_VALUES:
        for item in value.values() if isinstance(value, dict) else value:
            _sum_storages(item, storages, depth + 1)


def _split(path: Path, root: Any) -> dict[str, Any]:
    """Separate the state dict from the plain data beside it, and name the layout."""
    if not isinstance(root, dict):
        raise _no_state_dict(path, root)
    wrapper = next((name for name in ("model", "state_dict") if isinstance(root.get(name), dict)), None)
    state = root[wrapper] if wrapper else root
    tensors = sum(isinstance(value, (unpickle.TensorSpec, unpickle.OddTensor)) for value in state.values())
    if not tensors:
        raise _no_state_dict(path, root)
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, (unpickle.TensorSpec, unpickle.OddTensor)):
            raise ArchiveError(
                "not-a-state-dict",
                f"{path}: the state dict has {key!r:.80} with a value of type {type(value).__name__}, not a tensor",
            )
    if wrapper is None:
        return {"layout": "state_dict", "state": state, "plain": {}}
    budget = [MAX_PLAIN_VALUES]
    config = plain(root.get("config"), budget)
    trained = "optimizer" in root or any(key.startswith("xtts.") for key in state)
    return {
        "layout": "trainer" if trained else "inference",
        "state": state,
        "plain": {
            "config": config if isinstance(config, dict) else None,
            "step": root["step"] if type(root.get("step")) is int else None,
            "epoch": root["epoch"] if type(root.get("epoch")) is int else None,
            "date": root["date"][:100] if isinstance(root.get("date"), str) else None,
            "loss": plain(root.get("model_loss"), budget),
        },
    }


def _no_state_dict(path: Path, root: Any) -> ArchiveError:
    """Return the error that says what stands in place of the state dict."""
    if isinstance(root, unpickle.TensorSpec):
        shape = "x".join(map(str, root.shape))
        what = (
            f"one tensor of shape {shape}: this looks like mel_stats.pth"
            if root.shape == (80,)
            else f"one tensor of shape {shape}"
        )
    elif isinstance(root, dict):
        names = ", ".join(repr(name)[:60] for name in list(root)[:10])
        voices = [value for value in root.values() if isinstance(value, dict) and "gpt_cond_latent" in value]
        what = (
            f"this looks like speakers_xtts.pth ({len(voices)} voices)"
            if voices
            else f"no model; the top-level names are {names or 'none'}"
        )
    else:
        what = f"a value of type {type(root).__name__} in place of a state dict"
    return ArchiveError("not-a-state-dict", f"{path} holds {what}", recognise.TRAINING_FILE_HINT)


def plain(value: Any, budget: list[int], depth: int = 0) -> Any:
    """Return pickled plain data as JSON-like values; an object of a known class becomes its state, the rest None.

    Raises:
        ArchiveError: it nests deeper than 32 or holds more than 100,000 values.
    """
    budget[0] -= 1
    if depth > MAX_PLAIN_DEPTH or budget[0] < 0:
        raise ArchiveError(
            "pickle-limit", "the config inside the checkpoint is nested too deep or holds too many values"
        )
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, dict):
        return {str(key)[:200]: plain(item, budget, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, budget, depth + 1) for item in value]
    if isinstance(value, unpickle.Instance) and isinstance(value.state, dict):
        return plain(value.state, budget, depth + 1)
    return None


def _record(file: BinaryIO, directory: zipdir.Directory, prefix: str, key: str, spec: Any) -> TensorRecord:
    """Return the record of one tensor, having held its shape against its storage and its storage against its member."""
    kind = spec.kind if isinstance(spec, unpickle.OddTensor) else spec.storage.kind
    if isinstance(spec, unpickle.OddTensor) or kind not in STORAGES:
        raise ArchiveError(
            "tensor-kind",
            f"{key} is a {kind} tensor; only dense tensors of the usual dtypes are read",
            "Convert it where it was made: tensor.dequantize(), .to_dense() or .float() before saving.",
            (key,),
        )
    dtype, item_bytes = STORAGES[kind]
    member = directory.members.get(f"{prefix}data/{spec.storage.member}")
    if member is None:
        raise ArchiveError(
            "missing-member", f"{key}: member {prefix}data/{spec.storage.member} is missing", _TRUNCATED_HINT, (key,)
        )
    declared = spec.storage.elements * item_bytes
    if declared != member.bytes:
        raise ArchiveError(
            "member-size",
            f"{key}: the index declares {declared:,} bytes, member {member.name} stores {member.bytes:,}",
            "torch.load would read a neighbour's bytes here. Get the file again.",
            (key,),
        )
    elements = math.prod(spec.shape)
    last = (
        spec.offset + sum((size - 1) * stride for size, stride in zip(spec.shape, spec.stride, strict=True))
        if elements
        else -1
    )
    if elements > spec.storage.elements or last >= spec.storage.elements:
        raise ArchiveError(
            "tensor-shape",
            f"{key} has shape {list(spec.shape)} ({elements:,} elements), its storage holds {spec.storage.elements:,}",
            keys=(key,),
        )
    return TensorRecord(
        key=key,
        dtype=dtype,
        shape=spec.shape,
        stride=spec.stride,
        offset=spec.offset * item_bytes,
        storage=member.name,
        storage_start=zipdir.data_offset(file, member),
        storage_bytes=member.bytes,
        crc=member.crc,
    )


def _warnings(directory: zipdir.Directory, tensors: tuple[TensorRecord, ...]) -> tuple[Cause, ...]:
    found = []
    if directory.trailing_bytes:
        found.append(
            Cause(
                code="trailing-bytes",
                severity="warning",
                message=f"{directory.trailing_bytes:,} bytes follow the end of the container; they are ignored",
            )
        )
    if not any(record.crc for record in tensors if record.bytes):
        found.append(
            Cause(
                code="no-checksums",
                severity="warning",
                message="the file has no checksums (torch was told not to compute CRC-32): damage in it cannot be found",
            )
        )
    return tuple(found)


def _read_safetensors(path: Path, file: BinaryIO, size: int) -> Archive:
    entries = safetensors_header.read(path, file, size)
    tensors = tuple(
        TensorRecord(
            key=key,
            dtype=entry.dtype,
            shape=entry.shape,
            stride=_row_major(entry.shape),
            offset=0,
            storage=key,
            storage_start=entry.start,
            storage_bytes=entry.bytes,
            crc=None,
        )
        for key, entry in entries.items()
    )
    return Archive(path=path, bytes=size, layout="safetensors", tensors=tensors)


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))
