"""How often the interval of a mean difference holds the true one: `python -m benchmarks.intervals`.

Draws differences whose mean is known, of a symmetric and of a lopsided kind, and counts. The table is in docs/compare.md.
"""

import sys

import numpy as np
from scipy import stats

from verify.results.paired import interval

COUNTS = (6, 8, 12, 20, 40)
KINDS = {
    "normal": lambda draw, count: draw.normal(size=count),
    "lopsided": lambda draw, count: draw.exponential(size=count) - 1,
}


def plain(values: list[float]) -> tuple[float, float]:
    """Return the percentile bootstrap's interval as it comes."""
    found = stats.bootstrap((np.asarray(values),), np.mean, method="percentile", rng=np.random.default_rng(0))
    return found.confidence_interval


def main(times: int) -> None:
    """Print a table of the share of intervals that hold the true mean."""
    draw = np.random.default_rng(11)
    print("| takes | kind | widened | plain |\n|---|---|---|---|")
    for count in COUNTS:
        for kind, of in KINDS.items():
            samples = [of(draw, count).tolist() for _ in range(times)]
            shares = [np.mean([low <= 0 <= high for low, high in map(way, samples)]) for way in (interval, plain)]
            print(f"| {count} | {kind} | {shares[0]:.1%} | {shares[1]:.1%} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
