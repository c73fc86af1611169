"""Commands that are printed: by the name that the program was called with, quoted for the shell at hand."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.test_house import ROOT
from verify import Job, shell
from verify.options import command

AWKWARD = [
    "plain",
    "a b",
    "it's",
    "a'b c",
    "C:\\my runs\\",
    "C:\\runs\\x",
    "50%",
    "a;b",
    "a,b",
    "(x)",
    "&",
    "größe",
    'say "hi"',
    "",
    "*",
]


@pytest.mark.parametrize("word", AWKWARD)
def test_a_posix_shell_reads_the_word_back(word):
    assert shlex.split(shell.quote(word)) == [word]


@pytest.mark.parametrize("word", AWKWARD)
def test_on_windows_a_word_has_no_single_quotes_and_the_program_reads_it_back(word, monkeypatch):
    monkeypatch.setattr(shell, "WINDOWS", True)
    quoted = shell.quote(word)
    assert not quoted.startswith("'")
    if quoted != word:
        assert (quoted[0], quoted[-1]) == ('"', '"')
        # The rule of Microsoft's C runtime, by which every program splits its command line.
        inner, read = quoted[1:-1], ""
        while inner:
            slashes = len(inner) - len(inner.lstrip("\\"))
            rest = inner[slashes:]
            if rest.startswith('"') or not rest:
                read += "\\" * (slashes // 2) + rest[:1]
                assert slashes % 2 == (1 if rest else 0)
            else:
                read += "\\" * slashes + rest[:1]
            inner = rest[1:]
        assert read == word
    else:
        assert not set(word) & set(" '\";,()&%*$`<>|^")


def test_the_same_again_is_quoted_for_windows(monkeypatch):
    monkeypatch.setattr(shell, "WINDOWS", True)
    job = Job(source="C:\\my runs\\x", texts=("It's late.",), vocab="v.json")
    assert command(job, "verify").endswith('verify "C:\\my runs\\x" --vocab v.json --text "It\'s late."')


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("/usr/bin/xtts-verify", "xtts-verify"),
        ("xtts-verify.exe", "xtts-verify"),
        ("convert_and_verify.py", "python convert_and_verify.py"),
        ("/home/me/my tools/convert_and_verify.py", 'python "/home/me/my tools/convert_and_verify.py"'),
        ("training.py", "python convert_and_verify.py"),  # of a checkout
        ("", "python convert_and_verify.py"),
    ],
)
def test_the_program_has_the_name_by_which_it_was_called(called, name, monkeypatch):
    monkeypatch.setattr(sys, "argv", [called])
    assert shell.program() == name


def test_an_installed_package_calls_itself_by_its_own_name(tmp_path):
    """What pip installs: the package without the script beside it, and a command that pip makes."""
    site = tmp_path / "site" / "verify"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "verify", site, ignore=ignored)
    for name in ("configs", "assets"):
        shutil.copytree(ROOT / name, site / name, ignore=ignored)
    command = tmp_path / "xtts-verify"
    command.write_text("from verify.cli.main import run\nrun()\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}

    def run(*words) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, str(command), *map(str, words)]
        return subprocess.run(line, capture_output=True, text=True, env=environment, cwd=tmp_path)

    shown = run("--help").stdout + run("convert", "--help").stdout + run("--frobnicate").stderr
    assert "usage: xtts-verify SOURCE [OPTIONS]" in shown
    assert "Help: xtts-verify convert --help" in shown
    assert "convert_and_verify" not in shown
    (tmp_path / "error.txt").write_text(
        'Error(s) in loading state_dict for Xtts:\n\tUnexpected key(s) in state_dict: "xtts.gpt.mel_embedding.weight".'
    )
    done = run("explain", "error.txt", "--json")
    hints = [cause["hint"] for cause in json.loads(done.stdout)["causes"]]
    assert any("xtts-verify RUN" in hint for hint in hints), hints


def test_no_command_that_is_printed_stands_in_single_quotes_which_cmd_hands_on_to_the_program():
    single = re.compile(r"(?:pip install|convert_and_verify\.py)[^\n\"]* '")
    places = [*(ROOT / "verify").rglob("*.py"), *(ROOT / "configs").rglob("*.toml"), ROOT / "docs" / "causes.md"]
    assert [path.name for path in places if single.search(path.read_text(encoding="utf-8"))] == []
