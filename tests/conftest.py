"""Genuine runs, made once a session by coqui's own trainer, and how the tests are run."""

import gc
import json
import os
import pickle
import shutil
import signal
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from tests.support import recorded_causes

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # a process for each core: more threads would wait for one another, at twice the cost
    os.environ.setdefault("OMP_NUM_THREADS", "1")
WAITING = ("sweeping", "training")  # folders whose tests wait for other processes
FROZEN: list[bool] = []  # whether imported modules are left out of the search for garbage
NEVER_SAID = pytest.StashKey[list[str]]()


def pytest_configure():
    """Hear Ctrl-C, and have the programs that the tests start hear it: a shell switches it off for what runs in the background."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each process of `pytest -n` whole modules in a row, so that what a module makes is seldom made twice."""
    if config.getvalue("dist") != "load":
        return None
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


def pytest_collection_modifyitems(items):
    """Put the modules that need a training run behind the others, so that one process makes it while the others work.

    Of those, the ones that start processes and wait for them come first, or the last of them would be waited for alone.
    """
    need_a_run = {item.path for item in items if "genuine_run" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: (item.path in need_a_run, item.path.parent.name not in WAITING))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Take over the causes that a process of `pytest -n` recorded."""
    recorded_causes.recorded |= {tuple(pair) for pair in getattr(node, "workeroutput", {}).get("causes", ())}


def pytest_sessionfinish(session):
    """Hold the examples of docs/causes.md against the causes of this session, where the whole suite has run."""
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput["causes"] = [*recorded_causes.recorded]
        return
    whole = config.args_source is config.ArgsSource.TESTPATHS and not (config.option.keyword or config.option.markexpr)
    if not whole or config.option.collectonly or session.shouldstop or session.shouldfail:
        return
    if os.environ.get("XTTS_VERIFY_WRITE_DOCS"):
        recorded_causes.correct_page()
    if never_said := recorded_causes.never_said():
        config.stash[NEVER_SAID] = never_said
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    if never_said := config.stash.get(NEVER_SAID, None):
        terminalreporter.section("docs/causes.md", red=True)
        terminalreporter.line(f"No test met the examples of: {', '.join(never_said)}.")
        terminalreporter.line("XTTS_VERIFY_WRITE_DOCS=1 python -m pytest -n auto writes what the code says today.")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Answer `-n auto` with a process more than there are cores: what waits for a program or a disk leaves room for it."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else None


@pytest.fixture(scope="session")
def chromium():
    """A real browser; a test that wants it is skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the pip package playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not path:
        pytest.skip("no Chromium on this system: apt-get install chromium")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--mute-audio"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory) -> Path:
    """A folder of this test run, the same in each process of `pytest -n`."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(autouse=True)
def modules_are_no_garbage():
    """Once coqui-tts is imported, leave its two million objects out of each search for garbage: half a second, a hundred times."""
    if "TTS.tts.models.xtts" in sys.modules and not FROZEN:  # gc.get_freeze_count would count them each time
        gc.freeze()
        FROZEN.append(True)


@pytest.fixture(autouse=True, scope="session")
def record_causes(shared_folder):
    """Keep every cause that is made, for docs/causes.md."""
    from verify.errors import Cause

    make = Cause.__post_init__

    def make_and_record(cause):
        make(cause)
        recorded_causes.record(cause, shared_folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cause, "__post_init__", make_and_record)
        yield


@pytest.fixture(autouse=True, scope="session")
def no_whisper_listens_unasked():
    """Where the machine is busy, speech takes longer, and a Whisper listened that does not where it is idle."""
    from verify import resources

    resources.load("limits")["whisper"]["smallest_megabytes"].clear()


@pytest.fixture(autouse=True, scope="session")
def hold_reports_against_the_schema():
    """Hold every report that becomes JSON in this process against configs/report.schema.json."""
    from tests.support import report_schema

    with pytest.MonkeyPatch.context() as patch:
        report_schema.hold_all(patch)
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
def converted(genuine_run, shared_folder):
    """(folder, report) of the main job on the genuine run."""

    def make(folder: Path) -> Path:
        from verify import Job, convert

        (folder / "models").mkdir()  # for the output alone: a test looks what the job leaves beside it
        output = folder / "models" / "inference"
        report = convert(Job(source=genuine_run, output=output, expect="sound", texts=("Hi.",)))
        (folder / "report.pickle").write_bytes(pickle.dumps(report))
        return folder

    folder = made_once(shared_folder, "converted", make)
    return folder / "models" / "inference", pickle.loads((folder / "report.pickle").read_bytes())


@pytest.fixture(scope="session")
def model_parts(converted):
    """(state dict, config, vocab.json path) of the genuine model, to make damaged runs from."""
    import torch

    folder, _ = converted
    saved = torch.load(folder / "model.pth", weights_only=True)
    return saved["model"], saved["config"], folder / "vocab.json"


@pytest.fixture(scope="session")
def spoken_demo(shared_folder):
    """(folder, exit status, what it said) of `demo`: a training run of the model that speaks, and the main job on it."""
    import contextlib
    import io

    from verify.cli import main

    def make(folder: Path) -> Path:
        said_to_people = io.StringIO()
        with contextlib.redirect_stderr(said_to_people), contextlib.redirect_stdout(io.StringIO()):
            code = main.main(["demo", "-o", str(folder / "demo")])
        (folder / "outcome.json").write_text(json.dumps([code, said_to_people.getvalue()]))
        return folder

    folder = made_once(shared_folder, "spoken", make)
    return folder / "demo", *json.loads((folder / "outcome.json").read_text())


@pytest.fixture(scope="session")
def plain_run(model_parts, shared_folder) -> Path:
    """The checkpoint that `make_run` copies where nothing in it is to be changed."""

    def write(folder: Path) -> Path:
        state, config, _ = model_parts
        save_trained({f"xtts.{key}": value for key, value in state.items()}, config, folder / "best_model_7.pth")
        return folder / "best_model_7.pth"

    return made_once(shared_folder, "plain_run", write)


def save_trained(state: dict, config: dict, path: Path) -> None:
    """Write a checkpoint as the trainer does."""
    import torch

    torch.save({"model": state, "config": config, "step": 7, "epoch": 1, "date": "today", "model_loss": 1.5}, path)


@pytest.fixture
def make_run(model_parts, plain_run, tmp_path):
    """Write a run folder whose checkpoint is the genuine one with `change(state)` and `change_config(config)` applied."""
    import copy

    def make(change=None, change_config=None, name="best_model_7.pth", vocab=True) -> Path:
        state, config, vocab_path = model_parts
        state, config = {f"xtts.{key}": value for key, value in state.items()}, copy.deepcopy(config)
        state = (change(state) or state) if change else state
        if change_config:
            change_config(config)
        run = tmp_path / "run"
        run.mkdir(exist_ok=True)
        if change or change_config:
            save_trained(state, config, run / name)
        else:
            shutil.copyfile(plain_run, run / name)
        (run / "config.json").write_text(json.dumps(config))
        if vocab:
            shutil.copyfile(vocab_path, run / "vocab.json")
        return run

    return make
