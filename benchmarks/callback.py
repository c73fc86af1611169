"""Measure how long the training callback delays a training: a small real training with every callback call timed.

python -m benchmarks.callback [EPOCHS]
"""

import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from tests.support.genuine_run import train
from verify import export_best


def timed(callback, seconds):
    """Return the callback with the seconds of each call appended to `seconds`."""

    def call(trainer):
        start = time.perf_counter()
        callback(trainer)
        seconds.append(time.perf_counter() - start)

    return call


def main() -> None:
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    sys.argv = sys.argv[:1]  # the trainer parses them too
    seconds_of = defaultdict(list)
    callbacks = export_best(keep=1, expect="sound", texts="so.")
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder), epochs, {name: timed(callback, seconds_of[name]) for name, callback in callbacks.items()})
    waited = seconds_of["on_epoch_end"].pop()  # the last epoch waits for the last exports
    for name, seconds in seconds_of.items():
        if seconds:
            median, longest = 1000 * statistics.median(seconds), 1000 * max(seconds)
            print(f"{name}: {len(seconds)} calls, median {median:.2f} ms, longest {longest:.0f} ms")
    print(f"waited at the end: {waited:.1f} s")


if __name__ == "__main__":
    main()
