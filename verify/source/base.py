"""The base model that a run was fine-tuned from: it fills parts that the run lacks entirely, and the run is compared with it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from verify.checkpoint.archive import read_archive
from verify.checkpoint.equality import same_bytes
from verify.checkpoint.tensors import TensorRecord
from verify.conversion import key_map
from verify.conversion.ledger import FILLED, KEPT, RENAMED, Entry, Ledger, build_ledger
from verify.errors import MissingError, NoCheckpointError
from verify.files.location import Location
from verify.source.find import find_checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The tensors of the base model under their canonical names, and the parts that they belong to."""

    path: Location
    tensors: Mapping[str, TensorRecord]


def read_base(folder: Location | None) -> Base | None:
    """Return the base model in the folder; None where it holds a vocabulary or voices only.

    Raises:
        ConversionError: the folder's model cannot be read.
    """
    if folder is None:
        return None
    if not folder.is_dir():
        raise MissingError(
            "missing", f"--base {folder} is not a folder", "Pass a model folder, such as the XTTS v2 base model's."
        )
    try:
        path = find_checkpoint(folder)
    except NoCheckpointError:
        return None
    ledger = build_ledger(read_archive(path).tensors, same_bytes)
    model_tensors = {name: record for name, record in ledger.written.items() if key_map.part_of(name)}
    return Base(path=path, tensors=model_tensors)


def fill(ledger: Ledger, base: Base | None) -> Ledger:
    """Return the ledger with each part that is absent from the source taken from the base.

    A part that the source holds incompletely stays as it is: tensors of two trainings do not make one part.
    """
    if base is None:
        return ledger
    present_parts = {key_map.part_of(name) for name in ledger.written}
    filled = [
        Entry(record=record, fate=FILLED, target=name, reason=f"{part}, from {base.path}")
        for name, record in base.tensors.items()
        if (part := key_map.part_of(name)) not in present_parts
    ]
    return Ledger(entries=(*ledger.entries, *filled))


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How much of one part of the source equals the base, by dtype, shape and CRC-32 (by bytes where there is no CRC-32)."""

    part: str
    tensors: int
    identical: int


def likeness(ledger: Ledger, base: Base | None) -> tuple[Likeness, ...]:
    """Return, part by part, how many tensors of the source equal the base's.

    Raises:
        ArchiveError: a file without checksums is damaged.
    """
    if base is None:
        return ()
    own_tensors, changed = _own_tensors(ledger), differing(ledger, base)
    tensors = Counter(part for name in own_tensors if (part := key_map.part_of(name)))
    equal = Counter(key_map.part_of(name) for name in own_tensors if name in base.tensors and name not in changed)
    return tuple(Likeness(part=part, tensors=count, identical=equal[part]) for part, count in tensors.items())


def differing(ledger: Ledger, base: Base) -> dict[str, TensorRecord]:
    """Return the base's tensors that differ in the source, by canonical name."""
    own_tensors = _own_tensors(ledger)
    return {
        name: record
        for name, record in base.tensors.items()
        if name in own_tensors and not _equal(own_tensors[name], record)
    }


def _own_tensors(ledger: Ledger) -> dict[str, TensorRecord]:
    return {entry.target: entry.record for entry in ledger.entries if entry.fate in (KEPT, RENAMED)}


def _equal(a: TensorRecord, b: TensorRecord) -> bool:
    if a.crc and b.crc and a.fills_storage and b.fills_storage:
        return (a.dtype, a.shape, a.crc) == (b.dtype, b.shape, b.crc)
    return same_bytes(a, b)
