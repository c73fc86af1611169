"""Write commands that users can paste: under the name by which this program was called, quoted for their shell."""

import os
import re
import shlex
import sys
from pathlib import Path

WINDOWS = os.name == "nt"
INSTALLED = "xtts-verify"
SCRIPT = "convert_and_verify.py"


def program() -> str:
    """Return the command that runs this program: as it was called or, from within another program, as it can be called.

    A checkout has the script beside the package; an installation has a command of its own.
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
    """Return the word quoted for a POSIX shell or, on Windows, in the double quotes that PowerShell and cmd share.

    On Windows `$` and `%` are not escaped: no spelling works in both shells.
    """
    text = str(word)
    if not WINDOWS:
        quoted = shlex.quote(text)
        # Prefer double quotes where they mean the same: a command in a report may be pasted into another shell.
        return quoted if quoted == text or not set(text).isdisjoint('$`"\\!') else f'"{text}"'
    if re.fullmatch(r"[\w.:\\/=+-]+", text):
        return text
    # Windows programs read backslashes before a quotation mark in pairs.
    inner = re.sub(r'(\\*)"', r'\1\1\\"', text)
    return '"' + re.sub(r"(\\+)$", r"\1\1", inner) + '"'
