"""Who may ask this server for what: those who have its key, from its own page, and nothing but what the page needs."""

import hmac
import ipaddress
import re
import shutil
import urllib.parse
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any

# What the page asks Gradio for; of its many other routes (its API, proxies, recordings) none answers.
_ROUTES = re.compile(
    r"/|/config/?|/theme\.css|/favicon\.ico|/(?:assets|static)/[^?]*|/work/[\w-]{22}(?:\.zip|/[^/]+)|"
    r"/gradio_api/(?:queue/(?:join|data)|upload|upload_progress|cancel|reset|component_server|startup-events|"
    r"heartbeat/\w+|file=.*)/?"
)
# No address but this server's own, whatever a component names. Gradio's pages are inline scripts, and its HTML component evaluates
# the template that it was made with (never the values in it).
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; frame-src 'self'; frame-ancestors 'self'; object-src 'none'; base-uri 'self'; form-action 'self'"
)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_ROOM_BYTES = 2**28  # that stay free on the disk, whatever is dropped
_FIELDS_BYTES = 2**24  # all fields of the page; an error that is pasted has some kB
_PLAIN = "<!DOCTYPE html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>{0}</title><body style='font:1rem/1.5 system-ui;margin:3rem auto;max-width:40rem;padding:0 1rem'><h1>{0}</h1><p>{1}</p>"


class Guard:
    """Wraps an ASGI application, and answers itself what may not reach it."""

    def __init__(self, app: Any, key: str, port: int, names: Collection[str], uploads: Path) -> None:
        self.app, self.key, self.names, self.uploads = app, key, {*names}, uploads
        self.cookie = f"xtts-verify-{port}"  # cookies do not tell ports apart

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on what may pass."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if refusal := self._refusal(scope, headers):
            await _answer(send, *refusal)
        elif self._knows_key(scope):
            cookie = f"{self.cookie}={self.key}; HttpOnly; SameSite=Lax; Path=/"
            await _answer(send, 303, "Welcome", "", [(b"location", b"/"), (b"set-cookie", cookie.encode())])
        elif not self._has_cookie(headers):
            await _answer(
                send, 403, "This page is private", "Open the address that the program printed when it was started."
            )
        elif scope["method"] == "POST" and (
            refusal := self._too_large(scope["path"], headers.get("content-length", ""))
        ):
            await _answer(send, *refusal)
        else:
            await self.app(scope, receive, _with_headers(send, scope["path"]))

    def _refusal(self, scope: Any, headers: dict[str, str]) -> tuple[int, str, str] | None:
        """Return the answer to what is refused whoever asks: another host's name, another site, another route."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            return 421, "Not this server", "It was asked for under a name that is not its own."
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        is_visit = (
            scope["method"] == "GET"
            and headers.get("sec-fetch-mode", "navigate") == "navigate"
            and scope["path"] == "/"
        )
        if (origin is not None and origin != f"http://{host}") or (
            site not in ("none", "same-origin") and not is_visit
        ):
            return 403, "Not from another page", "Another site asked for this."
        if scope["method"] not in ("GET", "HEAD", "POST") or not _ROUTES.fullmatch(scope["path"]):
            return 404, "Nothing here", "This server has only the page and what belongs to it."
        return None

    def _too_large(self, path: str, length: str) -> tuple[int, str, str] | None:
        """Return the answer to what does not fit on the disk, or does not say how long it is."""
        if not (length.isascii() and length.isdigit() and len(length) < 19):
            return 411, "No length", "It does not say how many bytes it brings."
        if not path.startswith("/gradio_api/upload"):
            return None if int(length) <= _FIELDS_BYTES else (413, "Too much", "No field of the page is that long.")
        free = max(0, shutil.disk_usage(self.uploads).free - _ROOM_BYTES)
        if int(length) > free:
            return 507, "No room", f"{int(length):,} bytes do not fit on the disk, of which {free:,} may be taken."
        return None

    def _is_ours(self, host: str) -> bool:
        """Whether the name in a request is one of this server: a page elsewhere could point a name of its own here."""
        name = urllib.parse.urlsplit(f"//{host}").hostname or ""
        if name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or "*" in self.names

    def _knows_key(self, scope: Any) -> bool:
        given = urllib.parse.parse_qs(scope["query_string"].decode("latin-1")).get("key", [""])[0]
        return scope["path"] == "/" and hmac.compare_digest(given.encode(), self.key.encode())

    def _has_cookie(self, headers: dict[str, str]) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self.key.encode())


def _with_headers(send: Any, path: str) -> Any:
    """Return `send` with the headers that keep a browser to this server."""
    own = [] if path.startswith("/work/") else [(b"content-security-policy", _POLICY.encode())]

    async def sent(message: Any) -> None:
        """Send the message, a response with the headers added."""
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *_HEADERS, *own]}
        await send(message)

    return sent


async def _answer(send: Any, status: int, title: str, text: str, more: Collection[tuple[bytes, bytes]] = ()) -> None:
    body = _PLAIN.format(title, text).encode()
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store"), *_HEADERS, *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
