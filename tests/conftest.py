"""Genuine runs, made once a session by coqui's own trainer, and the files that the rooms need."""

import os
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support import said

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def pytest_collection_modifyitems(items):
    """Put what looks back at the whole session at its end."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


def pytest_runtest_logfinish(nodeid):
    """Tell the other processes of `pytest -n` that this test is done."""
    said.finish(nodeid)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory) -> Path:
    """A folder of this test run, the same in each process of `pytest -n`."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(autouse=True, scope="session")
def record_what_is_said(shared_folder):
    """Keep every cause that is shown or raised, for the test that holds docs/causes.md against them."""
    from verify import errors
    from verify.report import terminal

    said.begin(shared_folder / "said")
    show, begin = terminal.show_cause, errors.ConversionError.__init__

    def show_and_record(cause, screen):
        said.record(cause, shared_folder)
        show(cause, screen)

    def begin_and_record(error, *arguments, **named):
        begin(error, *arguments, **named)
        said.record(error.cause, shared_folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(errors.ConversionError, "__init__", begin_and_record)
        for room in ("terminal", "explain", "compare_terminal", "sweep_terminal", "env"):
            patch.setattr(f"verify.report.{room}.show_cause", show_and_record)
        yield


def made_once(shared_folder: Path, name: str, make) -> Path:
    """Return what `make(folder)` returns, made by the first process of `pytest -n` that asks for it."""
    folder, done = shared_folder / name, shared_folder / f"{name}.done"
    with FileLock(shared_folder / f"{name}.lock"):
        if not done.exists():
            folder.mkdir()
            done.write_text(str(make(folder)))
    return Path(done.read_text())


@pytest.fixture(scope="session")
def genuine_run(shared_folder) -> Path:
    """A run folder that coqui's Trainer wrote: config.json, best_model_N.pth, best_model.pth; 2 GPT layers."""
    from tests.support.genuine_run import train

    kept = os.environ.get("XTTS_VERIFY_TEST_RUNS")  # a folder: training once for many starts of a few tests
    folder = Path(kept) if kept else shared_folder
    folder.mkdir(parents=True, exist_ok=True)
    return made_once(folder, "genuine", train)


@pytest.fixture(scope="session")
def genuine_checkpoint(genuine_run) -> Path:
    return next(genuine_run.glob("best_model_*.pth"))


@pytest.fixture(scope="session")
def converted(genuine_run, tmp_path_factory):
    """(folder, report) of the main job on the genuine run."""
    from verify import Job, convert

    folder = tmp_path_factory.mktemp("converted") / "inference"
    report = convert(Job(source=genuine_run, output=folder, expect="sound"))
    return folder, report


@pytest.fixture(scope="session")
def model_parts(converted):
    """(state dict, config, vocab.json path) of the genuine model, to make damaged runs from."""
    import torch

    folder, _ = converted
    saved = torch.load(folder / "model.pth", weights_only=True)
    return saved["model"], saved["config"], folder / "vocab.json"


@pytest.fixture(scope="session")
def spoken_demo(tmp_path_factory):
    """(folder, exit status, what it said) of `demo`: a training run of the model that speaks, and the main job on it."""
    import contextlib
    import io

    from verify.cli import main

    folder, said_to_people = tmp_path_factory.mktemp("spoken") / "demo", io.StringIO()
    with contextlib.redirect_stderr(said_to_people), contextlib.redirect_stdout(io.StringIO()):
        code = main.main(["demo", "-o", str(folder)])
    return folder, code, said_to_people.getvalue()


@pytest.fixture
def make_run(model_parts, tmp_path):
    """Write a run folder whose checkpoint is the genuine one with `change(state)` and `change_config(config)` applied."""
    import copy
    import json
    import shutil

    import torch

    def make(change=None, change_config=None, name="best_model_7.pth", vocab=True) -> Path:
        state, config, vocab_path = model_parts
        state, config = {f"xtts.{key}": value for key, value in state.items()}, copy.deepcopy(config)
        state = (change(state) or state) if change else state
        if change_config:
            change_config(config)
        run = tmp_path / "run"
        run.mkdir(exist_ok=True)
        torch.save(
            {"model": state, "config": config, "step": 7, "epoch": 1, "date": "today", "model_loss": 1.5}, run / name
        )
        (run / "config.json").write_text(json.dumps(config))
        if vocab:
            shutil.copyfile(vocab_path, run / "vocab.json")
        return run

    return make
