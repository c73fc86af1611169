"""Read the directory of the zip container that `torch.save` writes: stored members only, every offset inside the file.

Stricter than a general zip reader on purpose: torch trusts the directory alone, so a wrong directory must be refused
here. Structures and field names follow PKWARE's APPNOTE.TXT 6.3.10.
"""

import hashlib
import struct
from dataclasses import dataclass
from typing import BinaryIO

from verify.checkpoint.budget import Budget
from verify.errors import ArchiveError, TruncatedError

END_RECORD = struct.Struct("<IHHHHIIH")  # 4.3.16 end of central directory record
ZIP64_LOCATOR = struct.Struct("<IIQI")  # 4.3.15
ZIP64_END_RECORD = struct.Struct("<IQHHIIQQQQ")  # 4.3.14
CENTRAL_HEADER = struct.Struct("<IHHHHHHIIIHHHHHII")  # 4.3.12
LOCAL_HEADER = struct.Struct("<IHHHHHIIIHH")  # 4.3.7
END_SIGNATURE, ZIP64_LOCATOR_SIGNATURE, ZIP64_END_SIGNATURE = 0x06054B50, 0x07064B50, 0x06064B50
CENTRAL_SIGNATURE, LOCAL_SIGNATURE = 0x02014B50, 0x04034B50

MAX_COMMENT_BYTES = 0xFFFF
MAX_DIRECTORY_BYTES = 32 * 2**20  # a genuine trainer file of the real size has 0.3 MB
MAX_NAME_BYTES = 1000  # torch.save writes 30
_ENCRYPTED = 0x1
_ALIGNMENT_BYTES = 64  # of the data of each member, by torch
_DESCRIPTOR_BYTES = (0, 16, 24)  # 4.3.9, which may follow the data
_WIDE = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member; `limit` is where the next one begins, so its data must end before; `method` is 0 where it is stored."""

    name: str
    header_offset: int
    bytes: int
    crc: int
    limit: int
    method: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """All members by name, and how many bytes follow the end of the container."""

    members: dict[str, Member]
    trailing_bytes: int

    def fingerprint(self) -> str | None:
        """Return the SHA-256 over name, size and CRC-32 of the members in their order: it tells files apart without reading them.

        None where a member with content states no CRC-32. It is no proof against somebody who forges CRC-32s.
        """
        if any(member.bytes and not member.crc for member in self.members.values()):
            return None
        lines = (f"{member.bytes} {member.crc:08x} {name}\n" for name, member in self.members.items())
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def read_directory(file: BinaryIO, size: int, budget: Budget | None = None) -> Directory:
    """Return the directory of the zip in `file`, which holds `size` bytes.

    Raises:
        ArchiveError: no end record (truncated), or members that are compressed, encrypted, double, or out of place.
    """
    tail_start = max(0, size - END_RECORD.size - MAX_COMMENT_BYTES)
    file.seek(tail_start)
    tail = file.read(size - tail_start)
    end_record = tail.rfind(struct.pack("<I", END_SIGNATURE))
    if end_record < 0 or len(tail) - end_record < END_RECORD.size:
        raise TruncatedError("truncated", f"the container has no end record in its {size:,} bytes")
    end_position = tail_start + end_record
    count, directory_bytes, directory_start, comment_bytes = _end_record(file, tail, end_record, end_position)
    trailing = size - end_position - END_RECORD.size - comment_bytes
    if trailing < 0 or directory_start + directory_bytes > end_position:
        raise ArchiveError(
            "bad-container",
            f"the directory should lie at bytes {directory_start:,} to {directory_start + directory_bytes:,}, "
            f"but the container ends at byte {end_position:,}",
        )
    (budget or Budget()).spend("members", count)
    if directory_bytes > MAX_DIRECTORY_BYTES:
        raise ArchiveError("container-limit", f"the directory has {count:,} members in {directory_bytes:,} bytes")
    file.seek(directory_start)
    entries = _entries(file.read(directory_bytes), count)
    return Directory(members=_in_order(entries, directory_start), trailing_bytes=trailing)


def _end_record(file: BinaryIO, tail: bytes, at: int, end_position: int) -> tuple[int, int, int, int]:
    """Return member count, directory bytes, directory start and comment bytes, from the zip64 record where there is one."""
    _, disk, start_disk, _, count, directory_bytes, start, comment = END_RECORD.unpack_from(tail, at)
    locator = at - ZIP64_LOCATOR.size
    if locator >= 0 and tail[locator : locator + 4] == struct.pack("<I", ZIP64_LOCATOR_SIGNATURE):
        position = ZIP64_LOCATOR.unpack_from(tail, locator)[2]
        if position + ZIP64_END_RECORD.size > end_position:
            raise ArchiveError("bad-container", f"the zip64 end record should lie at byte {position:,}, past the end")
        file.seek(position)
        record = ZIP64_END_RECORD.unpack(file.read(ZIP64_END_RECORD.size))
        if record[0] != ZIP64_END_SIGNATURE:
            raise ArchiveError("bad-container", f"there is no zip64 end record at byte {position:,}")
        disk, start_disk, _, count, directory_bytes, start = record[4:]
    if disk or start_disk:
        raise ArchiveError("bad-container", "the container is one part of a split archive")
    return count, directory_bytes, start, comment


def _entries(data: bytes, count: int) -> list[tuple[int, str, int, int, int]]:
    """Return (header offset, name, bytes, crc, method) of every central header."""
    entries: list[tuple[int, str, int, int, int]] = []
    position = 0
    for _ in range(count):
        if position + CENTRAL_HEADER.size > len(data):
            raise TruncatedError("truncated", f"the directory ends after {len(entries):,} of {count:,} members")
        header = CENTRAL_HEADER.unpack_from(data, position)
        if header[0] != CENTRAL_SIGNATURE:
            raise ArchiveError("bad-container", f"directory entry {len(entries):,} has no header")
        _, _, _, flags, method, _, _, crc, packed, unpacked, name_length, extra_length, comment_length = header[:13]
        if name_length > MAX_NAME_BYTES:
            raise ArchiveError("bad-container", f"directory entry {len(entries):,} has a name of {name_length:,} bytes")
        name_end = position + CENTRAL_HEADER.size + name_length
        name = data[position + CENTRAL_HEADER.size : name_end].decode("utf-8", "backslashreplace")
        if flags & _ENCRYPTED:
            raise ArchiveError("bad-container", f"member {name} is encrypted")
        sizes = [unpacked, packed, header[16]]
        if 0xFFFFFFFF in sizes:
            sizes = _zip64_sizes(data[name_end : name_end + extra_length], sizes, name)
        if method == 0 and sizes[0] != sizes[1]:
            raise ArchiveError(
                "bad-container", f"stored member {name} has two sizes: {sizes[1]:,} and {sizes[0]:,} bytes"
            )
        entries.append((sizes[2], name, sizes[0], crc, method))
        position = name_end + extra_length + comment_length
    return entries


def _zip64_sizes(extra: bytes, sizes: list[int], name: str) -> list[int]:
    """Replace each 0xFFFFFFFF by the next value of the zip64 extra field (4.5.3)."""
    position = 0
    while position + 4 <= len(extra):
        tag, length = struct.unpack_from("<HH", extra, position)
        body = extra[position + 4 : position + 4 + length]
        if tag == 0x0001:
            wide = [i for i, value in enumerate(sizes) if value == 0xFFFFFFFF]
            if len(body) < 8 * len(wide):
                break
            for slot, value in zip(wide, struct.unpack_from(f"<{len(wide)}Q", body), strict=True):
                sizes[slot] = value
            return sizes
        position += 4 + length
    raise ArchiveError("bad-container", f"member {name} lacks its zip64 sizes")


def _in_order(entries: list[tuple[int, str, int, int, int]], end: int) -> dict[str, Member]:
    """Return the members by name, after checking that none is a duplicate or overlaps the next one or the directory."""
    entries.sort()
    members: dict[str, Member] = {}
    for index, (offset, name, size, crc, method) in enumerate(entries):
        limit = entries[index + 1][0] if index + 1 < len(entries) else end
        if name in members:
            raise ArchiveError("duplicate-member", f"member {name} is in the container twice")
        if offset + LOCAL_HEADER.size + (size if method == 0 else 0) > limit:
            raise ArchiveError(
                "bad-container",
                f"member {name} at byte {offset:,} with {size:,} bytes overlaps what begins at byte {limit:,}",
            )
        members[name] = Member(name=name, header_offset=offset, bytes=size, crc=crc, limit=limit, method=method)
    return members


def require_stored(directory: Directory) -> None:
    """Refuse compressed members: torch.save writes none, and a few MB of them can unpack to any size.

    Raises:
        ArchiveError: a member is compressed.
    """
    for member in directory.members.values():
        if member.method != 0:
            raise ArchiveError(
                "compressed-member",
                f"member {member.name} is compressed (method {member.method}, unpacks to {member.bytes:,} bytes); torch.save stores members",
                "Someone repacked this file. Get the original, or let torch.load and torch.save write it anew where you trust it.",
            )


def usual_offset(member: Member) -> int | None:
    """Return where torch.save and this project put the data of such a member; None where the space for it has another size.

    It saves a remote file's reader one request a member; `data_offset` verifies it. The rule stands in
    `getPadding` of torch's caffe2/serialize/inline_container.cc: the data is aligned by an extra field.
    """
    start = member.header_offset + LOCAL_HEADER.size + len(member.name.encode()) + 4
    if member.bytes >= _WIDE or member.header_offset >= _WIDE:
        start += 4 + 16 * (member.bytes >= _WIDE) + 8 * (member.header_offset >= _WIDE)
    start += -start % _ALIGNMENT_BYTES
    return start if member.limit - start - member.bytes in _DESCRIPTOR_BYTES else None


def data_offset(file: BinaryIO, member: Member) -> int:
    """Return where the data of the member begins in the file.

    Raises:
        ArchiveError: its local header is missing, names another member, or leaves no room for the data.
    """
    file.seek(member.header_offset)
    header = file.read(LOCAL_HEADER.size)
    if len(header) < LOCAL_HEADER.size or LOCAL_HEADER.unpack(header)[0] != LOCAL_SIGNATURE:
        raise ArchiveError(
            "bad-container", f"there is no header of member {member.name} at byte {member.header_offset:,}"
        )
    fields = LOCAL_HEADER.unpack(header)
    name = file.read(fields[9]).decode("utf-8", "backslashreplace")
    start = member.header_offset + LOCAL_HEADER.size + fields[9] + fields[10]
    if name != member.name or fields[3] != 0 or start + member.bytes > member.limit:
        raise ArchiveError(
            "bad-container", f"the header at byte {member.header_offset:,} does not fit member {member.name}"
        )
    return start
