"""What people see where they are: a dumb terminal, a colourful one, a narrow one, a pipe, an old Windows console."""

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests.support.helpers import ROOT, save_tiny
from verify.cli import streams

COLOUR = re.compile(r"\x1b\[(?:\d+;)*3[0-7]m")
needs_pty = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")


def environment(**settings: str) -> dict[str, str]:
    of_terminals = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "PYTHONIOENCODING", "PYTHONUTF8"}
    return {name: value for name, value in os.environ.items() if name not in of_terminals} | settings


def run(*words, **settings: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, str(ROOT / "convert_and_verify.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, env=environment(**settings))


def on_a_terminal(*words, columns: int = 100, **settings: str) -> str:
    """Return what the command writes to stderr where that is a terminal."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, str(ROOT / "convert_and_verify.py"), *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=environment(**settings))
    os.close(theirs)
    output = b""
    try:
        while piece := os.read(ours, 65536):
            output += piece
    except OSError:  # how Linux says that the other end was closed
        pass
    os.close(ours)
    process.wait()
    return output.decode("utf-8").replace("\r\n", "\n")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A run with a cause and a hint to tell, an arrow before it."""
    return save_tiny(tmp_path_factory.mktemp("run") / "best_model_3.pth").parent


def words_of(text: str) -> str:
    """Return the text with its colours and all white space taken away."""
    return re.sub(r"\s+|\x1b\[[\d;]*m", "", text)


@needs_pty
def test_a_dumb_terminal_gets_no_control_characters(source):
    output = on_a_terminal("inspect", source, TERM="dumb")
    assert "verdict:" in output
    assert [char for char in output if not char.isprintable() and char != "\n"] == []


@needs_pty
def test_a_terminal_with_colours_gets_them_unless_no_color_is_set(source):
    assert COLOUR.search(on_a_terminal("inspect", source, TERM="xterm-256color"))
    assert not COLOUR.search(on_a_terminal("inspect", source, TERM="xterm-256color", NO_COLOR="1"))


def test_a_pipe_gets_colours_only_where_they_are_forced(source):
    assert b"\x1b" not in run("inspect", source).stderr
    assert COLOUR.search(run("inspect", source, FORCE_COLOR="1", TERM="xterm").stderr.decode())


@needs_pty
@pytest.mark.parametrize("words", [("inspect",), ("explain",)])
def test_forty_columns_hold_every_word_that_a_wide_terminal_shows(source, words, tmp_path):
    (tmp_path / "error.txt").write_text(
        'RuntimeError: Error(s) in loading state_dict for Xtts:\n\tMissing key(s) in state_dict: "gpt.gpt.wte.weight".\n'
        "\tsize mismatch for gpt.text_embedding.weight: copying a param with shape torch.Size([6681, 1024]) from "
        "checkpoint, the shape in current model is torch.Size([6153, 1024]).\n"
    )
    about = source if words == ("inspect",) else tmp_path / "error.txt"
    narrow = on_a_terminal(*words, about, columns=40, TERM="dumb")
    wide = on_a_terminal(*words, about, columns=400, TERM="dumb")
    assert max(map(len, narrow.splitlines())) <= 40
    assert "…" not in narrow
    seconds = re.compile(r"\d+\.\ds")
    # A table's cells stand beside each other, so only the words are the same, not their order.
    assert sorted(seconds.sub("", words_of(narrow))) == sorted(seconds.sub("", words_of(wide)))


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii", "utf-8"])
def test_an_arrow_is_readable_in_every_code_page(source, encoding):
    done = run("inspect", source, PYTHONIOENCODING=encoding)
    output = done.stderr.decode(encoding)
    assert done.returncode in (0, 1)
    assert ("  → " if encoding == "utf-8" else "  -> ") in output
    assert "\\u" not in output


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii"])
def test_help_and_completion_can_be_written_in_every_code_page(encoding):
    for words in (["--help"], ["convert", "--help"], ["judge", "--help"], ["--print-completion", "powershell"]):
        done = run(*words, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, b""), done.stderr


@pytest.mark.parametrize(("options", "seen"), [([], 0), (["default"], 1)])
def test_warnings_of_other_packages_are_shown_only_where_python_was_asked_for_them(options, seen, monkeypatch):
    monkeypatch.setattr(sys, "warnoptions", options)
    monkeypatch.setenv("PYTHONWARNINGS", "")  # put back afterwards
    monkeypatch.delenv("PYTHONWARNINGS")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        streams.hush_warnings()
        warnings.warn("`weight_norm` is deprecated", FutureWarning, stacklevel=1)
    assert len(caught) == seen
    assert os.environ.get("PYTHONWARNINGS") == (None if seen else "ignore")


def test_every_sign_of_ours_has_plain_letters():
    from verify.cli.streams import _PLAIN

    ours = {
        char
        for path in (ROOT / "verify").rglob("*.py")
        for char in path.read_text(encoding="utf-8")
        if not char.isascii()
    }
    assert ours <= _PLAIN.keys()
    assert all(text.isascii() for text in _PLAIN.values())


@pytest.mark.skipif(sys.platform == "win32", reason="file names are no bytes there")
def test_the_path_of_the_result_is_printed_as_its_bytes_where_stdout_has_no_such_letters(genuine_run, tmp_path):
    target = tmp_path / "größer–ł"
    done = run("convert", genuine_run, "--no-verify", "-o", target, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip(b"\n") == os.fsencode(target)
    assert (target / "model.pth").is_file()
