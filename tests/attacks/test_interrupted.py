"""Bad moments: killed, interrupted, two at once. The old output stays whole, the next run cleans up and succeeds."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.helpers import ROOT, save_tiny
from verify.errors import OutputError
from verify.files import staging

SCRIPT = str(ROOT / "convert_and_verify.py")
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def start(*arguments, **options) -> subprocess.Popen:
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def hear_every_signal() -> None:
    """Undo what `nohup` did to the tests themselves, for the program that they start."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@posix
def test_e6_killed_anywhere_the_old_output_is_whole_and_the_next_run_cleans_up(genuine_run, tmp_path):
    out = tmp_path / "out"
    assert start(genuine_run, "-o", out, "--no-verify").wait() == 0
    whole = (out / "model.pth").read_bytes()
    began = time.perf_counter()
    assert start(genuine_run, "-o", out, "--no-verify", "--force").wait() == 0
    usual = time.perf_counter() - began
    generator = random.Random(0)
    killed = 0
    for _ in range(5):
        process = start(genuine_run, "-o", out, "--no-verify", "--force")
        time.sleep(generator.uniform(0.1, usual))
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        if out.exists():  # between the two renames of a replacement it has no name for a moment
            assert (out / "model.pth").read_bytes() == whole
        else:
            assert any(
                (left / "replaced" / "model.pth").read_bytes() == whole for left in tmp_path.glob(".out.staging-*")
            )
    assert killed > 1
    assert start(genuine_run, "-o", out, "--no-verify", "--force").wait() == 0
    assert names(tmp_path) == ["out"]
    assert (out / "model.pth").read_bytes() == whole


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_e6_sixty_kills_leave_the_old_output_or_the_new_one_whole(tmp_path):
    """Each of them at another line, file event, rename or time; the loop asserts, this reads its counts."""
    command = [sys.executable, "-m", "tests.support.kill_loop", "--kills", "60"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["kills"] == 60
    for where in ("old", "new", "nothing", "between the renames"):
        assert seen[f"after: {where}"] > 1, seen


def test_e6_killed_between_two_renames_the_old_output_gets_its_name_back(tmp_path):
    left = tmp_path / ".out.staging-0123abcd"
    (left / "replaced").mkdir(parents=True)
    (left / "replaced" / "model.pth").write_text("old")
    (left / "files").mkdir()
    with staging.staging(tmp_path / "out"):
        assert (tmp_path / "out" / "model.pth").read_text() == "old"
    assert names(tmp_path) == ["out"]


@posix
@pytest.mark.parametrize("moment", [0.15, 1.0, 5.0])
def test_e7_ctrl_c_leaves_nothing(genuine_run, tmp_path, moment):
    process = start(genuine_run, "-o", tmp_path / "out", "--expect", "sound")
    time.sleep(moment)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    assert process.returncode == 130, err
    assert out == ""
    assert names(tmp_path) == []


@posix
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_e7_each_signal_that_asks_for_an_end_removes_the_staging_folder(genuine_run, tmp_path, name, code):
    """`docker stop` and `kill` send SIGTERM, a terminal that closes SIGHUP: neither may leave a folder of the model's size."""
    process = start(genuine_run, "-o", tmp_path / "out", "--expect", "sound", preexec_fn=hear_every_signal)
    while not list(tmp_path.glob(".out.staging-*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, ""), err
    assert "interrupted; nothing was left behind" in err
    assert names(tmp_path) == []


@posix
def test_e7_signals_that_were_switched_off_stay_off(genuine_run, tmp_path):
    """`nohup` switches SIGHUP off, and a shell SIGINT for what it runs in the background: such a run goes on."""

    def switch_off():
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    process = start(genuine_run, "-o", tmp_path / "out", "--no-verify", preexec_fn=switch_off)
    while process.poll() is None:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    assert process.returncode == 0, process.communicate()
    assert names(tmp_path) == ["out"]


def test_e9_two_runs_with_one_output(genuine_run, tmp_path):
    import torch

    outcomes = []
    for attempt in range(2):
        out = tmp_path / f"out{attempt}"
        runs = [start(genuine_run, "-o", out, "--no-verify") for _ in range(2)]
        outcomes.append(sorted(process.wait() for process in runs))
        assert names(out) == ["README.md", "config.json", "model.pth", "report.json", "vocab.json"]
        torch.load(out / "model.pth", weights_only=True, mmap=True)
    assert outcomes == [[0, 2]] * 2
    assert names(tmp_path) == ["out0", "out1"]


def test_a_second_run_is_told_that_the_first_is_writing(tmp_path):
    with (
        staging.staging(tmp_path / "out"),
        pytest.raises(OutputError, match="another run is writing"),
        staging.staging(tmp_path / "out"),
    ):
        pass
    assert names(tmp_path) == []


def test_a_name_taken_in_the_meantime_is_not_overwritten(tmp_path):
    with staging.staging(tmp_path / "out") as stage:
        (stage.folder / "model.pth").write_text("new")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "other").write_text("theirs")
        with pytest.raises(OutputError, match="could not be written"):
            staging.publish(stage, tmp_path / "out", replace=False)
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["other"]


def test_published_files_follow_the_umask(tmp_path):
    if os.name == "nt":
        pytest.skip("no umask on Windows")
    old = os.umask(0o022)
    try:
        with staging.staging(tmp_path / "out") as stage:
            (stage.folder / "model.pth").write_text("x")
            staging.publish(stage, tmp_path / "out", replace=False)
    finally:
        os.umask(old)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755


def test_no_verify_says_that_nothing_was_heard(genuine_run, tmp_path, capsys):
    from tests.support.helpers import run_cli

    code, out, err = run_cli(capsys, genuine_run, "-o", tmp_path / "out", "--no-verify")
    assert code == 0
    assert "neither loaded nor heard" in err
    assert out.strip() == str(tmp_path / "out")


def test_dry_run_writes_nothing(tmp_path, capsys):
    from tests.support.helpers import run_cli

    path = save_tiny(tmp_path / "x.pth")
    run_cli(capsys, path, "--dry-run")
    assert names(tmp_path) == ["x.pth"]
