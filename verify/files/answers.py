"""Refuse answers of stores that are larger than what was asked for, before they are read into memory.

The packages for s3://, gs:// and hf:// read an answer whole; each offers a place where its headers can be looked at before.
"""

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any

from verify.errors import DOWNLOAD_HINT, SourceError

LARGEST_LIST_BYTES = 16 * 2**20  # of an answer that is no part of a file: a page of a thousand names, an error


def most_bytes(asked: Mapping[str, Any]) -> int:
    """Return how large the answer to a request may be, by the headers of the request."""
    value = asked.get("Range") or asked.get("range") or ""
    text = value.decode("ascii") if isinstance(value, bytes) else value
    first, _, last = text.removeprefix("bytes=").partition("-")
    return int(last) - int(first) + 1 if first.isdigit() and last.isdigit() else LARGEST_LIST_BYTES


def require_small(asked: Mapping[str, Any], answered: Mapping[str, str]) -> None:
    """Refuse an answer whose headers state more bytes than were asked for, or a part of a file that is packed or of no stated size.

    Raises:
        SourceError: it is one.
    """
    most, stated = most_bytes(asked), answered.get("Content-Length") or answered.get("content-length")
    is_part = "Range" in asked or "range" in asked
    packing = answered.get("Content-Encoding") or answered.get("content-encoding") or "identity"
    if stated is not None and int(stated) > most:
        raise too_large(f"{int(stated):,} bytes", most)
    if is_part and stated is None:
        raise too_large("a part of no stated size", most)
    if is_part and packing.lower() != "identity":
        raise SourceError("no-ranges", f"the store packs what it sends ({packing[:20]}), unasked", DOWNLOAD_HINT)


def too_large(sent: str, most: int) -> SourceError:
    """Return the error for an answer that is too large."""
    return SourceError("no-ranges", f"the store sends {sent} when asked for {most:,} at most", DOWNLOAD_HINT)


async def bounded_body(content: Any, most: int) -> bytes:
    """Return the body of an answer of aiohttp.

    Raises:
        SourceError: it is larger.
    """
    data = bytearray()
    async for chunk in content.iter_chunked(2**16):
        data += chunk
        if len(data) > most:
            raise too_large("more", most)
    return bytes(data)


@cache
def of_s3() -> dict[str, Any]:
    """Return what limits the answers of s3fs: a session of aiobotocore's that looks at them first."""
    from aiobotocore.config import AioConfig
    from aiobotocore.httpsession import AIOHTTPSession
    from fsspec.config import conf

    if "http_session_cls" not in inspect.signature(AioConfig.__init__).parameters:
        return {}  # a release from before it takes a session

    class Session(AIOHTTPSession):
        """Sends requests as ever; an answer that is read whole is read up to a limit."""

        async def send(self, request: Any) -> Any:
            """Send the request, and return its answer."""
            is_file, request.stream_output = request.stream_output, True  # or all of it would be read in there
            answer = await super().send(request)
            if request.method == "HEAD":
                return answer
            is_file = is_file and answer.status_code < 300
            try:
                require_small(request.headers if is_file else {}, answer.headers)
                if not is_file:
                    answer._content = await bounded_body(answer.raw.content, LARGEST_LIST_BYTES)
            except SourceError:
                answer.raw.close()  # or the connection would wait for somebody to read on
                raise
            return answer

    given = conf.get("s3", {}).get("config_kwargs", {})
    return {"config_kwargs": {"http_session_cls": Session, **given}}


@cache
def of_gs() -> dict[str, Any]:
    """Return what limits the answers of gcsfs: a response of aiohttp's whose body is read up to a limit."""
    import aiohttp

    class Response(aiohttp.ClientResponse):
        """An answer that is not read beyond what was asked for."""

        async def read(self) -> bytes:
            """Return the body."""
            asked = self.request_info.headers if self.status < 300 else {}
            require_small(asked, self.headers)
            if self._body is None:
                self._body = await bounded_body(self.content, most_bytes(asked))
            return self._body

    return {"session_kwargs": {"response_class": Response}}


def of_hf() -> dict[str, Any]:
    """Have the session of huggingface_hub look at the headers of each part of a file before it is read; needs no options."""
    from huggingface_hub.utils import get_session

    hooks = getattr(get_session(), "event_hooks", None)  # since huggingface_hub 1.0
    if hooks is not None and _look_at_part not in hooks["response"]:
        hooks["request"].append(_ask_unpacked)
        hooks["response"].append(_look_at_part)
    return {}


def _ask_unpacked(request: Any) -> None:
    """Ask for a part of a file as it is: the hub packs small files, and then states no size."""
    if "Range" in request.headers:
        request.headers["Accept-Encoding"] = "identity"


def _look_at_part(answer: Any) -> None:
    """Refuse a part of a file that is larger than asked for; what else the process asks of the hub is its own.

    A whole file in place of a part is let through where it states no size, as a proxy may do with a small one.
    """
    is_part = answer.status_code == 206 or (answer.status_code == 200 and "Content-Length" in answer.headers)
    if "Range" in answer.request.headers and is_part:
        require_small(answer.request.headers, answer.headers)
