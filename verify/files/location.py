"""Where a file is: a local path or a URL. Both support `/`, `name`, `exists`, `stat` and similar methods of `Path`."""

import re
import urllib.parse
from os import PathLike
from pathlib import Path

from verify.errors import Cause
from verify.files.protocols import WEB
from verify.files.remote import RemotePath

Location = Path | RemotePath

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://([^/]*)(.*)", re.DOTALL)
_COLLAPSED = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):[/\\](?![/\\])")  # pathlib turns :// into :/


def parse_location(text: str | PathLike[str] | RemotePath) -> Location:
    """Return what a user named: a `Path` for plain text or a file:// URL, a `RemotePath` for any other URL."""
    if isinstance(text, RemotePath):
        return text
    words = str(text)
    if isinstance(text, Path) and not text.exists():
        words = _COLLAPSED.sub(r"\1://", text.as_posix(), count=1)
    match = _URL.fullmatch(words)
    if match is None:
        return Path(text)
    scheme, host, path = match[1].lower(), match[2], match[3]
    if scheme == "file":
        from urllib.request import url2pathname  # imports network modules

        return Path(url2pathname(urllib.parse.urlsplit(words).path))
    query = ""
    if scheme in WEB:
        path, mark, query = path.partition("#")[0].partition("?")
        query = mark + query
    return RemotePath(f"{scheme}://{host}", path, query)


def local_path(location: Location) -> Path | None:
    """Return the path of a local file; None for a URL, which packages cannot open by name."""
    return location if isinstance(location, Path) else None


def refresh(location: Location) -> None:
    """Forget what a server answered about a URL, so that it is asked again; local files are never cached."""
    if isinstance(location, RemotePath):
        location.refresh()


def same_file(a: Location, b: Location) -> bool:
    """Whether both exist and are one file, however their names are spelt; two URLs must be equal."""
    if isinstance(a, RemotePath) or isinstance(b, RemotePath):
        return a == b
    return a.exists() and b.exists() and a.samefile(b)


def redirect_notes(location: Location) -> tuple[Cause, ...]:
    """Return a note that names the hosts a web server redirected to, which the user did not name."""
    hosts = sorted(location.budget.hosts) if isinstance(location, RemotePath) else []
    message = f"{location} was read from {', '.join(hosts)}, to which its server led"
    return (Cause(code="redirected", severity="note", message=message),) if hosts else ()
