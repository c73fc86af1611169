"""A web server without a network, for the fuzzer: one of its answers is what an input says, the others are right."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import fsspec.asyn
from multidict import CIMultiDict

URL = "https://example.org/run/best_model_7.pth"


class Answer:
    """What aiohttp gives for a request, as far as `verify.files.web` looks at it."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self._body = status, CIMultiDict(headers), body
        self.content = self

    @property
    def content_length(self) -> int | None:
        length = self.headers.get("Content-Length", "")
        return int(length) if length.isdecimal() and len(length) < 20 else None

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), size):
            yield self._body[start : start + size]

    async def __aenter__(self) -> "Answer":
        return self

    async def __aexit__(self, *_: Any) -> None:
        return None


class Server:
    """Answers range requests for one file; the answer of one number has the status and the headers of `fault`."""

    def __init__(self, fault: bytes, file: bytes) -> None:
        first, *lines = fault.decode("latin-1").split("\n")
        number, _, status = first.partition(" ")
        self.number = int(number) if number.isdecimal() and number.isascii() and len(number) < 4 else 0
        self.status = int(status) if status.isdecimal() and status.isascii() and len(status) == 3 else 206
        pairs = (line.partition(":") for line in lines if ":" in line)
        self.headers = {name.strip(): value.strip() for name, _, value in pairs if name.strip()}
        self.file, self.requests = file, 0

    def get(self, url: Any, headers: Mapping[str, str], allow_redirects: bool) -> Answer:
        first, _, last = headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        end = min(int(last or 0) + 1, len(self.file))
        body = self.file[int(first) : end]
        right = {"Content-Range": f"bytes {first}-{end - 1}/{len(self.file)}", "ETag": '"1"'}
        self.requests += 1
        if self.requests - 1 == self.number:
            return Answer(self.status, {**right, **self.headers}, body)
        return Answer(206, right, body)


def read(data: bytes) -> None:
    """Read a checkpoint from the server: the lines up to the first empty one are its fault, the rest is the file."""
    from verify.checkpoint import archive, reader
    from verify.errors import ConversionError
    from verify.files import protocols, web
    from verify.files.location import parse_location

    fault, _, file = data.partition(b"\n\n")
    server = Server(fault, file)

    async def session() -> Server:
        return server

    system = SimpleNamespace(loop=fsspec.asyn.get_loop(), set_session=session, encode_url=_url)
    ours = patch.multiple(web, filesystem=lambda path: (system, path.path))
    quick = patch.multiple(protocols, PAUSES_SECONDS=(0.0,))
    with ours, quick, contextlib.suppress(ConversionError):
        checkpoint = archive.read_archive(parse_location(URL))
        reader.read_tensors({record.key: record for record in checkpoint.tensors}, lambda _: None)
    assert server.requests < 2000, server.requests


def _url(text: str) -> Any:
    from yarl import URL as Address

    return Address(text)
