"""What goes to a stream: plain letters where its encoding, that of an old Windows console say, has no sign; no warnings of others."""

import codecs
import os
import sys
import warnings
from typing import Any

_PLAIN = {
    "→": "->", "✓": "+", "✗": "x", "–": "-", "−": "-", "…": "...", "│": "|", "┃": "|", "\ufffd": "?",
    "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'",
}  # fmt: skip


def prepare_streams() -> None:
    """Let stderr write our signs in plain letters where it must, and stdout a path as the bytes that it is."""
    codecs.register_error("plain", plain)
    codecs.register_error("as-in-the-file-system", as_in_the_file_system)
    for stream, errors in ((sys.stderr, "plain"), (sys.stdout, "as-in-the-file-system")):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=errors)


def hush_warnings() -> None:
    """Ignore the warnings of other packages, which a user can do nothing about, unless Python was told what to do with them."""
    if not (sys.warnoptions or os.environ.get("XTTS_VERIFY_DEBUG")):
        warnings.simplefilter("ignore")
        os.environ.setdefault("PYTHONWARNINGS", "ignore")  # of the processes that a sweep starts


def plain(error: UnicodeError) -> tuple[str, int]:
    """Return plain letters for what cannot be encoded: ours by a table, others as Python escapes them."""
    text, end = _unencodable(error)
    return "".join(_PLAIN.get(char) or char.encode("ascii", "backslashreplace").decode() for char in text), end


def as_in_the_file_system(error: UnicodeError) -> tuple[bytes, int]:
    """Return the bytes that the characters are in a file's name."""
    text, end = _unencodable(error)
    return os.fsencode(text), end


def _unencodable(error: Any) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return error.object[error.start : error.end], error.end
