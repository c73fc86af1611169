"""Shell completion, tried with the Tab key in a real bash, and its scripts for the other shells."""

import os
import re
import select
import shutil
import subprocess
import sys
import time

import pytest

from tests.support.helpers import ROOT
from verify.cli import parser


def script(shell: str) -> str:
    command = [sys.executable, str(ROOT / "convert_and_verify.py"), "--print-completion", shell]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    """Type words and Tab in an interactive bash that has read the script; return the line that it made of them."""
    if not shutil.which("bash") or sys.platform == "win32":
        pytest.skip("no bash with a terminal here")
    import pty

    folder = tmp_path_factory.mktemp("bash")
    (folder / "runs" / "XTTS_FT-November-23").mkdir(parents=True)
    (folder / "vocab.json").write_text("{}")
    (folder / "complete.sh").write_text(script("bash"))
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.environ |= {"PS1": "$ ", "TERM": "dumb", "INPUTRC": os.devnull, "HISTFILE": ""}
        os.execlp("bash", "bash", "--norc", "--noprofile", "-i")

    def read(until: str, seconds: float = 10) -> str:
        text, end = "", time.monotonic() + seconds
        while until not in text and time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                text += os.read(terminal, 65536).decode(errors="replace")
        return text

    def complete(words: str) -> str:
        # Ctrl-A and Ctrl-E put `echo` around the line, which then shows how it stands after Tab.
        os.write(terminal, f"{words}\t\x01echo '<\x05>'\n".encode())
        line = read(">\r\n")
        return re.findall(r"<(.*?)>\r?\n", line)[-1]

    os.write(terminal, b"source complete.sh; echo 'rea''dy'\n")
    assert "ready" in read("ready\r\n")
    yield complete
    os.write(terminal, b"exit\n")
    os.close(terminal)
    os.waitpid(process, 0)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("xtts-verify insp", "xtts-verify inspect "),
        ("xtts-verify inspect ru", "xtts-verify inspect runs/"),
        ("xtts-verify inspect runs/X", "xtts-verify inspect runs/XTTS_FT-November-23/"),
        ("xtts-verify ru", "xtts-verify runs/"),  # the main job needs no name
        ("xtts-verify runs --speaker-", "xtts-verify runs --speaker-wav "),
        ("xtts-verify verify runs --expect so", "xtts-verify verify runs --expect sound "),
        ("xtts-verify convert runs --language zh", "xtts-verify convert runs --language zh-cn "),
        ("xtts-verify convert runs --vocab vo", "xtts-verify convert runs --vocab vocab.json "),
        ("xtts-verify judge --quie", "xtts-verify judge --quiet "),
    ],
)
def test_tab_completes_in_bash(bash, typed, completed):
    assert bash(typed) == completed


@pytest.mark.parametrize("shell", parser.SHELLS)
def test_each_script_names_every_command_and_the_options(shell):
    text = script(shell)
    for word in (*parser.COMMANDS, "speaker-wav", "config-from-weights", "xtts-verify"):
        assert word in text, word


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_the_shell_itself_can_read_its_script(shell, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"no {shell} on this machine")
    (tmp_path / "script").write_text(script(shell))
    subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)
