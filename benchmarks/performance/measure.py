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
    root: Path | None = None  # of the code that runs; None means that of today
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_mb: float = 0.0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def take(self, figures: "Figures") -> None:
        """Add what one run took."""
        self.seconds.append(float(figures.out.split()[-1]) if self.prints else figures.seconds)
        self.cpu_seconds.append(figures.cpu_seconds)
        self.peak_mb = max(self.peak_mb, figures.peak_mb)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one process took, and what it printed."""

    seconds: float
    cpu_seconds: float  # of all its threads, in the kernel too
    peak_mb: float
    out: str


def python(script: str, *arguments: object) -> list[str]:
    return [PYTHON, "-c", script, *map(str, arguments)]


def ours(*arguments: object, root: Path = ROOT) -> list[str]:
    return [PYTHON, str(root / "convert_and_verify.py"), *map(str, arguments)]


# Each command is started by a small process: the peak memory of a child is at least the size of its parent.
LAUNCH = """
import os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as file:
    cpu = usage.ru_utime + usage.ru_stime
    print(time.perf_counter() - began, cpu, usage.ru_maxrss / 1000, os.waitstatus_to_exitcode(status), file=file)
"""


def run(command: list[str], root: Path | None = None) -> Figures:
    """Run one process, with the modules in `root`, and return what it took."""
    # Our modules may be compiled, as pip compiles those of the others; if they are not, the first round does it.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(root or ROOT)
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures"
        done = subprocess.run(
            [PYTHON, "-I", "-S", "-c", LAUNCH, str(figures), *command],
            capture_output=True, encoding="utf-8", env=environment, cwd=root or ROOT,
        )  # fmt: skip
        seconds, cpu_seconds, peak_mb, code = map(float, figures.read_text().split())
    if code not in (0, 1) or "Traceback" in done.stderr:  # 1: a sample of untrained weights is no speech
        raise SystemExit(f"failed: {' '.join(command)[:300]}\n{done.stderr[-2000:]}")
    return Figures(seconds=seconds, cpu_seconds=cpu_seconds, peak_mb=peak_mb, out=done.stdout)


def measure(routes: Mapping[str, Route], rounds: int, before: Callable[[], None] = lambda: None) -> None:
    """Run every route once a round, in turn, so that a slow moment of the machine affects all of them."""
    for number in range(rounds):
        for name, route in routes.items():
            clear(route)
            before()
            sync()
            figures = run(route.command, route.root)
            route.take(figures)
            taken = f"{route.seconds[-1]:.2f} s, {figures.cpu_seconds:.2f} s of the cores, {figures.peak_mb:.0f} MB"
            print(f"round {number + 1}: {name}: {taken}", file=sys.stderr)
    for route in routes.values():
        clear(route)


def clear(route: Route) -> None:
    for path in route.leaves:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def sync() -> None:
    """Bring all writes to the disk, so that those of one route are not flushed during the next."""
    if hasattr(os, "sync"):
        os.sync()


def can_drop_caches() -> bool:
    return os.access(DROP, os.W_OK)


def drop_caches() -> None:
    """Empty the page cache, so that the next read comes from the disk."""
    os.sync()
    DROP.write_text("3")


def times(ratio: float) -> str:
    """Return how many times as long something takes, as a fraction where it is shorter."""
    return f"{ratio:.1f}x" if ratio > 0.95 else f"1/{1 / ratio:.1f}"


def table(
    routes: Mapping[str, Route],
    against: str,
    cold: Mapping[str, Route] | None = None,
    floors: Mapping[str, float] | None = None,
) -> str:
    """Return a Markdown table: median and range, the ratio to the route named `against`, the processor's seconds, the peak memory.

    Args:
        floors: seconds that nothing could be faster than, by route, as far as they are known.
    """
    heads = ["route", "median s", "range s", f"against {against}", "processor s", "peak MB"]
    heads += ["floor, s"] * bool(floors) + ["cold cache, s"] * bool(cold)
    rows = [heads, ["---"] * len(heads)]
    for name, route in routes.items():
        row = [
            name,
            f"{route.median:.2f}",
            f"{min(route.seconds):.2f} to {max(route.seconds):.2f}",
            times(route.median / routes[against].median),
            f"{statistics.median(route.cpu_seconds):.2f}",
            f"{route.peak_mb:,.0f}",
        ]
        if floors:
            row.append(f"{floors[name]:.2f}" if name in floors else "")
        if cold:
            row.append(f"{cold[name].median:.2f}" if name in cold else "")
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
