"""Draw the measurements as SVG, with text as text."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot

pyplot.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "xtts-verify",
        "figure.constrained_layout.use": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)
INK, OTHER = "#1f6feb", "#8c959f"


def save(figure, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def bars(path: Path, title: str, unit: str, values: Mapping[str, float], ours: Sequence[str]) -> None:
    """Draw one bar a route, ours in colour."""
    figure, axes = pyplot.subplots(figsize=(8, 0.42 * len(values) + 1))
    colours = [INK if name in ours else OTHER for name in values]
    drawn = axes.barh(list(values), list(values.values()), color=colours)
    axes.bar_label(drawn, fmt="%.2f", padding=3)
    axes.invert_yaxis()
    axes.set(title=title, xlabel=unit)
    save(figure, path)


def sizes(
    path: Path, gigabytes: Sequence[float], seconds: Mapping[str, Sequence[float]], peaks: Sequence[float]
) -> None:
    """Draw seconds and peak memory against the size of the checkpoint."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.6))
    for name, values in seconds.items():
        left.plot(
            gigabytes[: len(values)], values, marker="o", label=name, color=None if name != "this project" else INK
        )
    left.set(title="time", xlabel="checkpoint, GB", ylabel="seconds", ylim=(0, None), xlim=(0, None))
    left.legend(frameon=False)
    right.plot(gigabytes, peaks, marker="o", color=INK)
    right.set(
        title="peak memory of this project",
        xlabel="checkpoint, GB",
        ylabel="MB",
        ylim=(0, max(peaks) * 1.3),
        xlim=(0, None),
    )
    save(figure, path)


def steps(path: Path, title: str, seconds: Mapping[str, float]) -> None:
    """Draw the steps of a run one behind the other."""
    figure, axes = pyplot.subplots(figsize=(9, 0.34 * len(seconds) + 1))
    start = 0.0
    for row, length in enumerate(seconds.values()):
        axes.barh(row, length, left=start, color=INK)
        axes.text(start + length, row, f" {length:.2f} s", va="center")
        start += length
    axes.set_yticks(range(len(seconds)), list(seconds))
    axes.invert_yaxis()
    axes.set(title=title, xlabel="seconds", xlim=(0, start * 1.12))
    save(figure, path)
