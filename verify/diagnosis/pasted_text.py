"""Read what somebody pasted: the part of a file of any size that holds errors, as text without what a terminal or a log put around it.

However large the file is, no more than MAX_KEPT_BYTES of it are kept: its head, its tail, and the last blocks between
them in which an error may stand. A real load error has 120 kB at most.
"""

import html
import re
import sys
from collections import deque
from pathlib import Path
from typing import BinaryIO

from verify.errors import ConversionError
from verify.files.text import decode_text

BLOCK_BYTES = 128 * 1024
HEAD_BLOCKS, TAIL_BLOCKS, KEPT_BLOCKS = (
    1,
    6,
    5,
)  # the largest real list of names lies whole in the tail, or in the kept ones
MAX_KEPT_BYTES = (HEAD_BLOCKS + TAIL_BLOCKS + KEPT_BLOCKS) * BLOCK_BYTES
CUT = "[... left out ...]"
USAGE = "Paste what was printed into a file, from 'Traceback' to the last line: explain FILE, or explain < FILE."
_TELLING = (b"Error", b"Traceback", b"state_dict", b"size mismatch", b"Layer ", b"gpt_inference", b"failed", b"rror:")

# What pasting leaves around and inside a line.
# fmt: off
_TERMINAL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)|\x1b.?")
_CONTROL = dict.fromkeys([*range(9), 11, 12, *range(14, 32), *range(127, 160), 0x200B, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_PREFIX = re.compile(
    r"(?:[ \t]{0,20}(?:"
    r"\[rank\d{1,4}\]:"                                                                       # torchrun
    r"|\(\w{1,40}(?: pid=\d{1,9})?(?:, ip=[\d.]{7,15})?\)(?=\s)"                              # ray, vllm
    r"|\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?\]?"          # docker, logging
    r"|[-|:]?[ \t]{0,8}(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)[ \t]{0,8}[-|:]"
    r"|>"                                                                                     # quoted in a reply
    r")){1,40}[ \t]?",
)
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "…": "...", "\xa0": " ", "│": " ", "┃": " "})
# fmt: on


def pasted(path: Path | None) -> bytes:
    """Return the bytes of the file that matter, or of standard input where there is none.

    Raises:
        ConversionError: standard input is a terminal or closed, so nothing was pasted (`no-load-error`).
    """
    if path is not None:
        with path.open("rb") as file:
            return telling_part(file)
    if sys.stdin is None or sys.stdin.isatty():
        raise ConversionError("no-load-error", "no text was given to explain", USAGE)
    return telling_part(sys.stdin.buffer)


def telling_part(file: BinaryIO) -> bytes:
    """Return the file, or where it is large its head, its tail and the blocks between them in which an error may stand."""
    head = file.read(HEAD_BLOCKS * BLOCK_BYTES)
    marks = _marks(head)
    kept: deque[tuple[int, bytes]] = deque(maxlen=KEPT_BLOCKS)
    tail: deque[tuple[int, bytes]] = deque()
    number = 0
    while block := file.read(BLOCK_BYTES):
        tail.append((number, block))
        number += 1
        if len(tail) > TAIL_BLOCKS:
            old = tail.popleft()
            if any(mark in old[1] for mark in marks):
                kept.append(old)
    return _joined(head, [*kept, *tail])


def _marks(head: bytes) -> tuple[bytes, ...]:
    """Return the words to look for, in the encoding that the file begins with."""
    encoding = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(head[:2])
    return tuple(mark.decode().encode(encoding) for mark in _TELLING) if encoding else _TELLING


def _joined(head: bytes, blocks: list[tuple[int, bytes]]) -> bytes:
    """Return the blocks in a row, with CUT where some are left out."""
    encoding = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}.get(head[:2], "utf-8")
    parts, expected = [head], 0
    for number, block in blocks:
        parts += [f"\n{CUT}\n".encode(encoding)] if number != expected else []
        parts.append(block)
        expected = number + 1
    return b"".join(parts)


def decode(data: bytes) -> str:
    """Return the text of a paste in any encoding that a shell writes; what is none of them is replaced.

    Raises:
        ConversionError: it is empty (`no-load-error`).
    """
    try:
        text = decode_text(data)
    except UnicodeDecodeError:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", errors="replace")
    if not text.strip("\ufeff\x00 \t\r\n"):
        raise ConversionError("no-load-error", "there is no text to explain", USAGE)
    return text


def clean(text: str) -> str:
    """Take away what a terminal, a log or a web page put around the text, and undo the escapes of a logged string.

    No control character is left in it, so that whatever is quoted from it can be printed.
    """
    text = _TERMINAL.sub("", text) if "\x1b" in text else text
    text = html.unescape(text) if "&" in text else text
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROL).translate(_QUOTES)
    text = text.replace('\\"', '"').replace("\\'", "'")
    if text.count("\\n") > text.count("\n"):  # a logged string, and no traceback with paths of Windows
        text = text.replace("\\n\\t", "\n").replace("\\n", "\n").replace("\\t", "\n")
    return "\n".join(_bare(line) for line in text.split("\n"))


def _bare(line: str) -> str:
    match = _PREFIX.match(line)
    return line[match.end() :] if match else line
