"""Compare a model in a file with one in memory: share equal tensors, measure the others. No torch."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from verify.checkpoint.reader import Progress, TensorReader
from verify.checkpoint.tensor_stats import Scan, as_floats
from verify.checkpoint.tensors import ITEM_BYTES, TensorRecord, is_float
from verify.conversion import key_map
from verify.files.local import crc32

UNKNOWN_PART = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """A model in memory: its tensors' records, and their data as bytes `(bytes,)`, both by canonical name."""

    tensors: Mapping[str, TensorRecord]
    data: Mapping[str, np.ndarray]


@dataclass(slots=True, kw_only=True)
class Change:
    """How one tensor differs from the one of the same name and shape in the other model, as far as it was read."""

    key: str
    bytes: int
    same_dtype: bool
    changed_bytes: int = 0  # of the elements that differ
    squares: float = 0.0  # the sum of the other model's, in float64
    moved: float = 0.0  # the sum of the squared differences, in float64

    @property
    def identical(self) -> bool:
        return self.same_dtype and not self.changed_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PartChange:
    """How one part of the model differs; `largest` is the largest change of a tensor, relative to its norm."""

    part: str
    tensors: int
    identical: int
    bytes: int
    changed_bytes: int
    relative_change: float | None  # of the part as a whole; None where nothing stood there before, or it is not finite
    largest: float | None
    largest_key: str | None

    @property
    def changed_share(self) -> float:
        """The share of its bytes that belong to elements that differ, 0 to 1."""
        return self.changed_bytes / self.bytes if self.bytes else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerChange:
    """How far one layer of the GPT moved, relative to its norm."""

    layer: int
    relative_change: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherShape:
    """A tensor that both models have, in two shapes."""

    key: str
    here: tuple[int, ...]
    there: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All that differs between the tensors of this model, `here`, and those of another, `there`."""

    parts: tuple[PartChange, ...]
    layers: tuple[LayerChange, ...]  # those that moved
    only_here: tuple[str, ...]
    only_there: tuple[str, ...]
    other_shapes: tuple[OtherShape, ...]
    shared_bytes: int  # that both hold once in memory

    @property
    def identical(self) -> bool:
        """Whether both models have the same tensors, byte for byte."""
        alike = all(part.identical == part.tensors for part in self.parts)
        return alike and not (self.only_here or self.only_there or self.other_shapes)


def read_beside(
    tensors: Mapping[str, TensorRecord], other: Held, progress: Progress
) -> tuple[dict[str, np.ndarray], Scan, Difference]:
    """Read the tensors into memory as bytes `(bytes,)`; one that is the other model's byte for byte becomes that array.

    Every byte is read and compared once; a tensor gets its own memory only if a byte differs.

    Raises:
        ArchiveError: the source is damaged or changed while it was read.
    """
    data, changes = {}, []
    with TensorReader(progress) as reader:
        reader.announce(tensors.values())
        for key, record in tensors.items():
            other_record = other.tensors.get(key)
            if other_record is None or other_record.shape != record.shape:
                data[key] = reader.read(record)
                continue
            change = Change(key=key, bytes=record.bytes, same_dtype=record.dtype == other_record.dtype)
            data[key] = _read_against(reader, record, other_record, other.data[key], change)
            changes.append(change)
        scan = reader.result()
    shared = sum(len(array) for key, array in data.items() if array is other.data.get(key))
    return data, scan, _difference(tensors, other.tensors, changes, shared)


def _read_against(
    reader: TensorReader, record: TensorRecord, other_record: TensorRecord, other_data: np.ndarray, change: Change
) -> np.ndarray:
    """Return the tensor's data, which is `held` itself where no byte differs, and fill in how it changed."""
    copy: np.ndarray | None = None if change.same_dtype else np.empty(record.bytes, np.uint8)
    position = crc = 0
    item, other_item = ITEM_BYTES[record.dtype], ITEM_BYTES[other_record.dtype]
    for chunk in reader.chunks(record):
        crc = crc32(chunk, crc)
        new, end = np.frombuffer(chunk, np.uint8), position + len(chunk)
        old = other_data[position // item * other_item : end // item * other_item]
        equal = change.same_dtype and np.array_equal(new, old)
        if copy is None and not equal:
            copy = np.empty(record.bytes, np.uint8)
            copy[:position] = other_data[:position]
        if copy is not None:
            copy[position:end] = new
        _measure(change, new, record.dtype, old, other_record.dtype, equal)
        position = end
        del new
        reader.release(chunk)
    reader.finish(record, crc)
    return other_data if copy is None else copy


def _measure(change: Change, new: np.ndarray, dtype: str, old: np.ndarray, other_dtype: str, equal: bool) -> None:
    """Add a chunk's squares, and its squared differences from the other model's chunk, both given as bytes."""
    before = _values(old, other_dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        change.squares += float(np.dot(before, before))
        if equal:
            return
        step = _values(new, dtype) - before
        change.moved += float(np.dot(step, step))
    item = ITEM_BYTES[dtype]
    differ = new.view(f"u{item}") != old.view(f"u{item}") if dtype == other_dtype else step != 0
    change.changed_bytes += int(np.count_nonzero(differ)) * item


def _values(data: np.ndarray, dtype: str) -> np.ndarray:
    """Return bytes as float64 `(elements,)`."""
    if is_float(dtype):
        return as_floats(data.data, dtype).astype(np.float64, copy=False)
    return data.view(dtype).astype(np.float64)


def _difference(
    own_tensors: Mapping[str, TensorRecord],
    other_tensors: Mapping[str, TensorRecord],
    changes: Iterable[Change],
    shared: int,
) -> Difference:
    """Sum the changes by part and by GPT layer."""
    parts: dict[str, list[Change]] = {}
    layers: dict[int, list[Change]] = {}
    for change in changes:
        parts.setdefault(key_map.part_of(change.key) or UNKNOWN_PART, []).append(change)
        if match := key_map.LAYER.match(change.key):
            layers.setdefault(int(match[1]), []).append(change)
    return Difference(
        parts=tuple(_part(name, part_changes) for name, part_changes in parts.items()),
        layers=tuple(
            LayerChange(layer=layer, relative_change=_relative(layer_changes))
            for layer, layer_changes in sorted(layers.items())
            if not all(change.identical for change in layer_changes)
        ),
        only_here=tuple(key for key in own_tensors if key not in other_tensors),
        only_there=tuple(key for key in other_tensors if key not in own_tensors),
        other_shapes=tuple(
            OtherShape(key=key, here=record.shape, there=other_tensors[key].shape)
            for key, record in own_tensors.items()
            if key in other_tensors and other_tensors[key].shape != record.shape
        ),
        shared_bytes=shared,
    )


def _part(name: str, changes: list[Change]) -> PartChange:
    moved = [change for change in changes if not change.identical]
    measured = [(relative, change.key) for change in moved if (relative := _relative([change])) is not None]
    largest = max(measured) if measured else (None if moved else 0.0, None)
    return PartChange(
        part=name,
        tensors=len(changes),
        identical=len(changes) - len(moved),
        bytes=sum(change.bytes for change in changes),
        changed_bytes=sum(change.changed_bytes for change in changes),
        relative_change=_relative(changes),
        largest=largest[0],
        largest_key=largest[1],
    )


def _relative(changes: Iterable[Change]) -> float | None:
    """Return the norm of the difference over the norm of the other model's values."""
    changes = list(changes)
    squares, moved = sum(change.squares for change in changes), sum(change.moved for change in changes)
    if not (math.isfinite(squares) and math.isfinite(moved)):
        return None
    if squares == 0:
        return 0.0 if moved == 0 else None
    return math.sqrt(moved / squares)
