"""Measure the code of an earlier commit against that of today: `python -m benchmarks.against COMMIT RUN`.

The earlier code stands in a git worktree for as long as it is measured. Every round runs both in turn, the one that begins
changing, so that a slow moment of the machine meets both; ratios are those of the medians.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.performance.measure import ROOT, Route, clear, ours, run, sync

COMMANDS = {
    "convert": ("--no-verify", "-o", "OUT"),
    "convert, float16": ("--no-verify", "--dtype", "float16", "-o", "OUT"),
    "convert, bfloat16": ("--no-verify", "--dtype", "bfloat16", "-o", "OUT"),
    "convert, safetensors": ("--no-verify", "--format", "safetensors", "-o", "OUT"),
    "inspect": ("inspect",),
    "load": ("verify", "--no-sample"),
    "main job": ("--no-sample", "-o", "OUT"),
}


def routes(code: Path, source: Path, model: Path, out: Path) -> dict[str, Route]:
    """Return each command by the code in a folder: `load` takes a converted model, the others the training checkpoint."""
    found = {}
    for name, words in COMMANDS.items():
        verb = [word for word in words if word in ("inspect", "verify")]
        options = [out if word == "OUT" else word for word in words if word not in verb]
        command = ours(*verb, model if verb == ["verify"] else source, *options, root=code)
        found[name] = Route(command=command, leaves=(out,), root=code)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against", description=__doc__)
    parser.add_argument("commit")
    parser.add_argument("source", type=Path, metavar="RUN", help="a run folder or a training checkpoint")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", choices=COMMANDS, help="repeatable; all without it")
    args = parser.parse_args()
    source = args.source.resolve()
    with tempfile.TemporaryDirectory(dir=source.parent) as name:
        folder = Path(name)
        then = folder / "then"
        subprocess.run(["git", "worktree", "add", "--detach", then, args.commit], cwd=ROOT, check=True)
        try:
            measure(then, source, folder, args.rounds, args.only or list(COMMANDS))
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", then], cwd=ROOT, check=True)


def measure(then: Path, source: Path, folder: Path, rounds: int, names: list[str]) -> None:
    """Print the table of the commands, a row as soon as it is known."""
    model = folder / "model"
    if "load" in names:
        run(ours(source, "--no-verify", "-o", model))
    both = [routes(code, source, model, folder / "out") for code in (then, ROOT)]
    print("| command | wall s, then | now | ratio | processor s, then | now | ratio | peak MB, then | now |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for name in names:
        pair = [found[name] for found in both]
        for number in range(rounds + 1):  # the first compiles modules and warms the page cache
            for route in pair if number % 2 else reversed(pair):
                clear(route)
                sync()
                figures = run(route.command, route.root)
                if number:
                    route.take(figures)
                print(
                    f"{name}, round {number}: {figures.seconds:.2f} s, {figures.cpu_seconds:.2f} s of the cores",
                    file=sys.stderr,
                )
        for route in pair:
            clear(route)
        cells = [f"{value:.2f}" for figures in ("seconds", "cpu_seconds") for value in compared(pair, figures)]
        print(f"| {name} | {' | '.join(cells)} | {' | '.join(f'{route.peak_mb:,.0f}' for route in pair)} |", flush=True)


def compared(pair: list[Route], figures: str) -> tuple[float, float, float]:
    """Return the medians of both and how many times as long the code of today takes."""
    then, now = (statistics.median(getattr(route, figures)) for route in pair)
    return then, now, now / then


if __name__ == "__main__":
    main()
