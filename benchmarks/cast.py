"""Measure a core's casts to half precision, with what they cost in accuracy, beside NumPy's own: `python -m benchmarks.cast`."""

import time
from functools import partial

import numpy as np

from verify.conversion import cast

ELEMENTS, CHUNKS, ROUNDS = 2**17, 16, 5  # of a chunk; the model has as many numbers as 3,516 chunks
MODEL = 460_900_000


def seconds(function) -> float:
    """Return the least processor time of several rounds, scaled to all numbers of an XTTS v2."""
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        function()
        taken.append(time.process_time() - began)
    return min(taken) * MODEL / (ELEMENTS * CHUNKS)


def main() -> None:
    drawn = np.random.default_rng(0).standard_normal((CHUNKS, ELEMENTS)).astype(np.float32) * np.float32(0.02)
    chunks, scratch = [memoryview(row.tobytes()) for row in drawn], cast.Scratch(ELEMENTS, "float32")

    def cast_all(dtype: str) -> None:
        for chunk in chunks:
            cast._cast_chunk(chunk, "float32", dtype, scratch, cast.Loss())

    print("| 461 million numbers | processor s |\n| --- | --- |")
    for dtype in ("float16", "bfloat16"):
        print(f"| {dtype}, with what it cost | {seconds(partial(cast_all, dtype)):.2f} |")
    print(f"| float16 by NumPy, without | {seconds(lambda: [row.astype(np.float16) for row in drawn]):.2f} |")


if __name__ == "__main__":
    main()
