"""Run one export in a background process beside the training."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from verify import options
from verify.document import document
from verify.errors import ConversionError
from verify.files import staging
from verify.options import Job
from verify.training import exports
from verify.training.exports import Best

# Windows cannot remove an open file, and the trainer removes the previous best model when it saves a new one.
OPEN_FILES_STAY = os.name == "nt"
_NICENESS = 10
# The process itself removes the hard link, as the training may have ended before it.
_PROGRAM = """
import shutil, sys
linked = sys.argv.pop(1)
from verify.cli.main import run
try:
    run()
finally:
    shutil.rmtree(linked or "no such folder", ignore_errors=True)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A running export: its source, its target, its process and what that prints."""

    best: Best
    target: Path
    linked: Path | None
    process: subprocess.Popen[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]

    @property
    def is_done(self) -> bool:
        return self.process.poll() is not None


def start(job: Job, best: Best, folder: Path) -> Export:
    """Start the conversion of the best model into a folder of its name, and return at once."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder.absolute() / best.name
    linked = None if OPEN_FILES_STAY else exports.hardlink(best)
    source = linked / best.path.name if linked else best.path
    words = options.words(replace(job, source=source, output=target))
    stdout, stderr = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - closed with the export
    process = _run_beside([str(linked or ""), "convert", *words, "--json", "--quiet"], stdout, stderr)
    return Export(best=best, target=target, linked=linked, process=process, stdout=stdout, stderr=stderr)


def _run_beside(words: list[str], stdout: IO[bytes], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start our command with low priority and detached from the terminal's Ctrl-C."""
    package_parent = str(Path(__file__).parents[2])  # the folder that holds `verify`
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([package_parent, *filter(None, [os.environ.get("PYTHONPATH")])])
    }
    detached: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        detached = {"creationflags": subprocess.BELOW_NORMAL_PRIORITY_CLASS | subprocess.CREATE_NEW_PROCESS_GROUP}
    command = [sys.executable, "-c", _PROGRAM, *words]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=environment, **detached
    )
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
    return process


def stop(export: Export) -> None:
    """Kill the process and remove its incomplete output."""
    export.process.kill()
    export.process.wait()
    _tidy(export)


def result(export: Export) -> tuple[dict[str, Any], str]:
    """Return the report that the process printed; where it died without one, also its last line. Marks a finished export."""
    export.stdout.seek(0)
    export.stderr.seek(0)
    stdout, stderr = export.stdout.read(), export.stderr.read().decode(errors="replace").strip()
    _tidy(export)
    try:
        report = json.loads(stdout)
    except ValueError:
        last_line = stderr.splitlines()[-1][:500] if stderr else "nothing was said"
        return document(verdict="error"), f"the process ended with status {export.process.returncode}: {last_line}"
    if report["output"]:
        exports.mark(export.target)
    return report, ""


def _tidy(export: Export) -> None:
    """Remove the hard link, close the files and remove a staging folder that a killed process left."""
    exports.release(export.linked)
    export.stdout.close()
    export.stderr.close()
    with contextlib.suppress(ConversionError, OSError), staging.staging(export.target):
        pass
