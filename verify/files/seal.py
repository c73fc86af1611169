"""A text that carries its own hash, so that one that somebody has edited is told from one that nobody has touched."""

import hashlib
import re

_SEAL = re.compile(rb"<!-- made by xtts-verify; ([0-9a-f]{64}) -->\n\Z")
LARGEST_BYTES = 2**16  # of a sealed text


def sealed(text: str) -> str:
    """Return the text with a last line, a comment in Markdown, that holds its hash."""
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    return f"{text}<!-- made by xtts-verify; {digest} -->\n"


def is_untouched(data: bytes) -> bool:
    """Whether these are the bytes of a sealed text as it was written."""
    seal = _SEAL.search(data)
    return seal is not None and hashlib.sha256(data[: seal.start()]).hexdigest().encode() == seal[1]
