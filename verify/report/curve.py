"""The curve of a sweep: loss and the judge's figures over the steps of the training, one line a run, as SVG."""

import io
from collections.abc import Sequence
from typing import Any

from verify.errors import counted
from verify.results.sweep import Criterion, SweptCheckpoint

WIDTH_INCHES, ROW_INCHES, COLUMNS = 10.0, 2.3, 2
STEPS_SHOWN = 5  # at least, of those that count: noise must not fill a panel
MARKERS, LINES = "osD^vPX*", ("-", "--", "-.", ":")  # runs are told apart without colour too
INKS = {"light": "#1d1b20", "dark": "#ececee"}
COLOURS = {
    "light": ("#0b57d0", "#b3410e", "#146c2e", "#7a1fa2", "#6b4700", "#00696f"),
    "dark": ("#8ab4f8", "#ffb59a", "#8be0a4", "#e0b0ff", "#f5cf6b", "#7fe3ea"),
}


def drawable(checkpoints: Sequence[SweptCheckpoint]) -> list[SweptCheckpoint]:
    """Return those that have a place on the curve: they spoke, and the file says after how many steps."""
    return sorted(
        (checkpoint for checkpoint in checkpoints if checkpoint.samples and checkpoint.found["step"] is not None),
        key=lambda checkpoint: checkpoint.found["step"],
    )


def words(checkpoints: Sequence[SweptCheckpoint], ranking: Sequence[Criterion]) -> str:
    """Return in words what the curve shows."""
    steps = [checkpoint.found["step"] for checkpoint in checkpoints]
    names = ", ".join(criterion.name for criterion in ranking)
    return f"{names} of {counted(len(steps), 'checkpoint')}, step {min(steps):,} to {max(steps):,}"


def draw(checkpoints: Sequence[SweptCheckpoint], ranking: Sequence[Criterion], theme: str) -> bytes:
    """Return the curve as SVG without a background, in the ink of a light or dark page.

    Args:
        checkpoints: by step; see `drawable`.
        ranking: what ranked them; each gets a panel.
    """
    from matplotlib import rc_context  # takes a third of a second, so only where a page is written
    from matplotlib.figure import Figure

    runs: dict[str, list[SweptCheckpoint]] = {}
    for checkpoint in checkpoints:
        runs.setdefault(checkpoint.run, []).append(checkpoint)
    panels = [panel for panel in ranking if {*_values(checkpoints, panel)} - {None}]
    rows = -(-len(panels) // COLUMNS)
    ink = INKS[theme]
    parts = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    look: Any = {**dict.fromkeys(parts, ink), "svg.fonttype": "none", "svg.hashsalt": "sweep", "font.size": 9}
    with rc_context(look):
        picture = Figure(figsize=(WIDTH_INCHES, ROW_INCHES * rows), layout="constrained")
        axes = list(picture.subplots(rows, COLUMNS, sharex=True, squeeze=False).flat)
        for axis, panel in zip(axes, panels, strict=False):
            _panel(axis, panel, runs, theme)
        for axis in axes[len(panels) :]:
            axis.set_visible(False)
        for axis in axes[max(0, len(panels) - COLUMNS) : len(panels)]:
            axis.set_xlabel("step")
            axis.tick_params(labelbottom=True)
        if len(runs) > 1:
            picture.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", frameon=False)
        buffer = io.BytesIO()
        picture.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _panel(axis: Any, panel: Criterion, runs: dict[str, list[SweptCheckpoint]], theme: str) -> None:
    """Draw one figure over the steps, a line for each run; where a figure is missing, the line has a gap."""
    for number, (run, checkpoints) in enumerate(runs.items()):
        colours = COLOURS[theme]
        axis.plot(
            [checkpoint.found["step"] for checkpoint in checkpoints],
            [float("nan") if value is None else value for value in _values(checkpoints, panel)],
            color=colours[number % len(colours)],
            linestyle=LINES[number % len(LINES)],
            marker=MARKERS[number % len(MARKERS)],
            label=_plain(run),
        )
    axis.set_title(f"{panel.name} ({panel.better} is better)", loc="left", fontsize=10)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.yaxis.get_major_locator().set_params(integer=panel.step >= 1)
    low, high = axis.get_ylim()
    middle, half = (low + high) / 2, max(high - low, STEPS_SHOWN * panel.step) / 2
    axis.set_ylim(middle - half, middle + half)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _values(checkpoints: Sequence[SweptCheckpoint], panel: Criterion) -> list[float | None]:
    return [checkpoint.figures[panel.name] for checkpoint in checkpoints]


def _plain(name: str) -> str:
    """Return a name that matplotlib takes for no formula and does not hide."""
    shown = "".join(char if char.isprintable() else "\ufffd" for char in name)
    return (shown if len(shown) <= 80 else f"…{shown[-79:]}").replace("$", r"\$").lstrip("_") or "?"
