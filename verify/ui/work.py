"""One piece of work at a time, each on a thread of its own: how far it is, its stop, and what came of it."""

import contextlib
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verify.errors import Cause, cause_of

MOST_KEPT = 40  # pieces of work whose results the page still shows
_POLL_SECONDS = 0.2
_LONGEST_STOP_SECONDS = 20.0  # at the end of the program


@dataclass(eq=False, slots=True, kw_only=True)
class Work:
    """A piece of work, and the `Watch` of the library's functions that do it.

    `result` is what the function returned; `cause` why there is none. What a page asks for by `id` nobody can guess.
    """

    kind: str  # convert, verify, say, compare or sweep
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    state: str = "waiting"  # then working, stopping, and at the end done, failed or stopped
    step_name: str = ""
    done: int = 0
    total: int | None = None
    unit: str = ""
    began: float = field(default_factory=time.monotonic)
    result: Any = None
    cause: Cause | None = None
    kept: str = ""  # what a sweep that was stopped says of the results that it keeps
    takes: list[dict[str, Any]] = field(default_factory=list)  # what was said later with the model of the result

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("done", "failed", "stopped")

    def stop(self) -> None:
        """Ask it to stop; it stops where the library next tells how far it is."""
        if not self.is_over:
            self.state = "stopping"

    def check(self) -> None:
        """Raise what Ctrl-C raises where a stop was asked for: the library cleans up after that.

        Raises:
            KeyboardInterrupt: it was.
        """
        if self.state == "stopping":
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def step(self, name: str, total: int | None = None, unit: str = "") -> Iterator[Callable[[int], None]]:
        """Do a step of the work."""
        self.check()
        self.step_name, self.done, self.total, self.unit = name, 0, total, unit
        yield self._advance
        self.check()

    def found(self, report: Any) -> None:
        """Receive what is in the source."""
        self.check()

    def _advance(self, done: int) -> None:
        self.done += done
        self.check()


class Workshop:
    """Does the work of everybody who has the page open, in turn: a model of the real size fills the memory once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model: tuple[str, Any] | None = None  # what it was loaded from, and the model with its voice
        self._works: dict[str, Work] = {}
        self._threads: list[threading.Thread] = []
        self._turn = threading.Lock()

    def begin(self, kind: str, do: Callable[[Work], Any]) -> Work:
        """Start `do(work)` on a thread of its own, as soon as it is its turn."""
        work = Work(kind=kind)
        self._works[work.id] = work
        for old in [other for other in [*self._works.values()] if other.is_over][
            : max(0, len(self._works) - MOST_KEPT)
        ]:
            del self._works[old.id]
            shutil.rmtree(self.folder / old.id, ignore_errors=True)
        thread = threading.Thread(target=self._run, args=(work, do), name=f"work {kind}", daemon=True)
        self._threads = [*(other for other in self._threads if other.is_alive()), thread]
        thread.start()
        return work

    def of(self, identity: Any) -> Work | None:
        """Return the work of this id; None where there is none, or no more."""
        return self._works.get(identity) if isinstance(identity, str) else None

    def waiting_before(self, work: Work) -> int:
        """Return how many pieces of work come before this one."""
        return sum(not other.is_over and other.began < work.began for other in [*self._works.values()])

    def folder_of(self, work: Work) -> Path:
        """Return a private folder for what the work writes, which lives as long as the work is kept."""
        folder = self.folder / work.id
        folder.mkdir(exist_ok=True)
        return folder

    def close(self) -> None:
        """Stop all work, and wait for it to clean up."""
        for work in [*self._works.values()]:
            work.stop()
        ends = time.monotonic() + _LONGEST_STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))

    def _run(self, work: Work, do: Callable[[Work], Any]) -> None:
        try:
            self._wait_for_turn(work)
            try:
                work.result = do(work)
            finally:
                self._turn.release()
            work.state = "done"
        except KeyboardInterrupt as stop:
            shutil.rmtree(self.folder / work.id, ignore_errors=True)
            work.kept = str(stop)
            work.state = "stopped"
        except Exception as error:  # the edge of a thread: what went wrong is told on the page
            work.cause = cause_of(error)
            work.state = "failed"

    def _wait_for_turn(self, work: Work) -> None:
        while not self._turn.acquire(timeout=_POLL_SECONDS):
            work.check()
        try:
            work.check()
            work.state = "working"
            if work.kind != "say":
                self.model = None  # its memory is needed
        except KeyboardInterrupt:
            self._turn.release()
            raise
