"""What the terminal shows: text and no markup, bars on terminals only, sizes in decimal units."""

import io

from rich.console import Console

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
