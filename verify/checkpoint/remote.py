"""Name files at a URL as if they were paths: s3://, gs://, hf://, http(s):// and whatever else fsspec knows.

fsspec is imported when the first such file is asked for, so that no network code is loaded for files on this machine.
What is shown of a URL never holds a password, a token or a signature.
"""

import contextlib
import hashlib
import re
import stat
import sys
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from verify.errors import ArchiveError, SourceError

WEB = ("http", "https")
EXTRAS = {"http": "remote", "https": "remote", "s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "hf": "hf"}
# What a web server that lists nothing may hold in a run or model folder, the most likely first.
USUAL_CHECKPOINTS = ("best_model.pth", "model.pth", "model.safetensors")
_SUFFIXES = (".pth", ".safetensors", ".json", ".wav")
_PAGE_HINT = "Pass the link of the file itself; on huggingface.co write /resolve/ for /blob/, or hf://USER/REPO/FILE."
_CONNECT_SECONDS, _SILENCE_SECONDS = 20, 60  # how long a web server may take to answer, and to send the next bytes
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://([^/]*)(.*)", re.DOTALL)
_COLLAPSED = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):[/\\](?![/\\])")  # what pathlib makes of it
_REFUSED, _GONE = (401, 403, 407), (404, 410)  # https://www.rfc-editor.org/rfc/rfc9110#name-client-error-4xx
# Facts of a file in fsspec's `info` that change with its content; each kind of server gives some of them.
_VERSION = ("ETag", "etag", "VersionId", "generation", "blob_id", "LastModified", "Last-Modified", "mtime", "created")
# Errors that are neither OSError nor ValueError; looked up only where their package is loaded already.
_FAULTS = (
    "asyncio.exceptions.TimeoutError",  # in Python 3.10
    "aiohttp.ClientError",
    "botocore.exceptions.BotoCoreError",
    "botocore.exceptions.ClientError",
    "gcsfs.retry.HttpError",
    "google.auth.exceptions.GoogleAuthError",
    "huggingface_hub.errors.HfHubHTTPError",
    "httpx.HTTPError",
    "httpx2.HTTPError",
)
_PERMISSION = {
    "s3": "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for a public bucket FSSPEC_S3_ANON=true.",
    "gs": "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS.",
    "hf": "Run `hf auth login` or set HF_TOKEN, and accept the terms on the model's page if it has any.",
    "remote": "Pass a link that carries its permission (a presigned one), put user and password into ~/.netrc, or download it first.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What `os.stat` would tell of a remote file; `st_mtime_ns` is another number for another version of it."""

    st_size: int
    st_mtime_ns: int
    st_mode: int = stat.S_IFREG
    st_ino: int = 0
    st_dev: int = -1


class RemotePath:
    """A file or folder at a URL, with those methods of a `Path` that the rooms use. Text made of it is safe to show."""

    __slots__ = ("_info", "_is_folder", "path", "query", "root")

    def __init__(self, root: str, path: str, query: str = "", is_folder: bool = False) -> None:
        self.root = root  # "https://user:password@host", "s3://bucket"
        self.path = path.rstrip("/")  # "/run/best_model_3.pth"
        self.query = query  # "?X-Amz-Signature=...", of http and https alone
        self._is_folder = is_folder or path.endswith("/") or not self.path
        self._info: dict[str, Any] | None = None

    def __str__(self) -> str:
        scheme, _, host = self.root.partition("://")
        host = f"***@{host.rpartition('@')[2]}" if "@" in host else host
        return f"{scheme}://{host}{self.path}{'?***' if self.query else ''}"

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and self.url == other.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __truediv__(self, name: str) -> "RemotePath":
        return RemotePath(self.root, f"{self.path}/{name}", self.query)

    @property
    def url(self) -> str:
        """The URL with all its secrets, for the server alone."""
        return f"{self.root}{self.path}{'/' if self._is_folder and self.scheme in WEB else ''}{self.query}"

    @property
    def scheme(self) -> str:
        return self.root.partition("://")[0]

    @property
    def extra(self) -> str:
        """The extra of this project that brings what reads such a URL, or nothing."""
        return EXTRAS.get(self.scheme, "")

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def stem(self) -> str:
        return Path(self.name).stem

    @property
    def parent(self) -> "RemotePath":
        return RemotePath(self.root, self.path.rpartition("/")[0], self.query, is_folder=True)

    @property
    def parents(self) -> tuple["RemotePath", ...]:
        """None: what lies above a remote folder is not searched."""
        return ()

    def with_name(self, name: str) -> "RemotePath":
        """Return the path beside this one with another name."""
        return self.parent / name

    def resolve(self) -> "RemotePath":
        """Return the path itself: links are the server's affair."""
        return self

    def samefile(self, other: object) -> bool:
        """Whether the other is the same URL."""
        return self == other

    def is_symlink(self) -> bool:
        """Return False."""
        return False

    def exists(self) -> bool:
        """Whether there is a file or folder.

        Raises:
            SourceError: the server does not say: it refuses, or cannot be reached.
        """
        return self._asked() is not None

    def is_dir(self) -> bool:
        """Whether it is a folder; a web server's is one that has a slash at its end, or answers with a page of links."""
        info = self._asked()
        page = info is not None and info["type"] == "page" and Path(self.name).suffix not in _SUFFIXES
        return page or (info is not None and info["type"] == "directory")

    def is_file(self) -> bool:
        """Whether there is a file that may be read: what a server refuses is, for what was only looked for, not there."""
        try:
            info = self._asked()
        except SourceError as error:
            if error.cause.code == "remote-refused":
                return False
            raise
        return info is not None and info["type"] == "file"

    def forget(self) -> None:
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
        version = repr([(name, str(info[name])) for name in _VERSION if info.get(name) is not None])
        number = int.from_bytes(hashlib.sha256(version.encode()).digest()[:8], "big")
        return Status(st_size=info["size"], st_mtime_ns=number)

    def iterdir(self) -> Iterator["RemotePath"]:
        """Yield what the server lists in the folder; of one that lists nothing, the usual checkpoints that are there."""
        fs, path = self.filesystem()
        try:
            with explained(self):
                listed = fs.ls(path, detail=True)
        except SourceError as error:
            if self.scheme not in WEB or error.cause.code == "remote-unreachable":
                raise
            listed = []
        children = [child for entry in listed if (child := self._child(entry))]
        if self.scheme in WEB and not children:
            children = [child for name in USUAL_CHECKPOINTS if (child := self / name).is_file()]
        yield from children

    def _child(self, entry: dict[str, Any]) -> "RemotePath | None":
        """Return the path of an entry in a listing; None for a web page's links to other places, and for itself."""
        whole = re.sub(r"[?#].*", "", entry["name"]) if self.scheme in WEB else entry["name"]
        folder, _, name = whole.rstrip("/").rpartition("/")
        here = self.scheme not in WEB or _plain(urllib.parse.urlsplit(folder).path) == _plain(self.path)
        if name in ("", "..") or not here:
            return None
        child = RemotePath(self.root, f"{self.path}/{name}", self.query, is_folder=entry["type"] == "directory")
        child._info = {"type": "directory"} if entry["type"] == "directory" else None
        return child

    def _asked(self) -> dict[str, Any] | None:
        """Return what the server says of it, asked once; None where there is nothing.

        Raises:
            SourceError: it refuses, or cannot be reached.
        """
        if self._info is None:
            if self.scheme in WEB and self._is_folder:
                self._info = {"type": "directory"}
                return self._info
            fs, path = self.filesystem()
            try:
                with explained(self):
                    fs.invalidate_cache()
                    self._info = _probe(self, fs, path) if self.scheme in WEB else fs.info(path)
            except SourceError as error:
                if error.cause.code != "missing":
                    raise
        return self._info

    def filesystem(self) -> tuple[Any, str]:
        """Return fsspec's file system for it, and its path there.

        Raises:
            SourceError: fsspec does not know such URLs, or lacks a package for them.
        """
        options: dict[str, Any] = {}
        try:
            import fsspec

            if self.scheme in WEB:
                import aiohttp

                wait = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
                options = {"headers": {"Accept-Encoding": "identity"}}
                options["client_kwargs"] = {"timeout": wait, "trust_env": True}
            return fsspec.core.url_to_fs(self.url, **options)
        except ImportError as error:
            extra = f'pip install "xtts-verify[{self.extra}]"' if self.extra else scrubbed(error)
            raise SourceError(
                "missing-extra", f"{self}: a package that reads {self.scheme}:// is not installed", f"Run: {extra}"
            ) from error
        except ValueError as error:
            message = f"{self}: fsspec knows no {self.scheme}:// URLs, or not this one"
            raise SourceError("bad-url", message, "Check the URL, or download the file and pass its path.") from error


def place(text: Any) -> Path:
    """Return the path that a user named: of a file:// URL or plain text a `Path`, of any other URL a `RemotePath`.

    The latter has the methods of a `Path` that are used here, and is passed on as one.
    """
    if isinstance(text, RemotePath):
        return cast(Path, text)
    words = str(text)
    if isinstance(text, Path) and not text.exists():
        words = _COLLAPSED.sub(r"\1://", text.as_posix(), count=1)
    match = _URL.fullmatch(words)
    if match is None:
        return Path(text)
    scheme, host, path = match[1].lower(), match[2], match[3]
    if scheme == "file":
        from urllib.request import url2pathname  # which loads what asks the network

        return Path(url2pathname(urllib.parse.urlsplit(words).path))
    query = ""
    if scheme in WEB:
        path, mark, query = path.partition("#")[0].partition("?")
        query = mark + query
    return cast(Path, RemotePath(f"{scheme}://{host}", path, query))


def missing(path: RemotePath) -> SourceError:
    """Return the error for a URL at which nothing is."""
    hint = "Check the URL; that of a folder at a web server ends with a slash."
    return SourceError("missing", f"{path} is not there", hint)


def _plain(path: str) -> str:
    return urllib.parse.unquote(path).strip("/")


def _probe(path: RemotePath, fs: Any, url: str) -> dict[str, Any] | None:
    """Ask a web server for the first byte: the answer tells size and version, and whether it sends parts at all.

    A HEAD request would not do: a presigned link allows GET alone, and servers leave `Accept-Ranges` out.
    """
    from fsspec.asyn import sync

    code, headers = sync(fs.loop, _first_byte, fs, url)
    if code in _GONE:
        return None
    if code in _REFUSED:
        raise refused(path, f"HTTP status {code}")
    if code not in (200, 206, 416):  # 416: there is no first byte, the file is empty
        raise unreachable(path, f"HTTP status {code}")
    total = headers.get("Content-Range", "").rpartition("/")[2]
    found = {name: headers[name] for name in ("ETag", "Last-Modified") if name in headers}
    kind = "page" if "html" in headers.get("Content-Type", "") else "file"
    return {"type": kind, "size": int(total) if total.isdigit() else None, "partial": code != 200, **found}


async def _first_byte(fs: Any, url: str) -> tuple[int, Any]:
    session = await fs.set_session()
    headers = {"Range": "bytes=0-0", "Accept-Encoding": "identity"}
    async with session.get(fs.encode_url(url), headers=headers) as answer:
        return answer.status, answer.headers


@contextlib.contextmanager
def explained(path: RemotePath) -> Iterator[None]:
    """Turn what any of the packages below raises into an error that says what to do.

    Raises:
        SourceError: it was raised.
    """
    try:
        yield
    except _faults() as error:
        raise explain(path, error) from error


def _faults() -> tuple[type[Exception], ...]:
    named = (name.rpartition(".") for name in _FAULTS)
    loaded = (getattr(sys.modules.get(module), kind, None) for module, _, kind in named)
    return (OSError, ValueError, *(kind for kind in loaded if kind))


def explain(path: RemotePath, error: BaseException) -> SourceError:
    """Return the error for what a package raised: not there, not allowed, or not to be had now."""
    response = getattr(error, "response", None)
    code = getattr(error, "status", None) or getattr(error, "code", None) or getattr(response, "status_code", None)
    if isinstance(error, FileNotFoundError) or code in _GONE:
        return missing(path)
    if isinstance(error, PermissionError) or code in _REFUSED or "Credentials" in type(error).__name__:
        return refused(path, scrubbed(error))
    return unreachable(path, scrubbed(error))


def refused(path: RemotePath, detail: str) -> SourceError:
    """Return the error for a file that the server does not give to this user."""
    hint = _PERMISSION.get(path.extra, "Give the credentials that fsspec looks for, or download it first.")
    return SourceError("remote-refused", f"{path}: access refused ({detail})", hint)


def unreachable(path: RemotePath, detail: str) -> SourceError:
    """Return the error for a server that cannot be reached, or broke off."""
    hint = "Check the address and the connection, and try again; or download the file first."
    return SourceError("remote-unreachable", f"{path} cannot be read: {detail}", hint)


def scrubbed(error: BaseException) -> str:
    """Return the text of an error in one line, without any URL or query in it: they may hold secrets."""
    text = re.sub(r"\S*://\S+|\S*\?\S+", "(URL)", " ".join(str(error).split()))
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
