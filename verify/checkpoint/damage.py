"""Say what is wrong with a container that cannot be read as one: cut short, without an index, or full of code."""

from pathlib import Path
from typing import Any, BinaryIO

from verify.checkpoint import inert, recognise, unpickle, zipdir
from verify.checkpoint.tensors import STORAGES
from verify.errors import ArchiveError

TRUNCATED_HINT = "Copy or download it again. If training was killed while saving, use an older one: --checkpoint STEP."


def crc_error(key: str, member: str, stored: int, computed: int) -> ArchiveError:
    """Return the error for data whose CRC-32 is not the one that the container states."""
    return ArchiveError(
        "crc-mismatch",
        f"{key} (member {member}) is damaged: CRC-32 stored {stored:08x}, computed {computed:08x}",
        "The file changed after it was written: copy or download it again. torch.load would have loaded this silently.",
        (key,),
    )


def source_changed(path: object) -> ArchiveError:
    """Return the error for a file of which what was read first and what was read last are two versions."""
    return ArchiveError("source-changed", f"{path} changed while it was read", "Wait until training has saved it.")


def no_index(path: Path, directory: zipdir.Directory, folders: set[str]) -> ArchiveError:
    """Return the error for a zip without `data.pkl`: a checkpoint that lost it, or some other archive."""
    names = ", ".join(list(directory.members)[:5])
    if len(folders) > 1 and any(name.endswith("data.pkl") for name in directory.members):
        shown = ", ".join(sorted(folders)[:5])
        return ArchiveError("bad-container", f"the members lie in several folders ({shown}); torch.save writes one")
    if directory.members:
        folder = next(iter(directory.members)).split("/")[0]
        if any(name.startswith(f"{folder}/data/") for name in directory.members):
            return ArchiveError("missing-member", f"member {folder}/data.pkl is missing from {path}", TRUNCATED_HINT)
    return ArchiveError(
        "not-a-checkpoint", f"{path} is a ZIP without data.pkl (it holds {names})", recognise.TRAINING_FILE_HINT
    )


def list_blocked(data: bytes) -> None:
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


def explain_truncation(path: Path, file: BinaryIO, size: int) -> ArchiveError:
    """Return the error for a cut file: the index comes first in it, so it can often tell how much is missing."""
    file.seek(0)
    start = zipdir.LOCAL_HEADER.unpack(file.read(zipdir.LOCAL_HEADER.size).ljust(zipdir.LOCAL_HEADER.size, b"\0"))
    file.seek(zipdir.LOCAL_HEADER.size + start[9] + start[10])
    try:
        root, _ = unpickle.loads(file.read(unpickle.MAX_PICKLE_BYTES))
        needed = _storage_bytes(root)
        expected = f"its tensors alone need {needed:,} bytes"
        if size >= needed:
            expected += ", and the directory that must follow them is missing"
    except ArchiveError as error:
        if error.cause.code == "unsafe-pickle":
            return error
        expected = "not even its index is whole"
    return ArchiveError("truncated", f"{path} is truncated: {size:,} bytes are there, {expected}", TRUNCATED_HINT)


def _storage_bytes(root: Any) -> int:
    """Return the bytes of all storages below `root`; each container is looked into once, however often it is shared."""
    storages: dict[str, int] = {}
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, inert.TensorSpec):
            storages[value.storage.member] = value.storage.elements * STORAGES.get(value.storage.kind, ("", 1))[1]
        elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value.values() if isinstance(value, dict) else value)
    return sum(storages.values())
