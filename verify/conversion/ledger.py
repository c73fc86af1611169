"""Assign every tensor of a checkpoint exactly one fate by the key table, so that none is lost silently."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from verify.checkpoint.tensors import TensorRecord
from verify.conversion import key_map
from verify.errors import LedgerError

KEPT, RENAMED, ALIAS, DROPPED, UNKNOWN = "kept", "renamed", "alias", "dropped", "unknown"
FILLED = "filled"  # not of the source: from the base


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What happens to one tensor; `target` is its name in the written file, or the name that it duplicates."""

    record: TensorRecord
    fate: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Tensors that share a fate and a reason."""

    fate: str
    reason: str
    tensors: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All entries, in file order."""

    entries: tuple[Entry, ...]

    @property
    def written(self) -> dict[str, TensorRecord]:
        """The tensors of the new file: canonical name to source record, in file order."""
        return {entry.target: entry.record for entry in self.entries if entry.fate in (KEPT, RENAMED, UNKNOWN, FILLED)}

    @property
    def by_name(self) -> dict[str, TensorRecord]:
        """All tensors but the duplicates, those that are dropped included: name without wrappers to record."""
        return {entry.target: entry.record for entry in self.entries if entry.fate != ALIAS}

    @property
    def written_bytes(self) -> int:
        """The bytes of the tensors of the new file."""
        return sum(record.bytes for record in self.written.values())

    @property
    def unknown(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.fate == UNKNOWN)

    def count(self, fate: str) -> int:
        return sum(entry.fate == fate for entry in self.entries)

    def groups(self) -> tuple[Group, ...]:
        """Return the sums by fate and reason, in order of first appearance."""
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for entry in self.entries:
            tensors, size = sums.get((entry.fate, entry.reason), (0, 0))
            sums[entry.fate, entry.reason] = tensors + 1, size + entry.record.bytes
        return tuple(Group(fate=fate, reason=reason, tensors=n, bytes=b) for (fate, reason), (n, b) in sums.items())


def build_ledger(records: Iterable[TensorRecord], same_bytes: Callable[[TensorRecord, TensorRecord], bool]) -> Ledger:
    """Map every record by the key table.

    Args:
        records: the tensors of the checkpoint.
        same_bytes: compares the data of two records; asked only where two names stand for one tensor.

    Raises:
        LedgerError: two keys claim one name (`key-collision`), or an alias differs from its tensor (`alias-conflict`).
    """
    first = [_entry(record) for record in records]
    owners = _owners(first, same_bytes)
    conflicts: list[tuple[str, str]] = []
    entries = []
    for entry in first:
        if entry.fate == ALIAS:
            owner = owners.setdefault(entry.target, entry)
            if owner is entry:  # the canonical name is not in the file: this is the weight itself
                entry = replace(entry, fate=RENAMED, reason=key_map.ALONE_REASON.format(target=_family(entry.target)))
            elif not same_bytes(entry.record, owner.record):
                conflicts.append((entry.record.key, owner.record.key))
        entries.append(entry)
    if conflicts:
        raise _alias_conflict(conflicts)
    return Ledger(entries=tuple(entries))


def _entry(record: TensorRecord) -> Entry:
    """Return the entry of one record, as the table alone sees it."""
    name = key_map.normalise(record.key)
    if reason := key_map.drop_reason(name.text):
        return Entry(record=record, fate=DROPPED, target=name.text, reason=reason)
    target = key_map.alias_target(name.text)
    if target and key_map.part_of(target):
        return Entry(
            record=record, fate=ALIAS, target=target, reason=key_map.ALIAS_REASON.format(target=_family(target))
        )
    part = key_map.part_of(name.text)
    if part is None:
        return Entry(record=record, fate=UNKNOWN, target=name.text, reason="no line of the key table knows these")
    if name.respelled:
        return Entry(record=record, fate=RENAMED, target=name.text, reason=name.respelled)
    return Entry(record=record, fate=KEPT, target=name.text, reason=part)


def _family(target: str) -> str:
    """Return the canonical name up to its second dot, so that the aliases of one module make one group."""
    return ".".join(target.split(".")[:2]) + ".*"


def _owners(entries: list[Entry], same_bytes: Callable[[TensorRecord, TensorRecord], bool]) -> dict[str, Entry]:
    """Return the entry that holds each name of the new file.

    Raises:
        LedgerError: two entries hold one name.
    """
    owners: dict[str, Entry] = {}
    for entry in entries:
        if entry.fate in (ALIAS, DROPPED):
            continue
        owner = owners.setdefault(entry.target, entry)
        if owner is not entry:
            verdict = "the same" if same_bytes(owner.record, entry.record) else "different"
            raise LedgerError(
                "key-collision",
                f"{owner.record.key} and {entry.record.key} both become {entry.target}, with {verdict} values",
                "The file mixes two models. Save it again from one of them, or delete the keys that you do not want.",
                (owner.record.key, entry.record.key),
            )
    return owners


def _alias_conflict(conflicts: list[tuple[str, str]]) -> LedgerError:
    alias, owner = conflicts[0]
    more = f" (and {len(conflicts) - 1} more pairs)" if len(conflicts) > 1 else ""
    return LedgerError(
        "alias-conflict",
        f"{alias} should be the same tensor as {owner}, but their values differ{more}",
        "The file mixes two steps of training: save it again from one model, before init_gpt_for_inference().",
        tuple(key for pair in conflicts for key in pair),
    )
