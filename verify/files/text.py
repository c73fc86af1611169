"""The text of a file that a person saved: UTF-8, UTF-16 as PowerShell writes it, or the code page of an old console."""

import codecs
import locale

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def decode_text(data: bytes) -> str:
    """Return the text of the bytes, without the mark that some editors put first.

    What is neither UTF-8 nor UTF-16 is read in this machine's own code page.

    Raises:
        UnicodeDecodeError: it is none of them.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding)
    if b"\x00" in data[:100]:  # no text has this character: it is half of another
        return data.decode("utf-16-be" if data[:1] == b"\x00" else "utf-16-le")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        fallback = code_page()
        if codecs.lookup(fallback).name == "utf-8":
            raise
        try:
            return data.decode(fallback)
        except UnicodeDecodeError:
            raise error from None


def code_page() -> str:
    """Return the encoding that programs of this machine write where they know nothing of Unicode."""
    return locale.getpreferredencoding(False)
