"""Read a checkpoint without torch: names, dtypes, shapes and positions of its tensors, and the plain data beside them."""

from dataclasses import dataclass, field
from typing import Any, BinaryIO

from verify.checkpoint import allowlist, file_type, safetensors, unpickle, zip_directory
from verify.checkpoint.budget import Budget
from verify.checkpoint.file_type import explain_truncation, list_blocked, no_index
from verify.checkpoint.layout import split
from verify.checkpoint.records import record_of
from verify.checkpoint.tensors import TensorRecord, row_major
from verify.errors import TRUNCATED_HINT, ArchiveError, Cause, TruncatedError, UnreadFormatError, counted, crc_error
from verify.files.local import crc32, open_regular, require_regular_file, stamp_of
from verify.files.location import Location

TEXT_EMBEDDING = "gpt.text_embedding.weight"
_MOST_MOMENTS = 8  # two tensors have that shape: the text embedding and the text head


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A checkpoint file: its tensors in file order, its plain data, and what was odd about it."""

    path: Location
    bytes: int
    layout: str  # "trainer", "inference", "state_dict" or "safetensors"
    tensors: tuple[TensorRecord, ...]
    config: dict[str, Any] | None = None
    step: int | None = None
    epoch: int | None = None
    date: str | None = None
    loss: Any = None
    metadata: dict[str, str] = field(default_factory=dict)  # of a safetensors file
    moments: tuple[TensorRecord, ...] = ()  # Adam's second moments of matrices as large as the text embedding
    warnings: tuple[Cause, ...] = field(default=())
    fingerprint: str | None = None  # SHA-256 over the directory of the container


def read_archive(path: Location) -> Archive:
    """Read a `.pth` container or a `.safetensors` header; the format is recognised by content, not by name.

    Raises:
        ArchiveError: the file is truncated, damaged, of another kind, or holds no state dict.
        UnsafePickleError: its pickle names code.
    """
    size, budget = require_regular_file(path), Budget()
    with open_regular(path) as file:
        head = file.read(512)
        if head.startswith(file_type.ZIP_MAGIC):
            return _read_zip(path, file, size, budget)
        if safetensors.looks_like(head, size):
            return _read_safetensors(path, file, size, budget)
        if head.startswith(b"\x80"):  # legacy or bare pickle: list the code it names before saying that it is not read
            file.seek(0)
            list_blocked(file.read(unpickle.MAX_PICKLE_BYTES), budget)
        file_type.refuse_other_format(path, head, size)
        raise AssertionError  # pragma: no cover: refuse_other_format always raises


def _read_zip(path: Location, file: BinaryIO, size: int, budget: Budget) -> Archive:
    directory, prefix, root = _read_root(path, file, size, budget)
    contents = split(path, root, budget)
    tensors = tuple(record_of(path, file, directory, prefix, key, spec) for key, spec in contents["state"].items())
    return Archive(
        path=path,
        bytes=size,
        layout=contents["layout"],
        tensors=tensors,
        warnings=_warnings(directory, tensors),
        fingerprint=directory.fingerprint(),
        moments=_moments(path, file, directory, prefix, contents["moments"], tensors),
        **contents["plain"],
    )


def _moments(
    path: Location,
    file: BinaryIO,
    directory: zip_directory.Directory,
    prefix: str,
    specs: list[Any],
    tensors: tuple[TensorRecord, ...],
) -> tuple[TensorRecord, ...]:
    """Return the records of those moments that have the shape of the text embedding; none where one is damaged.

    The optimizer is not needed to speak, so that damage to it is no fault of the model.
    """
    shapes = {record.shape for record in tensors if record.key.endswith(TEXT_EMBEDDING)}
    wanted = [spec for spec in specs if spec.shape in shapes][:_MOST_MOMENTS]
    try:
        return tuple(record_of(path, file, directory, prefix, "optimizer", spec) for spec in wanted)
    except ArchiveError:
        return ()


def _read_root(path: Location, file: BinaryIO, size: int, budget: Budget) -> tuple[zip_directory.Directory, str, Any]:
    """Return the directory, the folder name inside the container, and the unpickled index."""
    try:
        directory = zip_directory.read_directory(file, size, budget)
    except TruncatedError as error:
        raise explain_truncation(path, file, size, budget) from error
    folders = {name.split("/")[0] if "/" in name else "" for name in directory.members}
    prefix = f"{next(iter(folders), '')}/"
    if len(folders) != 1 or f"{prefix}data.pkl" not in directory.members:
        raise no_index(path, directory, folders)
    if f"{prefix}constants.pkl" in directory.members:
        raise ArchiveError(
            "torchscript",
            f"{path} is a TorchScript program, not a checkpoint of weights",
            "TorchScript carries code. Pass the checkpoint that it was traced from.",
        )
    zip_directory.require_stored(directory)
    _require_usual_layout(file, directory, prefix)
    root, _ = unpickle.loads(_read_index(file, directory.members[f"{prefix}data.pkl"]), budget)
    return directory, prefix, root


def read_voices(path: Location) -> dict[str, dict[str, TensorRecord]]:
    """Return the voices in a `speakers_xtts.pth`, name to part to tensor, read as safely as any checkpoint.

    Raises:
        ArchiveError: it is damaged, names code, or holds anything but tensors of voices.
    """
    size, budget = require_regular_file(path), Budget()
    with open_regular(path) as file:
        if file.read(4) != file_type.ZIP_MAGIC:
            file.seek(0)
            file_type.refuse_other_format(path, file.read(512), size)
        directory, prefix, root = _read_root(path, file, size, budget)
        if not isinstance(root, dict) or not all(isinstance(voice, dict) for voice in root.values()):
            raise UnreadFormatError("not-speakers", f"{path} does not hold voices by name")
        voices: dict[str, dict[str, TensorRecord]] = {}
        for name, voice in root.items():
            budget.spend("tensors", len(voice))
            for part, spec in voice.items():
                if not (isinstance(name, str) and isinstance(part, str) and isinstance(spec, allowlist.TensorSpec)):
                    raise UnreadFormatError(
                        "not-speakers", f"{path}: {name!s:.60} has {part!s:.60}, which is no tensor"
                    )
                voices.setdefault(name, {})[part] = record_of(path, file, directory, prefix, f"{name}.{part}", spec)
        return voices


def _read_index(file: BinaryIO, member: zip_directory.Member) -> bytes:
    """Return data.pkl, bounded and checked against its CRC-32."""
    if member.bytes > unpickle.MAX_PICKLE_BYTES:
        raise ArchiveError(
            "pickle-limit",
            f"data.pkl has {member.bytes:,} bytes; {unpickle.MAX_PICKLE_BYTES:,} is the limit (a real XTTS checkpoint has 0.25 MB)",
        )
    file.seek(zip_directory.data_offset(file, member))
    data = file.read(member.bytes)
    if len(data) != member.bytes:
        raise ArchiveError("truncated", f"data.pkl ends after {len(data):,} of {member.bytes:,} bytes", TRUNCATED_HINT)
    computed = crc32(data)
    if member.crc and computed != member.crc:
        raise crc_error("data.pkl", member.name, member.crc, computed)
    return data


def _require_usual_layout(file: BinaryIO, directory: zip_directory.Directory, prefix: str) -> None:
    """Refuse a byte order that is not little, and junk where torch writes the alignment of storages."""
    order = _small_member(file, directory, f"{prefix}byteorder")
    if order not in (None, b"little"):  # torch before 2.1 did not write it
        raise ArchiveError(
            "byte-order",
            f"member byteorder says {order!r}; only 'little' is read",
            "Save the checkpoint on a little-endian machine.",
        )
    alignment = _small_member(file, directory, f"{prefix}.storage_alignment")
    if alignment is not None and not alignment.isdigit():
        raise ArchiveError("bad-container", f"member .storage_alignment says {alignment!r}, not a number")


def _small_member(file: BinaryIO, directory: zip_directory.Directory, name: str) -> bytes | None:
    member = directory.members.get(name)
    if member is None:
        return None
    file.seek(zip_directory.data_offset(file, member))
    return file.read(min(member.bytes, 16))


def _warnings(directory: zip_directory.Directory, tensors: tuple[TensorRecord, ...]) -> tuple[Cause, ...]:
    warnings = []
    if directory.trailing_bytes:
        warnings.append(
            Cause(
                code="trailing-bytes",
                severity="warning",
                message=f"{counted(directory.trailing_bytes, 'byte')} after the end of the container: ignored",
            )
        )
    unchecked = sum(not record.crc for record in tensors if record.bytes)
    if unchecked:
        warnings.append(
            Cause(
                code="no-checksums",
                severity="warning",
                message=f"{unchecked:,} of {len(tensors):,} tensors have no checksums (torch was told not to compute "
                "CRC-32): damage in them cannot be found",
            )
        )
    return tuple(warnings)


def _read_safetensors(path: Location, file: BinaryIO, size: int, budget: Budget) -> Archive:
    entries, metadata = safetensors.read(path, file, size, budget)
    tensors = tuple(
        TensorRecord(
            path=path,
            key=key,
            dtype=entry.dtype,
            shape=entry.shape,
            stride=row_major(entry.shape),
            offset=0,
            storage=key,
            storage_start=entry.start,
            storage_bytes=entry.bytes,
            crc=None,
            stamp=stamp_of(file),
        )
        for key, entry in entries.items()
    )
    return Archive(
        path=path,
        bytes=size,
        layout="safetensors",
        tensors=tensors,
        step=_count(metadata.get("step")),
        epoch=_count(metadata.get("epoch")),
        date=metadata.get("date"),
        metadata=metadata,
    )


def _count(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None
