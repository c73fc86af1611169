"""Run a program of somebody else's: with a limit of seconds, the end of what it says, and nothing of it left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

MOST_BYTES = 64 * 1024  # of what it says, from the end
_POLL_SECONDS = 0.2  # a short wait, as Windows delivers Ctrl-C only between waits
_LAST_WORDS_SECONDS = 2.0  # for the pipe to run dry, which a process that it left behind may hold open


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended: `status` is None where it ran past its limit, negative for a signal; `said` is the end of its output."""

    status: int | None
    said: str

    @property
    def how(self) -> str:
        """How it ended, in words that follow "it"."""
        if self.status is None:
            return "did not end"
        if self.status >= 0:
            return f"ended with status {self.status}" if self.status < 2**31 else f"crashed ({self.status:#x})"
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-self.status).name}"
        return f"was ended by signal {-self.status}"


def run(words: Sequence[str], folder: Path, environment: Mapping[str, str], limit_seconds: float) -> Ended:
    """Run the program in a folder until it ends or its time is over.

    Raises:
        OSError: it cannot be started.
    """
    process = subprocess.Popen(
        words,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **_apart(),
    )
    tail = _Tail(process.stdout)
    try:
        status = _wait(process, limit_seconds)
    finally:
        _end(process)
    return Ended(status=status, said=tail.text())


def _apart() -> dict[str, Any]:
    """Return the options that give the program its own group, so that a Ctrl-C for us is ours to pass on."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _wait(process: subprocess.Popen[bytes], limit_seconds: float) -> int | None:
    end = time.monotonic() + limit_seconds
    while time.monotonic() < end:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(_POLL_SECONDS)
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program where it still runs, and what it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()


class _Tail:
    """Reads a pipe on a thread of its own and keeps the end, however much comes."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        self._bytes = b""
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def _read(self, pipe: Any) -> None:
        with contextlib.suppress(OSError, ValueError), pipe:
            while chunk := pipe.read1(MOST_BYTES):
                self._bytes = (self._bytes + chunk)[-MOST_BYTES:]

    def text(self) -> str:
        """Return the end of what was said."""
        self._thread.join(_LAST_WORDS_SECONDS)
        return self._bytes.decode(errors="replace")
