"""Convert one checkpoint in memory, synthesize and judge its samples: one task of a worker process."""

import os
import platform
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from verify.checkpoint import reader
from verify.commands.steps import judge_bytes, with_seconds
from verify.diagnosis import environment
from verify.errors import Cause, ConversionError, cause_of
from verify.progress import Silent, Stopwatch
from verify.result import Result
from verify.results.comparison import ComparedModel
from verify.sweeping.task import Outcome, Task


def run_task(task: Task) -> Outcome:
    """Run the task in this process; every error becomes a cause, because this is the outermost function of the worker."""
    try:
        return _work(task, environment.import_coqui("verify.coqui.run"))
    except MemoryError:
        hint = "Pass a smaller --jobs, or close other programs."
        return Outcome(cause=Cause(code="out-of-memory", severity="error", message="memory ran out", hint=hint))
    except Exception as error:  # a worker that dies of it could not report it
        if os.environ.get("XTTS_VERIFY_DEBUG") and not isinstance(error, (ConversionError, OSError)):
            raise
        return Outcome(cause=cause_of(error))


def _work(task: Task, coqui: Any) -> Outcome:
    """Return the report and the clips of the checkpoint; `coqui` is `verify.coqui.run`.

    Raises:
        ConversionError, OSError: the file cannot be read.
    """
    coqui.set_threads(task.threads)
    clock, cause = Stopwatch(Silent()), None
    with clock.timed("scan"):
        data, scan = reader.read_tensors(task.plan.ledger.written, lambda _: None)
    result = judge_bytes(Result.of(task.plan), scan, clock)
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = coqui.load_and_speak(result, task.script, data, clock, folder=Path(folder))
        except ConversionError as error:
            cause = error.cause
        # The recordings are the same for all, and lie in the dataset.
        kept = [file for file in Path(folder).iterdir() if not file.name.startswith("held-out-")]
        files = {file.name: file.read_bytes() for file in kept}
    held_out = result.held_out.without_copies() if result.held_out else None
    result = with_seconds(replace(result, held_out=held_out), clock)
    # The samples also depend on the processor and the threads.
    worker = {"threads": task.threads, "machine": platform.node(), "instructions": coqui.cpu_capability()}
    report = {
        **ComparedModel(name="", path=str(result.archive.path), report=result).to_json(),
        "environment": {**(result.environment or {}), **worker},
        "seconds": {name: round(value, 3) for name, value in result.seconds.items()},
    }
    return Outcome(found=report, files=files, cause=cause)
