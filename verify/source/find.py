"""Find the checkpoint that the user means by a file or a run folder."""

import re
from pathlib import Path

from verify.conversion import formats
from verify.errors import NoCheckpointError, SourceError
from verify.files.local import missing, require_regular_file
from verify.files.location import Location, local_path, refresh
from verify.options import Job

_BEST = re.compile(r"best_model_(\d+)\.pth")
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


def checkpoints_of(source: Path) -> list[Path]:
    """Return every checkpoint of a run folder by its step, `best_model.pth` last; else the one that `source` means.

    Raises:
        SourceError: there is none.
    """
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
    entries = local_folder.iterdir() if local_folder else []  # a bucket may hold thousands
    runs = [entry.name for entry in entries if entry.is_dir() and _choose(sorted(_names(entry)), "best")]
    hint = "Pass the run folder that coqui's trainer wrote, or a .pth file."
    if runs:
        hint = "Pass one of the run folders in it: " + ", ".join(str(folder / name) for name in sorted(runs)[:5])
    return NoCheckpointError(
        "no-checkpoint", f"{folder} holds no checkpoint: looked for {looked}; there is {listed}", hint
    )


def input_paths(job: Job) -> list[Location]:
    """Return every path that the user named as input: none of them may become the output."""
    voices = [Path(spoken.partition("=")[2]) for spoken in job.speakers if "=" in spoken]
    named = [job.source, job.config, job.vocab, job.base, *job.speaker_wavs, *voices]
    return [*(path for path in named if path is not None), find_checkpoint(job.source, job.checkpoint)]
