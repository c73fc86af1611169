"""The callback for coqui's Trainer: a real short training exports its best models; no fault of an export reaches it."""

import io
import json
import logging
import os
import re
import shutil
import signal
import threading
from types import SimpleNamespace

import pytest
import soundfile

from tests.conftest import made_once
from tests.support.helpers import ROOT, save_tiny
from verify.errors import OptionError
from verify.report.words import size
from verify.training import exports, process, tensorboard
from verify.training.callback import export_best
from verify.training.process import OPEN_FILES_STAY

needs_links = pytest.mark.skipif(OPEN_FILES_STAY, reason="Windows: exports make way for the trainer instead")


def exporter_of(callbacks):
    return callbacks["on_init_end"].__self__


@pytest.fixture(scope="module")
def trained(shared_folder):
    """(run folder, its log) of a training of three epochs, whose first export takes until the last of them is over."""
    from tests.support.genuine_run import train

    callbacks = export_best(keep=1, expect="sound", texts="so.")
    end_epoch, exporter = callbacks["on_epoch_end"], exporter_of(callbacks)

    def end_epoch_while_the_first_export_stands_still(trainer):
        if trainer.epochs_done == 2:
            os.kill(exporter.running.process.pid, signal.SIGCONT)
        end_epoch(trainer)
        if trainer.epochs_done == 0:
            os.kill(exporter.running.process.pid, signal.SIGSTOP)  # so that no machine is too fast for it

    callbacks["on_epoch_end"] = end_epoch_while_the_first_export_stands_still
    run = made_once(shared_folder, "trained", lambda folder: train(folder, 3, callbacks))
    return run, (run / "trainer_0_log.txt").read_text(encoding="utf-8")


def told_lines(text):
    """Return the lines of the callback with every number of megabytes made the same."""
    lines = [line.rstrip() for line in text.splitlines() if line.startswith((" > xtts-verify", " ! xtts-verify"))]
    return [re.sub(r"[\d.]+ MB", "N MB", line) for line in lines]


@needs_links
def test_the_page_shows_what_the_log_says(trained):
    from tests.test_docs import blocks

    run, log = trained
    (shown,) = blocks(ROOT / "docs" / "training.md", "text")
    assert told_lines(shown) == told_lines(log.replace(f"{run}{os.sep}", ""))


@pytest.fixture
def events(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(trained[0]), size_guidance={"audio": 0, "scalars": 0, "tensors": 0})
    accumulator.Reload()
    return accumulator


@needs_links
def test_the_best_model_is_exported(trained):
    report = json.loads((trained[0] / "exports" / "best_model_6" / "report.json").read_text())
    assert report["verdict"] in ("pass", "warn")
    assert report["source"]["step"] == 6


@needs_links
def test_the_trainer_goes_on_while_it_is_exported(trained):
    log = trained[1]
    first, last = log.index("exporting best_model_2"), log.index("EPOCH: 2/2")
    assert first < log.index("EPOCH: 1/2") < last < log.index("best_model_2 is verified")


@needs_links
def test_of_those_that_wait_only_the_newest_is_exported_and_that_is_told(trained):
    assert "best_model_4 is not exported: best_model_6 came" in trained[1]
    assert "waiting for the export of best_model_6; Ctrl-C leaves it" in trained[1]


@needs_links
def test_only_the_last_exports_are_kept_and_nothing_else_is_left_or_deleted(trained):
    run, log = trained
    assert [path.name for path in (run / "exports").iterdir()] == ["best_model_6"]
    assert f"removed the older export {run / 'exports' / 'best_model_2'}" in log
    assert {path.name for path in run.iterdir() if "model" in path.name} == {"best_model.pth", "best_model_6.pth"}
    assert f"training can go on without best_model.pth ({size((run / 'best_model.pth').stat().st_size)})" in log
    assert "nothing of the trainer's was deleted" in log


@needs_links
def test_tensorboard_shows_the_figures_and_plays_the_sample(trained, events):
    report = json.loads((trained[0] / "exports" / "best_model_6" / "report.json").read_text())
    assert [(item.step, item.value) for item in events.Scalars("Verify/passed")] == [(2, 1.0), (6, 1.0)]
    for check in report["checks"]:
        tag = f"Verify/{check['name'].replace(' ', '_').replace('.', '_')}"
        assert events.Scalars(tag)[-1].value == pytest.approx(check["measured"], rel=1e-5), tag
    audio = events.Audio("Verify/sample")[-1]
    assert (audio.step, audio.sample_rate) == (6, 24000)
    assert audio.length_frames == soundfile.info(trained[0] / "exports" / "best_model_6" / "sample.wav").frames
    verdict = events.Tensors("Verify/verdict/text_summary")[-1].tensor_proto.string_val[0]
    assert verdict.startswith(f"**{report['verdict']}**".encode())


def test_the_speaker_similarity_is_shown_where_it_was_measured():
    heard = {"speaker_similarity": 0.81, "speaker_similarity_of_base": None}
    document = {"verdict": "fail", "checks": None, "samples": [heard]}
    assert dict(tensorboard.figures(document)) == {"passed": 0.0, "speaker_similarity": 0.81}


# --- what goes wrong: the callbacks as the Trainer calls them, on runs that no training is needed for ---------------


@pytest.fixture
def trainer(tmp_path):
    """What the callbacks see of a Trainer: rank, run folder, epochs, and a real TensorBoard logger."""
    from trainer.logging.tensorboard_logger import TensorboardLogger

    run = tmp_path / "run"
    run.mkdir()
    board = TensorboardLogger(str(run), "test")
    config = SimpleNamespace(epochs=3)
    yield SimpleNamespace(
        args=SimpleNamespace(rank=0), output_path=run, config=config, epochs_done=0, dashboard_logger=board
    )
    board.finish()


@pytest.fixture
def log():
    """The messages of the callback, in a text."""
    text = io.StringIO()
    logger, handler = logging.getLogger("trainer.verify"), logging.StreamHandler(text)
    logger.addHandler(handler)
    yield text.getvalue
    logger.removeHandler(handler)


def finish(callbacks, trainer):
    trainer.epochs_done = trainer.config.epochs - 1
    callbacks["on_epoch_end"](trainer)


def test_a_checkpoint_that_does_not_load_is_told_and_the_training_goes_on(trainer, log):
    callbacks = export_best()
    callbacks["on_init_end"](trainer)
    save_tiny(trainer.output_path / "best_model_3.pth")
    finish(callbacks, trainer)
    assert "best_model_3 was not exported: it does not load, or could not be read" in log()
    assert not [*(trainer.output_path / "exports").iterdir()]
    assert not [*trainer.output_path.glob(".export-of-*")]


def test_a_fault_of_ours_is_logged_once_and_never_raised(trainer, log, monkeypatch):
    def broken(*_):
        raise RuntimeError("no such dashboard")

    callbacks = export_best()
    callbacks["on_init_end"](trainer)
    monkeypatch.setattr(exports, "newest_best", broken)
    for _ in range(3):
        callbacks["on_epoch_end"](trainer)
    assert log().count("an export failed, the training goes on") == 1


def test_a_best_model_that_the_trainer_removed_is_told(trainer, log, monkeypatch):
    monkeypatch.setattr(exports, "hardlink", lambda _: None)  # a file system without hard links
    callbacks = export_best()
    callbacks["on_init_end"](trainer)
    best = save_tiny(trainer.output_path / "best_model_3.pth")
    callbacks["on_epoch_end"](trainer)
    best.unlink()
    finish(callbacks, trainer)
    assert "best_model_3 was not exported: the trainer removed it meanwhile" in log()


def test_on_windows_an_export_makes_way_before_the_trainer_removes_its_source(trainer, log, monkeypatch, genuine_run):
    monkeypatch.setattr(process, "OPEN_FILES_STAY", True)
    callbacks = export_best()
    callbacks["on_init_end"](trainer)
    shutil.copyfile(next(genuine_run.glob("best_model_*.pth")), trainer.output_path / "best_model_3.pth")
    shutil.copyfile(genuine_run / "config.json", trainer.output_path / "config.json")
    callbacks["on_epoch_end"](trainer)
    running = exporter_of(callbacks).running
    assert running.linked is None
    callbacks["on_train_epoch_end"](trainer)
    assert running.is_done
    assert "best_model_3 was not exported: an epoch is too short for it" in log()
    assert not [*(trainer.output_path / "exports").iterdir()]


@needs_links
def test_ctrl_c_leaves_the_export_which_finishes_by_itself(trainer, log, genuine_run):
    callbacks = export_best(verify=False)
    callbacks["on_init_end"](trainer)
    shutil.copyfile(next(genuine_run.glob("best_model_*.pth")), trainer.output_path / "best_model_3.pth")
    callbacks["on_epoch_end"](trainer)
    running = exporter_of(callbacks).running
    os.kill(running.process.pid, signal.SIGSTOP)  # so that it surely runs yet when Ctrl-C comes
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores for what it runs in the background
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    callbacks["on_keyboard_interrupt"](trainer)
    assert f"{running.target} will be there when its process is done" in log()
    os.kill(running.process.pid, signal.SIGCONT)
    assert running.process.wait() == 0
    assert (running.target / "model.pth").is_file()
    assert not running.linked.exists()


@needs_links
def test_while_one_is_exported_only_the_newest_waits(trainer, log, genuine_run):
    callbacks = export_best(verify=False, keep=1)
    callbacks["on_init_end"](trainer)
    exporter = exporter_of(callbacks)
    for step in (2, 4, 6):
        shutil.copyfile(next(genuine_run.glob("best_model_*.pth")), trainer.output_path / f"best_model_{step}.pth")
        trainer.epochs_done = step // 2 - 1
        if step == 6:
            os.kill(exporter.running.process.pid, signal.SIGCONT)
        callbacks["on_epoch_end"](trainer)
        if step == 2:
            os.kill(exporter.running.process.pid, signal.SIGSTOP)  # so that no machine is too fast or too slow for it
    assert "best_model_4 is not exported: best_model_6 came" in log()
    assert [path.name for path in (trainer.output_path / "exports").iterdir()] == ["best_model_6"]


@needs_links
def test_an_export_to_safetensors_reaches_the_dashboard_too(trainer, log, genuine_run, tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.chdir(tmp_path)  # where no `verify` lies: the export must find the one that started it
    monkeypatch.delenv("PYTHONPATH", raising=False)
    callbacks = export_best(format="safetensors", verify=False)
    callbacks["on_init_end"](trainer)
    for name in ("best_model_3.pth", "best_model.pth"):
        shutil.copyfile(next(genuine_run.glob("best_model_*.pth")), trainer.output_path / name)
    callbacks["on_epoch_end"](trainer)
    finish(callbacks, trainer)
    assert "training can go on without best_model.pth" in log()
    events = EventAccumulator(str(trainer.output_path))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("Verify/passed")] == [(3, 1.0)]


def test_other_processes_of_a_training_on_several_gpus_export_nothing(trainer):
    trainer.args.rank = 1
    callbacks = export_best()
    callbacks["on_init_end"](trainer)
    save_tiny(trainer.output_path / "best_model_3.pth")
    finish(callbacks, trainer)
    assert not (trainer.output_path / "exports").exists()


def test_a_continued_run_does_not_export_what_was_there(trainer):
    save_tiny(trainer.output_path / "best_model_3.pth")
    callbacks = export_best()
    callbacks["on_init_end"](trainer)
    finish(callbacks, trainer)
    assert not (trainer.output_path / "exports").exists()


def test_an_option_that_is_none_is_refused_before_the_training():
    with pytest.raises(OptionError, match="speaker_wave"):
        export_best(speaker_wave="me.wav")
    with pytest.raises(ValueError, match="keep is 0"):
        export_best(keep=0)


# --- exports on the disk --------------------------------------------------------------------------------------------


@needs_links
def test_a_held_model_outlives_its_first_name_and_costs_no_room(tmp_path):
    path = save_tiny(tmp_path / "best_model_3.pth")
    content = path.read_bytes()
    (tmp_path / "vocab.json").write_text("{}")
    held = exports.hardlink(exports.newest_best(tmp_path))
    assert (held / path.name).stat().st_nlink == 2
    path.unlink()
    assert (held / path.name).read_bytes() == content
    assert (held / "vocab.json").is_file()
    exports.release(held)
    assert [path.name for path in tmp_path.iterdir()] == ["vocab.json"]


def make_export(folder, name, marked=True):
    export = folder / name
    export.mkdir()
    (export / "model.pth").write_bytes(b"weights")
    if marked:
        exports.mark(export)
    return export


def test_only_exports_that_are_ours_by_name_and_mark_are_removed(tmp_path):
    for step in (1, 2, 9, 10):
        make_export(tmp_path, f"best_model_{step}")
    make_export(tmp_path, "best_model_3", marked=False)
    make_export(tmp_path, "best_model_4").rename(tmp_path / "best_model_5")  # a copy that someone put by
    make_export(tmp_path, "favourite")
    (tmp_path / "best_model_2" / "notes.txt").write_text("sounds like her")
    removed, spared = exports.prune(tmp_path, keep=2)
    assert [path.name for path in removed] == ["best_model_1"]
    assert [path.name for path in spared] == ["best_model_2"]
    assert len([*tmp_path.iterdir()]) == 6


def test_what_training_can_go_on_without_is_all_but_the_newest_and_the_newest_best(tmp_path):
    for name in ("best_model_5", "best_model_9", "best_model", "checkpoint_10", "checkpoint_20"):
        (tmp_path / f"{name}.pth").write_bytes(b"x" * 7)
    assert exports.spare_checkpoints(tmp_path) == dict.fromkeys(
        ["best_model.pth", "best_model_5.pth", "checkpoint_10.pth"], 7
    )
