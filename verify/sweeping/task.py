"""The task of one checkpoint, as it is sent to a worker, and its outcome. No torch."""

from dataclasses import dataclass, field
from typing import Any

from verify.audio.prompts import Script
from verify.errors import Cause
from verify.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """A planned checkpoint, what to speak, and on how many threads: the samples depend on their number."""

    plan: Plan
    script: Script
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """The outcome of a task: the model's part of the report and its clips, or the cause why there are none.

    `cause` is a failure of the worker, not of the checkpoint: the task may succeed the next time.
    """

    found: dict[str, Any] | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    cause: Cause | None = None
