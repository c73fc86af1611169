"""What a model says beside the speaker's own recordings, for a terminal: one line, or a table of every figure."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verify.errors import counted
from verify.findings import GapFigure, HeldOutResult
from verify.report.screen import say, table
from verify.report.words import check_state, gap_limit, number, printable, signed

MOST_SHORT = 3  # figures that fall short, named in the line


def show(held_out: HeldOutResult, demanded: frozenset[str], screen: Console, has_details: bool) -> None:
    """Print how the model stands to the recordings; with details, every figure."""
    say(printable(line(held_out)), screen)
    if has_details:
        screen.print(_table(held_out, demanded))


def line(held_out: HeldOutResult) -> str:
    """Return in one sentence how the model stands to the recordings."""
    asked = [figure for figure in held_out.figures if figure.ok is not None]
    short = [figure for figure in asked if not figure.ok]
    recordings = counted(len(held_out.recordings), "recording")
    perhaps = ", perhaps trained on" if held_out.trained_on else ""
    where = f"beside {recordings} of the speaker ({held_out.origin}{perhaps})"
    if not asked:
        return f"{where}: no figure could be held against theirs"
    if not short:
        return f"{where}: within the limit in all {counted(len(asked), 'gap')}; {told(asked[0])}"
    more = f" and {len(short) - MOST_SHORT} more" if len(short) > MOST_SHORT else ""
    return f"{where}: too far off in {len(short)} of {counted(len(asked), 'gap')}: {'; '.join(map(told, short[:MOST_SHORT]))}{more}"


def told(figure: GapFigure) -> str:
    """Return a figure beside the recordings': `DNSMOS overall 2.51, the recordings 3.38`."""
    return f"{figure.figure} {number(figure.model)}, the recordings {number(figure.recording)}"


def _table(held_out: HeldOutResult, demanded: frozenset[str]) -> Table:
    heads = ("model", "recordings", "gap", "allowed")
    rows = table("", "figure", *heads, "unit", right=heads, padding=(0, 2, 0, 2))
    for figure in held_out.figures:
        state = check_state(figure.ok, f"{figure.figure} gap" in demanded) if figure.ok is not None else None
        mark = Text(state.mark, state.colour) if state else Text("")
        gap = signed(figure.gap) if figure.gap_unit == figure.unit else f"{signed(figure.gap)} {figure.gap_unit}"
        rows.add_row(
            mark, figure.figure, number(figure.model), number(figure.recording), gap,
            gap_limit(figure.low, figure.high), figure.unit,
        )  # fmt: skip
    return rows
