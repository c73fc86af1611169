"""The files of a running training: find its best models, keep one readable by a hard link, and prune old exports."""

import contextlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from verify.files.names import TRAINING_MARK
from verify.files.output import foreign
from verify.source.find import STEP_NAME

_BEST = re.compile(r"best_model_(\d+)")
# Files beside a checkpoint that belong to it.
_COMPANIONS = ("config.json", "vocab.json", "speakers_xtts.pth", "reference.wav")


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """A best model that the trainer saved."""

    path: Path
    step: int

    @property
    def name(self) -> str:
        """`best_model_N`, which is also the name of its export."""
        return self.path.stem


def newest_best(run: Path) -> Best | None:
    """Return the best model of the highest step; `best_model.pth` is only a copy of it."""
    paths = run.glob("best_model_*.pth")
    best_models = [Best(path=path, step=int(match[1])) for path in paths if (match := _BEST.fullmatch(path.stem))]
    return max(best_models, key=lambda best: best.step, default=None)


def hardlink(best: Best) -> Path | None:
    """Hard-link the best model into a new folder: the file survives when the trainer removes its name, and costs no space.

    Return the folder, which replaces the run folder as source; None where the file system has no hard links.
    """
    run = best.path.parent
    folder = run / f".export-of-{best.name}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir()
        os.link(best.path, folder / best.path.name)
        for name in _COMPANIONS:
            if (run / name).is_file():
                shutil.copyfile(run / name, folder / name)
    except OSError:
        release(folder)
        return None
    return folder


def release(folder: Path | None) -> None:
    """Remove the folder with the hard link."""
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def mark(export: Path) -> None:
    """Mark an export as made by the callback under this name."""
    (export / TRAINING_MARK).write_text(json.dumps({"export": export.name}) + "\n", encoding="utf-8")


def prune(folder: Path, keep: int) -> tuple[list[Path], list[Path]]:
    """Remove all but the newest exports of the callback; return those removed, and those spared for foreign files in them."""
    removed, spared = [], []
    for export in own_exports(folder)[:-keep]:
        if foreign(export):
            spared.append(export)
            continue
        shutil.rmtree(export, ignore_errors=True)
        removed.append(export)
    return removed, spared


def own_exports(folder: Path) -> list[Path]:
    """Return the exports that the callback made and nobody renamed, the oldest step first."""
    by_step = [
        (int(match[1]), path) for path in folder.iterdir() if (match := _BEST.fullmatch(path.name)) and _is_own(path)
    ]
    return [path for _, path in sorted(by_step)]


def _is_own(export: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return not export.is_symlink() and json.loads((export / TRAINING_MARK).read_text(encoding="utf-8")) == {
            "export": export.name
        }
    return False


def spare_checkpoints(run: Path) -> dict[str, int]:
    """Return the size in bytes of each checkpoint that is not needed to resume: all but the newest and the newest best."""
    numbered = {path: int(match[1]) for path in run.iterdir() if (match := STEP_NAME.fullmatch(path.name))}
    best = newest_best(run)
    needed = {best.path} if best else set()
    needed |= {max(numbered, key=lambda path: numbered[path])} if numbered else set()
    copies = [path for path in [run / "best_model.pth"] if best and path.is_file()]
    return {path.name: path.stat().st_size for path in sorted((numbered.keys() - needed) | {*copies})}
