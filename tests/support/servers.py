"""Real servers on this machine: of files over HTTP with ranges, and of S3 (moto)."""

import asyncio
import contextlib
import os
import threading
from pathlib import Path

import pytest
from aiohttp import web

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"  # these servers are not behind one


class WebServer:
    """Serves a folder with aiohttp, which knows ranges and ETags, counts what it sends, and fails as it is told to.

    `fault(request)` returns a response to give instead of the file's, or None.
    """

    def __init__(self, root: Path) -> None:
        self.requests: list[str] = []  # "GET /run/best_model_3.pth bytes=0-0"
        self.sent_bytes = 0
        self.fault = lambda request: None
        self._app = web.Application(middlewares=[self._answer])
        self._app.on_response_prepare.append(self._count)
        self._app.router.add_static("/", root, show_index=True)
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(20)
        self.url = f"http://127.0.0.1:{self.port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = web.AppRunner(self._app, access_log=None)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.port = site._server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())

    @web.middleware
    async def _answer(self, request, handler):
        self.requests.append(f"{request.method} {request.path_qs} {request.headers.get('Range', '')}".strip())
        return self.fault(request) or await handler(request)

    async def _count(self, request, response):
        self.sent_bytes += response.content_length or 0

    def forget(self) -> None:
        """Begin to count anew, without faults."""
        self.requests, self.sent_bytes, self.fault = [], 0, lambda request: None

    def stop(self) -> None:
        """Stop serving."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)


class CutShort(web.Response):
    """A response whose connection breaks in the middle."""

    async def prepare(self, request):
        self.body = bytes(2**20)
        await super().prepare(request)
        return self

    async def write_eof(self, data=b""):
        self._req.transport.close()


@contextlib.contextmanager
def s3_server():
    """Serve S3 with moto; its address and a user's keys are in the environment meanwhile."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            yield
    finally:
        server.stop()


class Stream(web.StreamResponse):
    """A response of a part of a file whose body is what the generator gives, however long; it counts what was sent."""

    def __init__(self, request, body, headers=(), pause_seconds=0.0, delay_seconds=0.0) -> None:
        first, _, last = request.headers.get("Range", "bytes=0-0").removeprefix("bytes=").partition("-")
        part = {"Content-Range": f"bytes {first}-{last}/1000000", "ETag": '"1"'}
        super().__init__(status=206, headers={**part, **dict(headers)})
        self.pieces, self.pause_seconds, self.delay_seconds, self.sent_bytes = body, pause_seconds, delay_seconds, 0

    async def prepare(self, request):
        await asyncio.sleep(self.delay_seconds)
        return await super().prepare(request)

    async def write_eof(self, data=b""):
        for piece in self.pieces:
            await self.write(piece)
            self.sent_bytes += len(piece)
            await asyncio.sleep(self.pause_seconds)
        await super().write_eof()
