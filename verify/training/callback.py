"""A callback for coqui's `Trainer`: each new best model is exported and verified in a process of its own.

    from verify.training import export_best
    Trainer(..., callbacks=export_best(keep=3, speaker_wavs="me.wav")).fit()

The trainer waits for an export only after its last epoch, an error in an export never reaches it, and none of its files
is deleted.
"""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verify.conversion import formats
from verify.errors import counted
from verify.options import Job, job_of
from verify.report.words import size
from verify.training import exports, process, tensorboard
from verify.training.exports import Best
from verify.training.process import Export

_log = logging.getLogger(
    "trainer.verify"
)  # goes to the console and into the run's log, like the trainer's own messages
_VERDICTS = {"pass": "is verified", "warn": "is verified, with a warning", "fail": "was exported and FAILED a check"}


def export_best(
    *, output: str | Path | None = None, keep: int = 3, wait: bool = True, device: str = "cpu", **options: Any
) -> dict[str, Callable[[Any], None]]:
    """Return the `callbacks` of a `Trainer` that export and verify each new best model.

    Args:
        output: folder of the exports, each named after its `best_model_N`; default `exports/` in the run folder.
        keep: how many of the newest exports to keep; older ones made by this callback are removed.
        wait: whether the end of the training, Ctrl-C included, waits for the last export.
        device: where the exported model speaks; the training's own GPU may have no room for it.
        options: options of `convert`, such as `speaker_wavs`, `texts`, `vocab` or `expect`.

    Raises:
        OptionError: an option does not exist, or its value is invalid.
        ValueError: `keep` is less than 1.
    """
    if keep < 1:
        raise ValueError(f"keep is {keep}: at least the newest export stays")
    job = job_of("best_model.pth", device=device, **options)
    exporter = _Exporter(job=job, folder=Path(output) if output else None, keep=keep, wait=wait)
    return {
        "on_init_end": exporter.begin,
        "on_train_step_end": exporter.poll,
        "on_train_epoch_end": exporter.stop_on_windows,
        "on_epoch_end": exporter.epoch_ended,
        "on_keyboard_interrupt": exporter.end,
    }


def _harmless(callback: Callable[["_Exporter", Any], None]) -> Callable[["_Exporter", Any], None]:
    """Keep errors of a callback away from the training, log the first one, and act only in the first process."""

    @functools.wraps(callback)
    def guarded(exporter: "_Exporter", trainer: Any) -> None:
        """Call the callback in the first process, and let no error out of it."""
        if trainer.args.rank not in (None, 0):
            return
        try:
            callback(exporter, trainer)
        except Exception:  # hours of training must not end for an export
            if not exporter.is_faulty:
                _log.exception(" ! xtts-verify: an export failed, the training goes on; a second failure is not shown")
            exporter.is_faulty = True

    return guarded


@dataclass(slots=True, kw_only=True)
class _Exporter:
    """The export that is running and the best model that waits to be exported: at most one of each."""

    job: Job
    folder: Path | None
    keep: int
    wait: bool
    run: Path = field(default_factory=Path)
    seen_step: int = -1
    running: Export | None = None
    waiting: Best | None = None
    shown_spare: dict[str, int] = field(default_factory=dict)
    is_faulty: bool = False

    @_harmless
    def begin(self, trainer: Any) -> None:
        """Remember the best model that a resumed run already has."""
        self.run = Path(trainer.output_path)
        best = exports.newest_best(self.run)
        self.seen_step = best.step if best else -1

    @_harmless
    def poll(self, trainer: Any) -> None:
        """Collect a finished export, and start the one that waits."""
        self._poll(trainer)

    @_harmless
    def stop_on_windows(self, trainer: Any) -> None:
        """Stop an export on Windows, where the trainer would fail to remove a file that is open."""
        self._poll(trainer)
        if process.OPEN_FILES_STAY and self.running:
            stopped, self.running = self.running, None
            _log.warning(" ! xtts-verify: %s was not exported: an epoch is too short for it", stopped.best.name)
            process.stop(stopped)

    @_harmless
    def epoch_ended(self, trainer: Any) -> None:
        """Queue a new best model for export, and start it where none is running."""
        best = exports.newest_best(self.run)
        if best and best.step > self.seen_step:
            if self.waiting:
                _log.info(" > xtts-verify: %s is not exported: %s came", self.waiting.name, best.name)
            self.seen_step, self.waiting = best.step, best
        self._poll(trainer)
        if trainer.epochs_done + 1 >= trainer.config.epochs:
            self._end(trainer)

    @_harmless
    def end(self, trainer: Any) -> None:
        """Wait for the last export, or leave it to finish by itself."""
        self._poll(trainer)
        self._end(trainer)

    def _poll(self, trainer: Any) -> None:
        if self.running and self.running.is_done:
            done, self.running = self.running, None
            self._finish(done, trainer)
        if self.waiting and not self.running:
            best, self.waiting = self.waiting, None
            self.running = process.start(self.job, best, self.folder or self.run / "exports")
            _log.info(" > xtts-verify: exporting %s to %s", best.name, self.running.target)

    def _end(self, trainer: Any) -> None:
        while self.wait and self.running:
            _log.info(" > xtts-verify: waiting for the export of %s; Ctrl-C leaves it", self.running.best.name)
            try:
                self.running.process.wait()
            except KeyboardInterrupt:
                break
            self._poll(trainer)
        if self.running:
            _log.info(" > xtts-verify: %s will be there when its process is done", self.running.target)
        if self.waiting:
            _log.warning(" ! xtts-verify: %s is not exported", self.waiting.path)

    def _finish(self, export: Export, trainer: Any) -> None:
        """Log the result of the export, put it on the dashboard, and remove older exports."""
        document, died = process.result(export)
        name, was_removed = export.best.name, not export.best.path.exists() and not export.linked
        for cause in document["causes"]:
            if cause["severity"] != "note":
                _log.warning(" ! xtts-verify: %s: %s", name, cause["message"])
        if document["output"]:
            _log.info(" > xtts-verify: %s %s: %s", name, _VERDICTS[document["verdict"]], export.target)
            self._prune(document, export.target.parent)
        else:
            why = (
                "the trainer removed it meanwhile" if was_removed else died or "it does not load, or could not be read"
            )
            _log.warning(" ! xtts-verify: %s was not exported: %s", name, why)
        tensorboard.log(document, trainer.dashboard_logger, export.best.step)

    def _prune(self, document: dict[str, Any], folder: Path) -> None:
        """Remove older exports; log the disk usage, and which of the trainer's files could be deleted."""
        removed, spared = exports.prune(folder, self.keep)
        for path in removed:
            _log.info(" > xtts-verify: removed the older export %s", path)
        for path in spared:
            _log.warning(" ! xtts-verify: %s stays: it holds files of others", path)
        kept = exports.own_exports(folder)
        used = sum(file.stat().st_size for path in kept for file in path.iterdir())
        _log.info(" > xtts-verify: %s in %s: %s", counted(len(kept), "export"), folder, size(used))
        spare = exports.spare_checkpoints(self.run)
        if spare and spare != self.shown_spare:
            self.shown_spare = spare
            sizes = {file["name"]: file["bytes"] for file in document["output"]["files"]}
            model_bytes = sizes[formats.of(self.job.format).file_name]
            _log.info(
                " > xtts-verify: training can go on without %s: %s, of which %s a file are optimizer and training parts."
                " You may delete them; nothing of the trainer's was deleted.",
                ", ".join(f"{name} ({size(number)})" for name, number in spare.items()),
                size(sum(spare.values())), size(document["source"]["bytes"] - model_bytes),
            )  # fmt: skip
