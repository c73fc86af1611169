"""The server of the page: on this machine alone unless a host is named, for those who have its key, without the internet."""

import contextlib
import os
import secrets
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from verify.errors import EnvironmentFault, OptionError
from verify.options import UiOptions
from verify.ui import roots, takeaway
from verify.ui.answers import Answers
from verify.ui.guard import Guard
from verify.ui.page import STYLE, Page
from verify.ui.tasks import Tasks
from verify.ui.work import Workshop

FIRST_PORT, PORTS_TRIED = 7860, 20
_POLL_SECONDS = 0.2
# Nothing of Gradio may ask the internet or tell it anything; set before it is imported.
_QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}


def serve(options: UiOptions, ready: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C.

    Args:
        ready: is called with the address to open, once it answers.

    Raises:
        ConversionError: Gradio is not installed, a folder is not there, or the port is taken.
    """
    with running(options) as (address, thread):
        ready(address)
        with contextlib.suppress(KeyboardInterrupt):
            while thread.is_alive():
                thread.join(_POLL_SECONDS)


@contextlib.contextmanager
def running(options: UiOptions) -> Iterator[tuple[str, threading.Thread]]:
    """Yield the address of a server that runs on a thread of its own, and the thread; it ends with the block.

    Raises:
        ConversionError: as `serve`.
    """
    with tempfile.TemporaryDirectory(prefix="xtts-verify-ui-", ignore_cleanup_errors=True) as folder:
        private = Path(os.path.realpath(folder))
        opened = roots.opened(options.roots or (Path.cwd(),), private)
        gradio = _gradio(private)
        listener = _listen(options.host, options.port)
        port, key = listener.getsockname()[1], secrets.token_urlsafe(24)
        workshop = Workshop(private)
        app = Guard(_app(gradio, Tasks(roots=opened, workshop=workshop)), key, port, _names(options.host), private)
        import uvicorn

        config = uvicorn.Config(
            app, log_level="error", access_log=False, server_header=False, timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server", daemon=True)
        thread.start()
        try:
            while thread.is_alive() and not server.started:
                thread.join(_POLL_SECONDS)
            yield f"http://{_shown(options.host)}:{port}/?key={key}", thread
        finally:
            workshop.close()
            server.should_exit = True
            thread.join(5)
            listener.close()


def _gradio(private: Path) -> Any:
    """Return Gradio, told to keep what is dropped in the private folder and to ask nobody anything.

    Raises:
        EnvironmentFault: it is not installed.
    """
    os.environ.update(_QUIET)
    os.environ["GRADIO_TEMP_DIR"] = str(private / "dropped")
    (private / "dropped").mkdir()
    try:
        import gradio
    except ImportError as error:
        message = "the page needs Gradio, which is not installed"
        raise EnvironmentFault("missing-package", message, 'pip install "xtts-verify[ui]"') from error
    return gradio


def _app(gradio: Any, tasks: Tasks) -> Any:
    """Return the application: the page, and the files that may be taken away."""
    from fastapi import FastAPI

    app = FastAPI(openapi_url=None)
    app.add_route("/work/{identity}.zip", _Files(tasks.workshop).bundle, methods=["GET"])
    app.add_route("/work/{identity}/{name}", _Files(tasks.workshop).single, methods=["GET"])
    return gradio.mount_gradio_app(
        app,
        Page(gradio, Answers(gradio, tasks), tasks.roots).build(),
        path="/",
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=_look(gradio),
        css=STYLE.read_text(encoding="utf-8"),
    )


def _look(gradio: Any) -> Any:
    """Return the theme: the colours of the reports, and fonts that every system has."""
    look = gradio.themes.Base(
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
        primary_hue="blue",
        neutral_hue="zinc",
    )
    colours = {
        "body_background_fill": ("#fbfaf8", "#141416"),
        "block_background_fill": ("#ffffff", "#1d1d20"),
        "input_background_fill": ("#ffffff", "#141416"),
        "border_color_primary": ("#d9d5cf", "#3c3b40"),
        "block_border_color": ("#d9d5cf", "#3c3b40"),
        "input_border_color": ("#8c8780", "#7d7b84"),
        "body_text_color": ("#1d1b20", "#ececee"),
        "body_text_color_subdued": ("#57534e", "#b3b1b8"),
        "block_label_text_color": ("#1d1b20", "#ececee"),
        "block_title_text_color": ("#1d1b20", "#ececee"),
        "block_info_text_color": ("#57534e", "#b3b1b8"),
        "button_primary_background_fill": ("#0b57d0", "#8ab4f8"),
        "button_primary_text_color": ("#ffffff", "#141416"),
        "link_text_color": ("#0b57d0", "#8ab4f8"),
    }
    both = {f"{name}{dark}": pair[at] for name, pair in colours.items() for at, dark in enumerate(("", "_dark"))}
    return look.set(**both, input_border_width="1px")


class _Files:
    """Answers for the files of finished work, to those who know its id."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop

    async def single(self, request: Any) -> Any:
        """Return one file: a page to be looked at runs nothing that could touch this one."""
        from starlette.responses import FileResponse

        work, name = self.workshop.of(request.path_params["identity"]), request.path_params["name"]
        path = {**takeaway.files_of(work), **takeaway.said(work, self.workshop.folder)}.get(name) if work else None
        if path is None:
            return _nothing()
        rules = (
            "sandbox allow-scripts allow-downloads allow-popups"
            if takeaway.is_page(name)
            else "sandbox; default-src 'none'; media-src 'self'"
        )
        return FileResponse(path, headers={"content-security-policy": rules, "cache-control": "no-store"})

    async def bundle(self, request: Any) -> Any:
        """Return the ZIP that the program takes, or one of all files."""
        from starlette.responses import FileResponse, StreamingResponse

        work = self.workshop.of(request.path_params["identity"])
        if work is None or not (files := takeaway.files_of(work)):
            return _nothing()
        if made := takeaway.bundle_of(work):
            return FileResponse(made[1], filename=made[0], media_type="application/zip")
        name = takeaway.name_of(work)
        headers = {"content-disposition": takeaway.disposition(f"{name}.zip")}
        return StreamingResponse(takeaway.stream_zip(files, name), media_type="application/zip", headers=headers)


def _nothing() -> Any:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse("There is nothing of that name, or no more.", status_code=404)


def _listen(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens: on the port, or on the first free one of a few.

    Raises:
        OptionError: there is none, or no such host.
    """
    last: OSError | None = None
    for number in (port,) if port is not None else (*range(FIRST_PORT, FIRST_PORT + PORTS_TRIED), 0):
        try:
            family, _, _, _, address = socket.getaddrinfo(
                host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.socket(family, socket.SOCK_STREAM)
            try:
                if os.name != "nt":  # where it would let two programs share a port
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
                listener.listen(128)
                return listener
            except OSError:
                listener.close()
                raise
        except OSError as error:
            last = error
    message = f"the page cannot listen on {host}, port {port}: {last.strerror if last else ''}"
    raise OptionError("bad-option", message, "Pass another --port, or leave --host away.") from last


def _names(host: str) -> set[str]:
    """Return the names under which the server may be asked; `*` stands for any address in numbers."""
    names = {"localhost", host.lower().strip("[]")}
    if host in ("127.0.0.1", "localhost", "::1"):
        return names
    return {*names, "*", socket.gethostname().lower(), f"{socket.gethostname().lower()}.local"}


def _shown(host: str) -> str:
    """Return the host as it stands in the address to open."""
    if host in ("0.0.0.0", "::", ""):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
