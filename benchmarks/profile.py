"""Say where the processor's time of the main job goes: `python -m benchmarks.profile RUN` prints steps and imports.

Processor seconds, in the kernel too, hardly change where other programs run beside; those of the wall do.
"""

import argparse
import contextlib
import importlib._bootstrap as bootstrap  # type: ignore[import-not-found]
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from verify import api, progress

MOST = 25  # imports that are listed
steps: dict[str, tuple[float, float]] = {}  # seconds of all threads, and of the one that does the step
imports: Counter[str] = Counter()  # seconds of each module with all that it imports first
_timed, _load = progress.timed, bootstrap._find_and_load


@contextlib.contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Time a step as ever, and take the processor's time too."""
    process, thread = time.process_time(), time.thread_time()
    with _timed(seconds, name):
        yield
    before = steps.get(name, (0.0, 0.0))
    steps[name] = before[0] + time.process_time() - process, before[1] + time.thread_time() - thread


def find_and_load(name: str, import_: Any) -> Any:
    """Import a module as ever, and take the time of the thread that does it."""
    if name in sys.modules:
        return _load(name, import_)
    began = time.thread_time()
    try:
        return _load(name, import_)
    finally:
        imports[name] += time.thread_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("source", type=Path, metavar="RUN")
    args = parser.parse_args()
    progress.timed, bootstrap._find_and_load = timed, find_and_load
    with tempfile.TemporaryDirectory(dir=args.source.resolve().parent) as folder:
        began = time.perf_counter()
        api.convert(args.source, output=Path(folder) / "out", sample=False)
        wall = time.perf_counter() - began
    print("| step of the main job, without a sample | processor s, all threads | its own thread |\n| --- | --- | --- |")
    for name, (process, thread) in steps.items():
        print(f"| {name} | {process:.2f} | {thread:.2f} |")
    print(f"| all, in {wall:.2f} s | {time.process_time():.2f} | |\n")
    print("| import, with all that it imports first | processor s |\n| --- | --- |")
    for name, seconds in imports.most_common(MOST):
        print(f"| `{name}` | {seconds:.2f} |")


if __name__ == "__main__":
    main()
