"""A process that may do little: few open files, little memory, no columns. A message, the right status, nothing left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import seeds
from tests.support.helpers import ROOT

posix = pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")


@pytest.fixture
def run(tmp_path) -> Path:
    return seeds.run_folder(tmp_path / "in" / "run")


def limited(run: Path, *options: str, limit: tuple[str, int] | None = None, **environment: str):
    """Convert in a process of its own under a limit."""

    def restrict():
        import resource

        number = getattr(resource, limit[0])
        resource.setrlimit(number, (limit[1], limit[1]))

    command = [sys.executable, str(ROOT / "convert_and_verify.py"), str(run), "-o", str(run.parent.parent / "out")]
    return subprocess.run(
        [*command, *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
        preexec_fn=restrict if limit else None,
    )


@posix
@pytest.mark.parametrize("files", [5, 6, 7])
def test_few_open_files(run, tmp_path, files):
    done = limited(run, "--no-verify", limit=("RLIMIT_NOFILE", files))
    assert done.returncode == (0 if (tmp_path / "out").exists() else 2), done.stderr
    assert "[internal]" not in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@posix
@pytest.mark.parametrize("megabytes", [60, 80, 100, 120, 150])
def test_little_memory(run, tmp_path, megabytes):
    done = limited(run, "--no-verify", limit=("RLIMIT_AS", megabytes * 2**20))
    assert done.returncode == 2, done.stderr
    assert "out-of-memory" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@posix
def test_inspect_needs_less_memory(run):
    from verify.cli.limits import LEAST_BYTES

    command = [sys.executable, "-c", f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({LEAST_BYTES // 2},) * 2)\nfrom verify.cli import main\nprint(main.main(['inspect', {str(run)!r}]))"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.strip() == "1", done.stderr  # the tiny model lacks much, which is what it says
    assert "missing-keys" in done.stderr


def test_no_columns_is_no_reason_to_say_nothing(run):
    done = limited(run, "--no-verify", COLUMNS="0")
    assert done.returncode == 0
    assert "not-verified" in done.stderr


@posix
def test_a_folder_whose_name_moves_the_cursor_is_printed_raw_to_a_program_and_never_to_a_terminal(run, tmp_path):
    import pty

    folder = tmp_path / "a\x1b]0;title\x07b"
    command = [sys.executable, str(ROOT / "convert_and_verify.py"), str(run), "-o", str(folder), "--no-verify", "--force", "--quiet"]  # fmt: skip
    piped = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert piped.stdout == f"{folder}\n"
    ours, theirs = pty.openpty()
    subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, check=True, cwd=ROOT)
    os.close(theirs)
    shown = os.read(ours, 2**16)
    os.close(ours)
    assert b"\x1b" not in shown
    assert b"title" in shown
