"""Find the checkpoint that the user means by a file or a run folder."""

import os
import re
from pathlib import Path

from verify.conversion import formats
from verify.errors import Cause, NoCheckpointError, SourceError
from verify.files.local import missing, require_regular_file
from verify.files.location import Location, local_path, parse_location, refresh
from verify.options import Job
from verify.source.held_out import AUTO

_BEST = re.compile(r"best_model_(\d+)\.pth")
_DEEPEST = 3  # levels below the folder that a recipe calls OUT_PATH: some put a run into OUT_PATH/run/training
_MOST_FOLDERS = 500  # that are looked into for runs
STEP_NAME = re.compile(r"(?:best_model|checkpoint)_(\d+)\.pth")  # what the trainer calls the checkpoints of a step


def find_checkpoint(source: Location, which: str = "best") -> Location:
    """Return the checkpoint file that `source`, a file or a run folder, and `--checkpoint` mean.

    Raises:
        SourceError: there is none; the message says what was looked for and what is there.
    """
    refresh(source)
    if not source.exists():
        raise missing(source)
    if not source.is_dir():
        require_regular_file(source)
        return source
    names = sorted(_names(source))
    chosen = _choose(names, which)
    if chosen is None:
        raise _nothing_in(source, names, which)
    return source / chosen


def run_of(source: Location) -> Location:
    """Return the only run below a folder that holds no checkpoint itself, as the trainer's OUT_PATH; else the source as it is."""
    folder = local_path(source)
    if folder is None or not folder.is_dir() or _choose(_names(folder), "best"):
        return source
    runs = _runs_below(folder)
    return runs[0] if len(runs) == 1 else source


def only_run_note(source: Location, run: Location) -> tuple[Cause, ...]:
    """Return a note where the run lies below the folder that the user named."""
    if run == source:
        return ()
    message = f"{source} holds no checkpoint itself; the only run below it is {run}"
    return (Cause(code="run-below", severity="note", message=message),)


def checkpoints_of(source: Path) -> list[Path]:
    """Return every checkpoint of a run folder by its step, `best_model.pth` last; else the one that `source` means.

    Raises:
        SourceError: there is none.
    """
    source = Path(str(run_of(source)))
    name = find_checkpoint(source).name
    if not source.is_dir():
        return [source]
    if name != "best_model.pth" and not STEP_NAME.fullmatch(name):
        return [source / name]
    names = sorted(entry.name for entry in source.iterdir())
    numbered = sorted((int(match[1]), name) for name in names if (match := STEP_NAME.fullmatch(name)))
    return [
        source / name
        for name in (*(name for _, name in numbered), *(["best_model.pth"] if "best_model.pth" in names else []))
    ]


def _names(folder: Location) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


def _runs_below(folder: Path) -> list[Path]:
    """Return the folders below with checkpoints of a training, the newest first; links are not followed."""
    runs = []
    for looked_into, (place, folders, names) in enumerate(os.walk(folder)):
        here = Path(place)
        if looked_into >= _MOST_FOLDERS:
            break
        is_run = any(name == "best_model.pth" or STEP_NAME.fullmatch(name) for name in names)
        runs += [here] if is_run else []
        deeper = not is_run and len(here.relative_to(folder).parts) < _DEEPEST
        folders[:] = [name for name in folders if deeper and not name.startswith(".")]
    return sorted(runs, key=lambda run: run.stat().st_mtime, reverse=True)


def _choose(names: list[str], which: str) -> str | None:
    """Return the name that `best`, `last` or a step means among the names of a run folder."""
    if which not in ("best", "last"):
        return next((name for name in names if (match := STEP_NAME.fullmatch(name)) and match[1] == which), None)
    numbered = [
        (int(match[1]), name) for name in names if (match := (_BEST if which == "best" else STEP_NAME).fullmatch(name))
    ]
    if numbered:
        return max(numbered)[1]
    # best_model.pth is a copy of the newest best_model_N.pth, and the one that a killed run leaves cut short.
    for name in ("best_model.pth", *formats.FILE_NAMES):
        if name in names:
            return name
    if which == "best" and (last := _choose(names, "last")):
        return last
    files = [name for name in names if name.endswith(formats.SAFETENSORS.suffix)]
    return files[0] if len(files) == 1 else None


def _nothing_in(folder: Location, names: list[str], which: str) -> SourceError:
    steps = [name.rpartition("_")[2].removesuffix(".pth") for name in names if STEP_NAME.fullmatch(name)]
    if which not in ("best", "last"):
        listed = f"Steps there: {', '.join(steps)}" if steps else "Pass --checkpoint best, last or a step."
        return NoCheckpointError("no-checkpoint", f"{folder} holds no checkpoint of step {which}", listed)
    looked = ", ".join(("best_model_N.pth", "best_model.pth", "checkpoint_N.pth", *formats.FILE_NAMES))
    listed = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") if names else "nothing"
    local_folder = local_path(folder)
    runs = _runs_below(local_folder) if local_folder else []  # a bucket may hold thousands
    hint = "Pass the run folder that coqui's trainer wrote, or a .pth file."
    if runs:
        more = f" and {len(runs) - 5} older ones" if len(runs) > 5 else ""
        hint = f"Pass one of the runs below it, the newest first: {', '.join(map(str, runs[:5]))}{more}"
    elif local_folder and (models := [name for name in names if _is_model(local_folder / name)]):
        hint = f"Pass the model folder in it: {', '.join(str(folder / name) for name in models[:5])}"
    return NoCheckpointError(
        "no-checkpoint", f"{folder} holds no checkpoint: looked for {looked}; there is {listed}", hint
    )


def _is_model(folder: Path) -> bool:
    """Whether it is a model folder, such as the `ready` that some trainers make beside a workspace that has no shallow run."""
    return folder.is_dir() and any((folder / name).is_file() for name in formats.FILE_NAMES)


def input_paths(job: Job) -> list[Location]:
    """Return every path that the user named as input: none of them may become the output."""
    voices = [parse_location(spoken.partition("=")[2]) for spoken in job.speakers if "=" in spoken]
    held_out = [parse_location(job.held_out)] if job.held_out and job.held_out != AUTO else []
    named = [job.source, job.config, job.vocab, job.base, *job.speaker_wavs, *voices, *held_out]
    return [*(path for path in named if path is not None), find_checkpoint(run_of(job.source), job.checkpoint)]
