"""The curves of a sweep over the steps of the training, one line a run, as SVG: what a person asks first, then every figure."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from verify.errors import counted
from verify.results.criteria import FAILED_CHECKS, Criterion, figure_of
from verify.results.swept import SweptCheckpoint, losses
from verify.results.trend import Trend

WIDTH_INCHES, ROW_INCHES, TALL_INCHES, COLUMNS = 10.0, 2.3, 3.0, 2
STEPS_SHOWN = 5  # at least, of those that count: noise must not fill a panel
MARKERS, LINES = "osD^vPX*", ("-", "--", "-.", ":")  # runs are told apart without colour too
INKS = {"light": "#1d1b20", "dark": "#ececee"}
COLOURS = {
    "light": ("#0b57d0", "#b3410e", "#146c2e", "#7a1fa2", "#6b4700", "#00696f"),
    "dark": ("#8ab4f8", "#ffb59a", "#8be0a4", "#e0b0ff", "#f5cf6b", "#7fe3ea"),
}

Draw = Callable[[Any, Mapping[str, Sequence[SweptCheckpoint]], str], None]


def drawable(checkpoints: Sequence[SweptCheckpoint]) -> list[SweptCheckpoint]:
    """Return those that have a place on the curve: they spoke, and the file says after how many steps."""
    return sorted(
        (checkpoint for checkpoint in checkpoints if checkpoint.samples and checkpoint.step is not None),
        key=lambda checkpoint: checkpoint.step or 0,
    )


def words(checkpoints: Sequence[SweptCheckpoint], names: Sequence[str]) -> str:
    """Return in words what the curve shows."""
    steps = [checkpoint.step or 0 for checkpoint in checkpoints]
    return f"{', '.join(names)} of {counted(len(steps), 'checkpoint')}, step {min(steps):,} to {max(steps):,}"


def quality(ranking: Sequence[Criterion]) -> Criterion | None:
    """Return the figure that is drawn for how good it sounds: the most important one that is measured and not counted."""
    return next((criterion for criterion in ranking if criterion.name != FAILED_CHECKS), None)


def draw_questions(
    checkpoints: Sequence[SweptCheckpoint],
    ranking: Sequence[Criterion],
    trends: Sequence[Trend],
    theme: str,
    is_narrow: bool = False,
) -> bytes:
    """Return as SVG how good it sounds and how the losses went: whether it still gets better, and whether it overfits.

    Args:
        checkpoints: by step; see `drawable`.
        ranking: the criteria that were measured.
        is_narrow: for a phone, one picture above the other.
    """
    panels: list[Draw] = []
    if shown := quality([criterion for criterion in ranking if not criterion.name.endswith("loss")]):
        panels.append(lambda axis, runs, theme: _heard(axis, shown, runs, trends, theme))
    if any(losses(checkpoint.found["loss"]) for checkpoint in checkpoints):
        panels.append(_losses)
    return _drawn(panels, checkpoints, theme, TALL_INCHES, 1 if is_narrow else COLUMNS)


def draw(checkpoints: Sequence[SweptCheckpoint], ranking: Sequence[Criterion], theme: str) -> bytes:
    """Return every figure as SVG without a background, in the ink of a light or dark page.

    Args:
        checkpoints: by step; see `drawable`.
        ranking: what ranked them; each gets a panel.
    """
    panels: list[Draw] = [
        lambda axis, runs, theme, panel=panel: _panel(axis, panel, runs, theme)  # type: ignore[misc]
        for panel in ranking
        if {*_values(checkpoints, panel)} - {None}
    ]
    return _drawn(panels, checkpoints, theme, ROW_INCHES, COLUMNS)


def _drawn(
    panels: Sequence[Draw], checkpoints: Sequence[SweptCheckpoint], theme: str, row_inches: float, most_columns: int
) -> bytes:
    from matplotlib import rc_context  # takes a third of a second, so only where a page is written
    from matplotlib.figure import Figure

    runs: dict[str, list[SweptCheckpoint]] = {}
    for checkpoint in checkpoints:
        runs.setdefault(checkpoint.run, []).append(checkpoint)
    rows, columns = -(-len(panels) // most_columns) or 1, min(most_columns, len(panels)) or 1
    parts = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    look: Any = {**dict.fromkeys(parts, INKS[theme]), "svg.fonttype": "none", "svg.hashsalt": "sweep", "font.size": 9}
    with rc_context(look):
        picture = Figure(figsize=(WIDTH_INCHES * most_columns / COLUMNS, row_inches * rows), layout="constrained")
        axes = list(picture.subplots(rows, columns, sharex=True, squeeze=False).flat)
        for axis, panel in zip(axes, panels, strict=False):
            panel(axis, runs, theme)
            _dressed(axis)
        for axis in axes[len(panels) :]:
            axis.set_visible(False)
        for axis in axes[max(0, len(panels) - columns) : len(panels)]:
            axis.set_xlabel("step")
            axis.tick_params(labelbottom=True)
        if len(runs) > 1:
            picture.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", frameon=False)
        buffer = io.BytesIO()
        picture.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _dressed(axis: Any) -> None:
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _lines(
    runs: Mapping[str, Sequence[SweptCheckpoint]], theme: str
) -> Iterator[tuple[str, Sequence[SweptCheckpoint], dict[str, Any]]]:
    """Yield each run with the look of its line."""
    colours = COLOURS[theme]
    for number, (run, checkpoints) in enumerate(runs.items()):
        look = {"color": colours[number % len(colours)], "linestyle": LINES[number % len(LINES)]}
        yield run, checkpoints, {**look, "marker": MARKERS[number % len(MARKERS)]}


def _heard(
    axis: Any, panel: Criterion, runs: Mapping[str, Sequence[SweptCheckpoint]], trends: Sequence[Trend], theme: str
) -> None:
    """Draw how good it sounds: the median as a line, each take as a point, and where the last was held against another."""
    for run, checkpoints, look in _lines(runs, theme):
        steps = [checkpoint.step for checkpoint in checkpoints]
        axis.plot(steps, _with_gaps(_values(checkpoints, panel)), label=_plain(run), **look)
        takes = [
            (checkpoint.step, value)
            for checkpoint in checkpoints
            for sample in checkpoint.samples
            if (value := figure_of(sample, panel.name)) is not None
        ]
        axis.plot(*zip(*takes, strict=True), ".", color=look["color"], alpha=0.35) if takes else None
    for trend in trends:
        axis.axvline(trend.best_step, color=INKS[theme], alpha=0.4, linewidth=0.8)
    axis.set_title(f"Is it still getting better? {panel.name}, {panel.better} is better", loc="left", fontsize=10)
    _least_span(axis, panel)


def _losses(axis: Any, runs: Mapping[str, Sequence[SweptCheckpoint]], theme: str) -> None:
    """Draw the losses: the eval loss, of what was not trained on, as a full line, the train loss as a faint one."""
    drawn = set()
    for run, checkpoints, look in _lines(runs, theme):
        for name, weight in (("eval loss", 1.0), ("train loss", 0.45), ("loss", 1.0)):
            values = [losses(checkpoint.found["loss"]).get(name) for checkpoint in checkpoints]
            if {*values} - {None}:
                drawn.add(name)
                steps = [checkpoint.step for checkpoint in checkpoints]
                axis.plot(steps, _with_gaps(values), label=_plain(run), alpha=weight, **look)
                at = max(place for place, value in enumerate(values) if value is not None)
                axis.annotate(name, (steps[at], values[at]), xytext=(4, 4), textcoords="offset points", ha="right")
    sign = " (eval loss up, train loss down)" if len(drawn) > 1 else ""
    axis.set_title(f"Did it overfit?{sign}", loc="left", fontsize=10)


def _panel(axis: Any, panel: Criterion, runs: Mapping[str, Sequence[SweptCheckpoint]], theme: str) -> None:
    """Draw one figure over the steps, a line for each run; where a figure is missing, the line has a gap."""
    for run, checkpoints, look in _lines(runs, theme):
        steps = [checkpoint.step for checkpoint in checkpoints]
        axis.plot(steps, _with_gaps(_values(checkpoints, panel)), label=_plain(run), **look)
    axis.set_title(f"{panel.name} ({panel.better} is better)", loc="left", fontsize=10)
    _least_span(axis, panel)


def _least_span(axis: Any, panel: Criterion) -> None:
    axis.yaxis.get_major_locator().set_params(integer=panel.step >= 1)
    low, high = axis.get_ylim()
    middle, half = (low + high) / 2, max(high - low, STEPS_SHOWN * panel.step) / 2
    axis.set_ylim(middle - half, middle + half)


def _values(checkpoints: Sequence[SweptCheckpoint], panel: Criterion) -> list[float | None]:
    return [checkpoint.figures[panel.name] for checkpoint in checkpoints]


def _with_gaps(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _plain(name: str) -> str:
    """Return a name that matplotlib takes for no formula and does not hide."""
    shown = "".join(char if char.isprintable() else "\ufffd" for char in name)
    return (shown if len(shown) <= 80 else f"…{shown[-79:]}").replace("$", r"\$").lstrip("_") or "?"
