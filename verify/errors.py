"""What can go wrong: a `Cause` describes it as data, a `ConversionError` carries one to the command line."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

EXIT_VERIFIED = 0
EXIT_CHECK_FAILED = 1
EXIT_COULD_NOT_RUN = 2
EXIT_INTERRUPTED = 130  # 128 and the number of the signal, as shells have it: 143 for SIGTERM, 129 for SIGHUP
EXIT_CODES = {"pass": EXIT_VERIFIED, "warn": EXIT_VERIFIED, "fail": EXIT_CHECK_FAILED, "error": EXIT_COULD_NOT_RUN}

MAX_MESSAGE_CHARACTERS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One reason for a verdict: what is wrong in `message`, the next step in `hint`, and the keys that it explains.

    `prefixes` are the beginnings of the keys that it explains once a model has shown which of them are wrong.
    """

    code: str
    severity: str  # "error", "warning" or "note"
    message: str
    hint: str = ""
    keys: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.message) > MAX_MESSAGE_CHARACTERS:  # a name in a file may have 16 MB
            cut = f"{self.message[:MAX_MESSAGE_CHARACTERS]} ... ({len(self.message):,} characters)"
            object.__setattr__(self, "message", cut)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 tensor`, `1,200 tensors`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def any_error(causes: Iterable[Cause]) -> bool:
    """Whether any cause is an error, so that the model must not be used."""
    return any(cause.severity == "error" for cause in causes)


class ConversionError(Exception):
    """The job could not run: usage, input, disk or environment. Exit status 2."""

    exit_code = EXIT_COULD_NOT_RUN

    def __init__(self, code: str, message: str, hint: str = "", keys: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.cause = Cause(code=code, severity="error", message=message, hint=hint, keys=keys)


class OptionError(ConversionError):
    """The option does not exist, or its value is not allowed."""


class SourceError(ConversionError):
    """The checkpoint, or a file that belongs to it, is missing or not what it should be."""


class MissingError(SourceError):
    """There is nothing at the path or URL."""


class NoCheckpointError(SourceError):
    """The folder is there, and holds no checkpoint."""


class RefusedError(SourceError):
    """The server denies this user access to the file."""


class UnreachableError(SourceError):
    """The server cannot be reached, or broke off: the same request may succeed later."""


class ArchiveError(ConversionError):
    """The container is damaged, cut short, or of a kind that is not read."""


class TruncatedError(ArchiveError):
    """The file ends before what it must hold."""


class UnreadFormatError(ArchiveError):
    """The file may be whole, but it has a form that this tool does not read and torch does."""


class UnsafePickleError(ArchiveError):
    """The pickle names code that no checkpoint needs; nothing of it was run."""


class LedgerError(ConversionError):
    """Two tensors claim one name, so no choice between them would be honest."""


class OutputError(ConversionError):
    """The output cannot be written where it was asked for."""


class CannotSpeakError(ConversionError):
    """The model loads, but its own inference code fails on it."""


class DeviceMemoryError(ConversionError):
    """The device lacks the memory that speaking needs; another device may have enough."""


class EnvironmentFault(ConversionError):
    """The installed packages do not fit together: the environment is at fault, not the checkpoint."""


def cause_of(error: Exception) -> Cause:
    """Return the cause to show for an error; an unexpected one is a fault of this tool."""
    if isinstance(error, ConversionError):
        return error.cause
    if isinstance(error, OSError):
        name = f"{str(error.filename)[:300]}: " if error.filename else ""
        return Cause(code="system", severity="error", message=f"{name}{error.strerror or error}")
    if isinstance(error, MemoryError):
        hint = "Close other programs, or raise the limit that stands on this process (ulimit -v)."
        return Cause(
            code="out-of-memory", severity="error", message="this machine has no more memory to give", hint=hint
        )
    if isinstance(error, ImportError):
        reason = next((line for line in without_urls(str(error)).splitlines() if line.strip()), "no reason given")
        message = f"environment, not checkpoint: {error.name or 'a package'} cannot be imported: {reason.strip()[:300]}"
        hint = "Run the command `env`, which says what is wrong and how to mend it."
        return Cause(code="environment", severity="error", message=message, hint=hint)
    message = f"unexpected {type(error).__name__}: {without_urls(str(error))[:500]}"
    hint = "This is a fault of the tool. Set XTTS_VERIFY_DEBUG=1 for the traceback and report it with that."
    return Cause(code="internal", severity="error", message=message, hint=hint)


def without_urls(text: str) -> str:
    """Return the text with "(URL)" in place of every URL: one may hold a password."""
    return re.sub(r"\S*://\S+", "(URL)", text)


DOWNLOAD_HINT = "Download the file first, for example with curl, and pass its path."
TRUNCATED_HINT = "Copy or download it again. If training was killed while saving, use an older one: --checkpoint STEP."


def crc_error(key: str, member: str, stored: int, computed: int) -> ArchiveError:
    """Return the error for data whose CRC-32 is not the one that the container states."""
    return ArchiveError(
        "crc-mismatch",
        f"{key} (member {member}) is damaged: CRC-32 stored {stored:08x}, computed {computed:08x}",
        "The file changed after it was written: copy or download it again. torch.load would have loaded this silently.",
        (key,),
    )


def source_changed(path: object) -> ArchiveError:
    """Return the error for a file that was replaced or written while it was read."""
    return ArchiveError("source-changed", f"{path} changed while it was read", "Wait until training has saved it.")
