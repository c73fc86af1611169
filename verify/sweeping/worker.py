"""Convert one checkpoint in memory, let it speak and judge it: what a worker process does, again and again."""

import platform
import tempfile
from pathlib import Path

import torch

from verify.audition import audition
from verify.checkpoint import reader
from verify.errors import ConversionError
from verify.pipeline import judge_bytes
from verify.plan import timed
from verify.reporting.comparison import ComparedModel
from verify.reporting.report import Report
from verify.sweeping.task import Outcome, Task
from verify.watch import Silent


def work(task: Task) -> Outcome:
    """Return what was found and what was said.

    Raises:
        ConversionError, OSError: the file cannot be read.
    """
    torch.set_num_threads(task.threads)
    planned, cause = task.plan, None
    with timed(planned.seconds, "scan"):
        data, scan = reader.read_tensors(planned.ledger.written, lambda _: None)
    report = judge_bytes(planned, scan, Silent())
    with tempfile.TemporaryDirectory() as folder:
        try:
            report = audition(planned, report, task.script, Silent(), folder=Path(folder), data=data)
        except ConversionError as error:
            cause = error.cause
        files = {file.name: file.read_bytes() for file in Path(folder).iterdir()}
    return Outcome(found=_as_json(report, task.threads), files=files, cause=cause)


def _as_json(report: Report, threads: int) -> dict:
    """Return the part of the document, with what the samples depend on beside the weights: processor and threads."""
    here = {
        "threads": threads,
        "machine": platform.node(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }
    return {
        **ComparedModel(name="", path=str(report.archive.path), report=report).to_json(),
        "environment": {**(report.environment or {}), **here},
        "seconds": {name: round(value, 3) for name, value in report.seconds.items()},
    }
