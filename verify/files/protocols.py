"""Open file systems with fsspec, which is imported for the first URL only, and translate their errors.

So no network code is loaded for local files. No message from here contains the secrets of a URL."""

import contextlib
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from verify.errors import EnvironmentFault, MissingError, RefusedError, SourceError, UnreachableError, without_urls
from verify.files import answers

WEB = ("http", "https")

Answer = TypeVar("Answer")

PAUSES_SECONDS = (0.5, 2.0, 5.0)  # before a web server that broke off is asked again


_CONNECT_SECONDS, _SILENCE_SECONDS = 20, 60  # how long a web server may take to answer, and to send the next bytes


_REFUSED, _GONE = (401, 403, 407), (404, 410)  # https://www.rfc-editor.org/rfc/rfc9110#name-client-error-4xx


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


# Packages that log tracebacks, which go to stderr unless somebody listens; the error of the call says enough.
_LOGGERS = ("gcsfs", "s3fs", "fsspec", "aiohttp", "asyncio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What this project knows about a protocol beyond fsspec."""

    extra: str = ""  # the extra of this project that brings what reads such URLs
    permission: str = (
        "Give the credentials that fsspec looks for, or download it first."  # the hint where access is refused
    )
    store: str = ""  # how the URL of a folder that takes an output begins
    options: Callable[[], dict[str, Any]] = dict  # of its file system in fsspec


def _waiting() -> dict[str, Any]:
    """Return how long fsspec's client of web servers waits, and that it unpacks nothing."""
    import aiohttp

    wait = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
    return {"client_kwargs": {"timeout": wait, "trust_env": True, "auto_decompress": False}}


_WEB_SERVER = Service(
    options=_waiting,
    extra="remote",
    permission="Pass a link that carries its permission (a presigned one), put user and password into ~/.netrc, or download it first.",
)
_S3 = Service(
    extra="s3",
    permission="Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for a public bucket FSSPEC_S3_ANON=true.",
    store="s3://",
    options=answers.of_s3,
)
_GS = Service(
    extra="gs",
    permission="Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS.",
    store="gs://",
    options=answers.of_gs,
)
_HF = Service(
    extra="hf",
    permission="Run `hf auth login` or set HF_TOKEN, and accept the terms on the model's page if it has any.",
    store="hf://",
    options=answers.of_hf,
)
# What stands before the colon of a URL; fsspec reads others too, of which nothing more is known here.
PROTOCOLS: Mapping[str, Service] = {
    "http": _WEB_SERVER, "https": _WEB_SERVER, "s3": _S3, "s3a": _S3, "gs": _GS, "gcs": _GS, "hf": _HF,
}  # fmt: skip
_UNKNOWN = Service()
STORES = tuple(dict.fromkeys(service.store for service in PROTOCOLS.values() if service.store))


class Address(Protocol):
    """A URL; as text it shows no secrets."""

    @property
    def url(self) -> str:
        """The URL with all its secrets."""

    @property
    def scheme(self) -> str:
        """The part before the colon."""


def _service(path: Address) -> Service:
    return PROTOCOLS.get(path.scheme, _UNKNOWN)


def _silence_loggers() -> None:
    import logging  # fsspec has it already; files on this machine need none

    for logger in map(logging.getLogger, _LOGGERS):
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


def filesystem(path: Address) -> tuple[Any, str]:
    """Return fsspec's file system for a URL, and the path in it.

    Raises:
        SourceError: fsspec does not know such URLs.
        EnvironmentFault: a package for them is not installed.
    """
    try:
        import fsspec

        _silence_loggers()

        return fsspec.core.url_to_fs(path.url, **_service(path).options())
    except ImportError as error:
        extra = _service(path).extra
        hint = f'pip install "xtts-verify[{extra}]"' if extra else " ".join(str(error).split())
        message = f"{path}: a package that reads {path.scheme}:// is not installed"
        raise EnvironmentFault("missing-package", message, hint) from error
    except ValueError as error:
        message = f"{path}: fsspec knows no {path.scheme}:// URLs, or not this one"
        raise SourceError("bad-url", message, "Check the URL, or download the file and pass its path.") from error
    except OSError as error:  # some connect at once
        raise translate(path, error) from error


def missing(path: Address) -> SourceError:
    """Return the error for a URL with nothing behind it."""
    hint = "Check the URL; that of a folder at a web server ends with a slash."
    return MissingError("missing", f"{path} is not there", hint)


def retried(path: Address, ask: Callable[[], Answer]) -> Answer:
    """Return the result of `ask`, called again where a web server breaks off; packages for other kinds of URL retry by themselves.

    Raises:
        SourceError: it broke off each time.
    """
    for pause in PAUSES_SECONDS if path.scheme in WEB else ():
        try:
            return ask()
        except UnreachableError:
            time.sleep(pause)
    return ask()


@contextlib.contextmanager
def translated_errors(path: Address) -> Iterator[None]:
    """Translate what fsspec and its packages raise into an error that says what to do.

    Raises:
        SourceError: it was raised.
    """
    try:
        yield
    except _faults() as error:
        raise translate(path, error) from error


def _faults() -> tuple[type[Exception], ...]:
    named = (name.rpartition(".") for name in _FAULTS)
    loaded = (getattr(sys.modules.get(module), kind, None) for module, _, kind in named)
    return (OSError, ValueError, *(kind for kind in loaded if kind))


def translate(path: Address, error: BaseException) -> SourceError:
    """Return the error for what a package raised: missing, refused, or unreachable."""
    response = getattr(error, "response", None)
    code = getattr(error, "status", None) or getattr(error, "code", None) or getattr(response, "status_code", None)
    if isinstance(error, FileNotFoundError) or code in _GONE:
        return missing(path)
    if isinstance(error, PermissionError) or code in _REFUSED or "Credentials" in type(error).__name__:
        return refused(path, scrubbed(error))
    return unreachable(path, scrubbed(error))


def refused(path: Address, detail: str) -> SourceError:
    """Return the error for a file to which the server denies access."""
    return RefusedError("remote-refused", f"{path}: access refused ({detail})", _service(path).permission)


def unreachable(path: Address, detail: str) -> SourceError:
    """Return the error for a server that cannot be reached, or broke off."""
    hint = "Check the address and the connection, and try again; or download the file first."
    return UnreachableError("remote-unreachable", f"{path} cannot be read: {detail}", hint)


def scrubbed(error: BaseException) -> str:
    """Return the text of an error in one line, without any URL or query in it: they may hold secrets."""
    text = without_urls(re.sub(r"\S*\?\S+", "(URL)", " ".join(str(error).split())))
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
