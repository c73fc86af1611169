"""Commands as people can paste them: this program by the name that it was called with, words quoted for the shell at hand."""

import os
import re
import shlex
import sys
from pathlib import Path

WINDOWS = os.name == "nt"
INSTALLED = "xtts-verify"
SCRIPT = "convert_and_verify.py"


def program() -> str:
    """Return how to call this program: as it was called, or, within another program, as it can be called.

    A checkout has the script beside the package; what pip installed is a command of its own.
    """
    called = Path(sys.argv[0]) if sys.argv and sys.argv[0] else Path("-")
    if called.name == SCRIPT:
        return f"python {quote(called)}"
    is_checkout = (Path(__file__).resolve().parent.parent / SCRIPT).is_file()
    if called.name.startswith(INSTALLED) or not is_checkout:
        return INSTALLED
    return f"python {SCRIPT}"


def command(*words: object) -> str:
    """Return a command of this program: `command("verify", folder)`."""
    return " ".join([program(), *map(quote, words)])


def quote(word: object) -> str:
    """Return the word as the shell at hand takes it: as POSIX has it, or in the double quotes that PowerShell and cmd share.

    On Windows a `$` or `%` stays what it is there, a variable's sign: no one spelling of it serves both shells.
    """
    text = str(word)
    if not WINDOWS:
        quoted = shlex.quote(text)
        # Double quotes where they mean the same: what stands in a report may be pasted into another shell.
        return quoted if quoted == text or not set(text).isdisjoint('$`"\\!') else f'"{text}"'
    if re.fullmatch(r"[\w.:\\/=+-]+", text):
        return text
    # A program on Windows reads backslashes before a quotation mark in pairs.
    inner = re.sub(r'(\\*)"', r'\1\1\\"', text)
    return '"' + re.sub(r"(\\+)$", r"\1\1", inner) + '"'
