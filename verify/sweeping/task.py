"""One checkpoint's work, as it travels to whoever does it, and what comes back. No torch until it is done."""

from dataclasses import dataclass, field
from typing import Any

from verify.audio.prompts import Script
from verify.errors import Cause
from verify.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """A checkpoint that is planned, what it is to say, and on how many threads: the samples depend on their number."""

    plan: Plan
    script: Script
    threads: int

    @property
    def ends_worker(self) -> bool:
        """Whether the process that did it must do no other: once Whisper is loaded, torch rounds otherwise."""
        return self.script.whisper is not None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What became of a task: the model's part of the report and its clips, or why there is none.

    `cause` is for what went wrong with the work, not with the checkpoint: it may go well another time.
    """

    found: dict[str, Any] | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    cause: Cause | None = None
