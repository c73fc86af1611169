"""What the terminal shows: text and no markup, bars on terminals only, sizes in decimal units."""

import io
import json
import re

from rich.console import Console

from verify import shell
from verify.cli.main import main
from verify.errors import Cause
from verify.report import terminal
from verify.report.words import size


def test_brackets_in_names_are_text_and_not_markup():
    screen = Console(file=io.StringIO(), width=200, markup=False)
    terminal.show_cause(
        Cause(code="x", severity="error", message="[bold]/data/[en] run[/]\x1b[2J", hint="[red]"), screen
    )
    assert "[bold]/data/[en] run[/]\N{REPLACEMENT CHARACTER}[2J" in screen.file.getvalue()
    assert "\x1b" not in screen.file.getvalue()


def test_a_bar_shows_on_a_terminal_only():
    for is_terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=is_terminal, width=100)
        with terminal.TerminalWatch(console).step("writing", 100, "bytes") as progress:
            progress(50)
        assert ("writing" in console.file.getvalue()) == is_terminal


def test_sizes_are_decimal():
    assert [size(n) for n in (0, 999, 1000, 1_813_566_312)] == ["0 B", "999 B", "1.00 kB", "1.81 GB"]


def test_a_long_line_is_indented_where_it_goes_on_and_a_command_stays_whole():
    long = "a sentence that goes on " * 5
    shown = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=60)
    command = f"{shell.program()} verify out --text 'a text that goes on and on'"
    terminal.show_cause(Cause(code="x", severity="note", message=long, hint=command), shown)
    first, *further, hint = shown.file.getvalue().splitlines()
    assert first.startswith("note: a sentence")
    assert further
    assert all(line.startswith("    ") for line in further)
    assert " ".join(" ".join((first, *further)).split()) == f"note: {long.strip()} [x]"
    assert hint == f"  → {command}"
    log = Console(file=io.StringIO(), width=60)
    terminal.show_cause(Cause(code="x", severity="note", message=long), log)
    assert len(log.file.getvalue().splitlines()) == 1


# --- about eight lines, and all with details ---------------------------------------------------------------------------


def printed(capsys, *words):
    """Return the exit status and the lines that people see; the tests' width is that of a log."""
    code = main([str(word) for word in words])
    return code, [line for line in capsys.readouterr().err.splitlines() if line.strip()]


def test_a_pass_takes_about_eight_lines_and_ends_with_how_to_use_the_folder(genuine_run, tmp_path, capsys):
    out = tmp_path / "out"
    code, lines = printed(
        capsys, genuine_run, "-o", out, "--expect", "sound", "--text", "Zyxq."
    )  # no English word, so words cannot be checked
    assert code == 0
    assert len(lines) <= 10, lines
    verdict = next(place for place, line in enumerate(lines) if line.startswith("verdict: "))
    assert verdict == 2  # after the file and the load
    counts = r"\d+ of \d+ checks pass, all that --expect sound asks for"
    assert re.fullmatch(rf"verdict: (pass|warn), {counts}, in .* s", lines[verdict])
    assert len(lines[verdict]) <= 80
    assert any(line.startswith("said: “Zyxq.” (en, ") for line in lines)
    assert "words not checked: add --transcribe to hold what was said against the text" in lines
    assert lines[-2:] == [f"listen: {out}/report.html", f"use: TTS(model_path={str(out)!r}, config_path={str(out) + '/config.json'!r})"]  # fmt: skip


def test_a_fail_says_verdict_cause_and_next_step_at_once_and_no_check_that_passed(genuine_run, tmp_path, capsys):
    out = tmp_path / "out"
    code, lines = printed(capsys, genuine_run, "-o", out, "--text", "Hi.")
    assert code == 1
    assert len(lines) <= 11, lines
    assert re.match(r"verdict: fail, \d+ of \d+ checks pass", lines[2])
    assert lines[3].startswith("heard: ")
    assert lines[4].startswith("  → ")
    assert lines[5].startswith("  failed: ")
    assert not any("✓" in line for line in lines[2:])
    assert lines[-1] == f"It loads but sounds wrong: listen to {out}/report.html before you use it."


def test_details_show_every_check_and_what_became_of_the_tensors(genuine_run, tmp_path, capsys):
    out = tmp_path / "out"
    _, lines = printed(capsys, genuine_run, "-o", out, "--text", "Hi.", "--details")
    checks = json.loads((out / "report.json").read_text(encoding="utf-8"))["checks"]
    assert len(checks) > 25
    table = [line.split() for line in lines if line.startswith(("  ✓", "  ✗", "  –"))]
    assert [" ".join(row[1:]).startswith(check["name"]) for row, check in zip(table, checks, strict=True)] == [True] * len(checks)  # fmt: skip
    assert any("load_state_dict(strict=True)" in line for line in lines)
    assert any(line.startswith("dropped") for line in lines)


def test_without_verification_there_is_no_table(genuine_run, tmp_path, capsys):
    code, lines = printed(capsys, genuine_run, "-o", tmp_path / "out", "--no-verify")
    assert code == 0
    assert not any("measured" in line or "said: " in line or "words not checked" in line for line in lines)
    assert len(lines) <= 6, lines
