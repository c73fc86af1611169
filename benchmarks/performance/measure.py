"""Run commands in turn, each in a process of its own, and keep the wall time, the time on the cores and the peak memory."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = sys.executable
DROP = Path("/proc/sys/vm/drop_caches")


@dataclass(kw_only=True)
class Route:
    """One way to do the work that is measured."""

    command: list[str]
    prints: bool = False  # whether it prints its own seconds, without imports, as its last word
    leaves: tuple[Path, ...] = ()  # its output, removed before each round
    seconds: list[float] = field(default_factory=list)
    peak_mb: float = 0.0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def python(script: str, *arguments: object) -> list[str]:
    return [PYTHON, "-c", script, *map(str, arguments)]


def ours(*arguments: object) -> list[str]:
    return [PYTHON, str(ROOT / "convert_and_verify.py"), *map(str, arguments)]


# Each command is started by a small process: the peak memory of a child is at least the size of its parent.
LAUNCH = """
import os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as file:
    print(time.perf_counter() - began, usage.ru_maxrss / 1000, os.waitstatus_to_exitcode(status), file=file)
"""


def run(command: list[str]) -> tuple[float, float, str]:
    """Return (wall seconds, peak resident memory in MB, stdout) of one process."""
    # Our modules may be compiled, as pip compiles those of the others; if they are not, the first round does it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures"
        done = subprocess.run(
            [PYTHON, "-I", "-S", "-c", LAUNCH, str(figures), *command],
            capture_output=True, encoding="utf-8", env=environment, cwd=ROOT,
        )  # fmt: skip
        wall, peak_mb, code = map(float, figures.read_text().split())
    if code not in (0, 1) or "Traceback" in done.stderr:  # 1: a sample of untrained weights is no speech
        raise SystemExit(f"failed: {' '.join(command)[:300]}\n{done.stderr[-2000:]}")
    return wall, peak_mb, done.stdout


def measure(routes: Mapping[str, Route], rounds: int, before: Callable[[], None] = lambda: None) -> None:
    """Run every route once a round, in turn, so that a slow moment of the machine affects all of them."""
    for number in range(rounds):
        for name, route in routes.items():
            clear(route)
            before()
            if hasattr(os, "sync"):
                os.sync()  # so that the writes of one route are not flushed during the next
            wall, memory, out = run(route.command)
            route.seconds.append(float(out.split()[-1]) if route.prints else wall)
            route.peak_mb = max(route.peak_mb, memory)
            print(f"round {number + 1}: {name}: {route.seconds[-1]:.2f} s, {memory:.0f} MB", file=sys.stderr)
    for route in routes.values():
        clear(route)


def clear(route: Route) -> None:
    for path in route.leaves:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def can_drop_caches() -> bool:
    return os.access(DROP, os.W_OK)


def drop_caches() -> None:
    """Empty the page cache, so that the next read comes from the disk."""
    os.sync()
    DROP.write_text("3")


def times(ratio: float) -> str:
    """Return how many times as long something takes, as a fraction where it is shorter."""
    return f"{ratio:.1f}x" if ratio > 0.95 else f"1/{1 / ratio:.1f}"


def table(routes: Mapping[str, Route], floor: str, cold: Mapping[str, Route] | None = None) -> str:
    """Return a Markdown table: median and range, the ratio to the route named `floor`, the peak memory."""
    heads = ["route", "median s", "range s", f"against {floor}", "peak MB"] + (["cold cache, s"] if cold else [])
    rows = [heads, ["---"] * len(heads)]
    for name, route in routes.items():
        spread = f"{min(route.seconds):.2f} to {max(route.seconds):.2f}"
        row = [
            name,
            f"{route.median:.2f}",
            spread,
            times(route.median / routes[floor].median),
            f"{route.peak_mb:,.0f}",
        ]
        rows.append(row + ([f"{cold[name].median:.2f}" if name in cold else ""] if cold else []))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
