"""Name files at a URL as if they were paths: s3://, gs://, hf://, http(s):// and whatever else fsspec knows.

What is shown of a URL never holds a password, a token or a signature.
"""

import hashlib
import re
import stat
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify.errors import ArchiveError, MissingError, RefusedError, SourceError, UnreachableError
from verify.files import store, web
from verify.files.budget import Budget
from verify.files.names import SUFFIXES, USUAL_CHECKPOINTS
from verify.files.protocols import WEB, missing, retried

_PAGE_HINT = "Pass the link of the file itself; on huggingface.co write /resolve/ for /blob/, or hf://USER/REPO/FILE."
# Facts of a file in fsspec's `info` that change with its content; each kind of server gives some of them.
_VERSION = ("ETag", "etag", "VersionId", "generation", "blob_id", "LastModified", "Last-Modified", "mtime", "created")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The `os.stat` fields of a remote file; `st_mtime_ns` is a number that differs between versions."""

    st_size: int
    st_mtime_ns: int
    st_mode: int = stat.S_IFREG
    st_ino: int = 0
    st_dev: int = -1


class RemotePath:
    """A file or folder at a URL, with the methods of `Path` that are used here. Its text is safe to show."""

    __slots__ = ("_answered", "_info", "_is_folder", "budget", "path", "query", "root")

    def __init__(
        self, root: str, path: str, query: str = "", is_folder: bool = False, budget: Budget | None = None
    ) -> None:
        self.root = root  # "https://user:password@host", "s3://bucket"
        self.path = path.rstrip("/")  # "/run/best_model_3.pth"
        self.query = query  # "?X-Amz-Signature=...", of http and https alone
        self.budget = budget or Budget()  # shared by all files beside one another
        self._is_folder = is_folder or path.endswith("/") or not self.path
        self._info: dict[str, Any] | None = None
        self._answered = False  # whether the server ever answered: a wrong host name is not retried

    def __str__(self) -> str:
        scheme, _, host = self.root.partition("://")
        host = f"***@{host.rpartition('@')[2]}" if "@" in host else host
        return f"{scheme}://{host}{self.path}{self._slash}{'?***' if self.query else ''}"

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and self.url == other.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __truediv__(self, name: str) -> "RemotePath":
        return RemotePath(self.root, f"{self.path}/{name}", self.query, budget=self.budget)

    @property
    def url(self) -> str:
        """The URL with all its secrets, for the server alone."""
        return f"{self.root}{self.path}{self._slash}{self.query}"

    @property
    def _slash(self) -> str:
        """The slash that marks a folder of a web server, else nothing."""
        return "/" if self._is_folder and self.scheme in WEB else ""

    @property
    def scheme(self) -> str:
        return self.root.partition("://")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def stem(self) -> str:
        return Path(self.name).stem

    @property
    def parent(self) -> "RemotePath":
        return RemotePath(self.root, self.path.rpartition("/")[0], self.query, is_folder=True, budget=self.budget)

    def with_name(self, name: str) -> "RemotePath":
        """Return the path beside this one with another name."""
        return self.parent / name

    def is_symlink(self) -> bool:
        """Return False."""
        return False

    def exists(self) -> bool:
        """Whether there is a file or folder.

        Raises:
            SourceError: the server refuses to say, or cannot be reached.
        """
        return self._asked() is not None

    def is_dir(self) -> bool:
        """Whether it is a folder; a web server's is one that has a slash at its end, or answers with a page of links."""
        info = self._asked()
        page = info is not None and info["type"] == "page" and Path(self.name).suffix not in SUFFIXES
        return page or (info is not None and info["type"] == "directory")

    def is_file(self) -> bool:
        """Whether there is a readable file; one that the server refuses counts as absent."""
        try:
            info = self._asked()
        except RefusedError:
            return False
        return info is not None and info["type"] == "file"

    def refresh(self) -> None:
        """Ask the server anew the next time."""
        self._info = None

    def stat(self) -> Status:
        """Return size and version, as the server gave them when it was first asked.

        Raises:
            SourceError: there is no such file, or parts of it cannot be read.
        """
        info = self._asked()
        if info is None:
            raise missing(self)
        if info["type"] == "directory":
            return Status(st_size=0, st_mtime_ns=0, st_mode=stat.S_IFDIR)
        if info["type"] == "page":
            raise ArchiveError("html-page", f"{self} is a web page, not a checkpoint", _PAGE_HINT)
        if not info.get("partial", True) or info.get("size") is None:
            message = f"the server of {self} sends no parts of files (no HTTP range requests), only all of it"
            raise SourceError(
                "no-ranges", message, "Download the file first, for example with curl, and pass its path."
            )
        number = int.from_bytes(hashlib.sha256(repr(self.version()).encode()).digest()[:8], "big")
        return Status(st_size=info["size"], st_mtime_ns=number)

    def version(self) -> dict[str, str]:
        """Return the facts in the server's answer that change with the version of the file."""
        info = self._asked() or {}
        return {name: str(info[name]) for name in _VERSION if info.get(name) is not None}

    def iterdir(self) -> Iterator["RemotePath"]:
        """Yield what the server lists in the folder; of a web server that lists nothing, the usual checkpoints that are there."""
        if self.scheme not in WEB:
            yield from (self._child(name, is_folder) for name, is_folder in store.entries(self, self.budget))
            return
        children = self._linked()
        yield from children or [child for name in USUAL_CHECKPOINTS if (child := self / name).is_file()]

    def _linked(self) -> list["RemotePath"]:
        """Return what the page of links of a web server's folder names in it, and not elsewhere."""
        try:
            links = web.links(self, self.budget)
        except UnreachableError:
            raise
        except SourceError:  # it lists nothing
            return []
        children = []
        for link in dict.fromkeys(re.sub(r"[?#].*", "", link) for link in links):
            folder, _, name = link.rstrip("/").rpartition("/")
            if name not in ("", "..") and _plain(urllib.parse.urlsplit(folder).path) == _plain(self.path):
                children.append(self._child(name, link.endswith("/")))
        return children

    def _child(self, name: str, is_folder: bool) -> "RemotePath":
        """Return the path of an entry in a listing."""
        child = RemotePath(self.root, f"{self.path}/{name}", self.query, is_folder=is_folder, budget=self.budget)
        child._info = {"type": "directory"} if is_folder else None
        return child

    def _ask(self) -> dict[str, Any] | None:
        if self.scheme in WEB:
            return web.probe(self, self.budget)
        return store.info(self, self.budget)

    def _asked(self) -> dict[str, Any] | None:
        """Return the server's answer about the path, asked once; None if nothing is there.

        Raises:
            SourceError: it refuses, or cannot be reached.
        """
        if self._info is None:
            if self.scheme in WEB and self._is_folder:
                self._info = {"type": "directory"}
                return self._info
            try:
                self._info = retried(self, self._ask) if self._answered else self._ask()
                self._answered = True
            except MissingError:
                return None
        return self._info


def _plain(path: str) -> str:
    return urllib.parse.unquote(path).strip("/")
