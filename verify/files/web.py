"""Read parts of files from a web server, with limits on time, memory and redirects: no more of an answer is read than was asked for."""

import re
import time
import urllib.parse
from dataclasses import dataclass
from typing import Any

from verify.errors import DOWNLOAD_HINT, SourceError
from verify.files.budget import Budget
from verify.files.protocols import Address, filesystem, missing, refused, translated_errors, unreachable

LARGEST_PAGE_BYTES = 4 * 2**20  # of a page of links: some 40,000 files
MOST_REDIRECTS = 5  # huggingface.co has two

_REFUSED, _GONE = (401, 403, 407), (404, 410)  # https://www.rfc-editor.org/rfc/rfc9110#name-client-error-4xx
_MOVED = (301, 302, 303, 307, 308)
_LINK = re.compile(r"""<a\b[^>]*?\bhref\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Any
    body: bytes


def probe(path: Address, budget: Budget) -> dict[str, Any] | None:
    """Return what the server says of the file, as fsspec's `info` has it; None where there is nothing.

    It is asked for the first byte, as the answer tells size and version and whether parts are sent at all. A HEAD request
    would not do: a presigned link allows GET alone, and servers leave `Accept-Ranges` out.

    Raises:
        SourceError: it refuses, or cannot be reached.
    """
    answer = _get(path, budget, (0, 1), body=False)
    if answer.status in _GONE:
        return None
    _require_status(path, answer, (200, 206, 416))  # 416: there is no first byte, the file is empty
    total = answer.headers.get("Content-Range", "").rpartition("/")[2]
    kind = "page" if "html" in answer.headers.get("Content-Type", "") else "file"
    size = int(total) if total.isdigit() and len(total) < 20 else None
    return {"type": kind, "size": size, "partial": answer.status != 200, **version(answer.headers)}


def version(headers: Any) -> dict[str, str]:
    """Return the headers that change with the version of the file."""
    return {name: headers[name] for name in ("ETag", "Last-Modified") if name in headers}


def fetch(path: Address, budget: Budget, start: int, end: int) -> tuple[bytes, dict[str, str]]:
    """Return the bytes from `start` to `end` of the file, and the version that they are of.

    Raises:
        SourceError: the server refuses, breaks off, or sends something else.
    """
    answer = _get(path, budget, (start, end))
    if answer.status in _GONE:
        raise missing(path)
    _require_status(path, answer, (206,))
    if len(answer.body) != end - start:
        raise unreachable(path, f"{len(answer.body):,} bytes came in place of {end - start:,}")
    return answer.body, version(answer.headers)


def links(path: Address, budget: Budget) -> list[str]:
    """Return the URLs that a page of links names, as nginx, Apache and Python's server make one for a folder.

    Raises:
        SourceError: the server refuses or breaks off, or the page is too large.
    """
    answer = _get(path, budget, None)
    if answer.status in _GONE:
        raise missing(path)
    _require_status(path, answer, (200,))
    page = answer.body.decode("utf-8", "replace")
    return [urllib.parse.urljoin(path.url, link) for link in _LINK.findall(page)]


def _require_status(path: Address, answer: _Answer, wanted: tuple[int, ...]) -> None:
    """Refuse an answer with another status than those wanted.

    Raises:
        SourceError: with the status.
    """
    if answer.status in _REFUSED:
        raise refused(path, f"HTTP status {answer.status}")
    if answer.status not in wanted:
        raise unreachable(path, f"HTTP status {answer.status}")


def _get(path: Address, budget: Budget, span: tuple[int, int] | None, body: bool = True) -> _Answer:
    """Ask for a part of the file, or for all of a page.

    Raises:
        SourceError: the server cannot be reached, sends too much or too slowly, or leads to another host.
    """
    from fsspec.asyn import sync

    fs, _ = filesystem(path)
    size = span[1] - span[0] if span else LARGEST_PAGE_BYTES
    seconds, began = budget.grant(path, size), time.monotonic()
    try:
        with translated_errors(path):
            return sync(fs.loop, _within, seconds, path, budget, _answer(fs, path, budget, span, size, body))
    finally:
        budget.spend(time.monotonic() - began)


async def _within(seconds: float, path: Address, budget: Budget, answer: Any) -> _Answer:
    import asyncio  # fsspec has it already; files on this machine need none

    try:
        return await asyncio.wait_for(_settled(answer), seconds)
    except asyncio.TimeoutError as error:
        raise budget.too_slow(path) from error


async def _settled(answer: Any) -> _Answer:
    """Wait for the answer; a limit of aiohttp's own that fires must not look like the one for all of it."""
    import asyncio

    try:
        return await answer
    except asyncio.TimeoutError as error:
        raise ConnectionError(f"no answer in time ({type(error).__name__})") from error


async def _answer(fs: Any, path: Address, budget: Budget, span: tuple[int, int] | None, size: int, body: bool) -> _Answer:  # fmt: skip
    from yarl import URL

    session = await fs.set_session()
    headers = {"Accept-Encoding": "identity"}
    if span:
        headers["Range"] = f"bytes={span[0]}-{span[1] - 1}"
    url = fs.encode_url(path.url)
    for _ in range(MOST_REDIRECTS + 1):
        async with session.get(url, headers=headers, allow_redirects=False) as answer:
            redirect = answer.headers.get("Location")
            if answer.status not in _MOVED or not redirect:
                data = await _body(answer, path, size, span) if body and answer.status in (200, 206) else b""
                return _Answer(answer.status, answer.headers, data)
            url, before = url.join(URL(redirect, encoded="%" in redirect)), url
        require_same_host(path, before, url)
        if url.host != URL(path.url).host:
            budget.hosts.add(str(url.host))
    raise unreachable(path, f"more than {MOST_REDIRECTS} redirects")


def require_same_host(path: Address, before: Any, url: Any) -> None:
    """Refuse a redirect to a host that the user did not name, unless it leads from https to https.

    huggingface.co and GitHub redirect to the hosts of their stores: https proves that the host which the user named
    sent the redirect. A numeric address is refused even so, as it may lie in the user's own network.

    Raises:
        SourceError: the redirect may not be followed.
    """
    safe = url.scheme == "https" or url.scheme == before.scheme == "http"
    if safe and url.host == before.host:
        return
    named = url.host and "." in url.host and not re.fullmatch(r"[\d.]+|.*:.*|.*\.local(?:host|domain)?", url.host)
    if before.scheme == url.scheme == "https" and named and url.port == 443:
        return
    raise SourceError(
        "redirect-refused",
        f"{path} leads to {url.scheme}://{url.host}, which you did not name",
        "If you trust that host, pass the address there; or download the file first.",
    )


async def _body(answer: Any, path: Address, size: int, span: Any) -> bytes:
    """Return the body of an answer.

    Raises:
        SourceError: it is packed, or is larger than what was asked for.
    """
    packing = answer.headers.get("Content-Encoding", "identity")
    if packing.lower() != "identity":
        raise SourceError(
            "no-ranges", f"the server of {path} packs what it sends ({packing[:20]}), unasked", DOWNLOAD_HINT
        )
    length = answer.content_length
    if span and answer.status == 200:
        raise SourceError(
            "no-ranges", f"the server of {path} sends all of the file when asked for a part", DOWNLOAD_HINT
        )
    data = bytearray()
    if length is None or length <= size:
        async for chunk in answer.content.iter_chunked(2**16):
            data += chunk
            if len(data) > size:
                break
    if len(data) > size or (length or 0) > size:
        sent = f"{length:,} bytes" if length else "more"
        raise SourceError("no-ranges", f"the server of {path} sends {sent} when asked for {size:,}", DOWNLOAD_HINT)
    return bytes(data)
