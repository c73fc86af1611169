"""What nothing can be faster than on the machine at hand: the disk, one core's SHA-256, memory, an import. Each is measured by itself."""

import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.performance.measure import Route, measure, python
from verify.files.local import CHUNK_BYTES, crc32

START, IMPORT = "import numpy, rich.console", "import TTS.tts.models.xtts"
LARGE = 2**28  # elements, which no cache holds


@dataclass(frozen=True, kw_only=True)
class Floors:
    """Seconds that the parts of the work take by themselves, with the page cache warm."""

    disk: float  # cp of the output, and its fsync
    read: float  # the output read in pieces, one thread
    crc: float  # CRC-32 of the output, one core
    sha: float  # SHA-256 of the output, one core
    python: float  # Python starts
    start: float  # Python starts with NumPy and rich
    imports: float  # Python starts and imports coqui-tts
    gigabytes_a_second: float  # that all cores read from memory

    @property
    def convert(self) -> float:
        """The disk or the hash, whichever takes longer; they can go side by side."""
        return self.start + max(self.disk, self.sha)

    @property
    def halves(self) -> float:
        """Half of what is written and hashed, or all that is read and checked."""
        return self.start + max(self.disk / 2, self.sha / 2, self.read + self.crc)

    @property
    def job(self) -> float:
        """The import, beside which the file can be written, and what is written read again and compared."""
        return max(self.imports, self.convert) + self.read

    def rows(self) -> str:
        """Return the floors as a Markdown table."""
        named = {
            "cp of the output and fsync": f"{self.disk:.2f} s",
            "the output read, one thread": f"{self.read:.2f} s",
            "CRC-32 of the output, one core": f"{self.crc:.2f} s",
            "SHA-256 of the output, one core": f"{self.sha:.2f} s",
            "Python starts": f"{self.python:.2f} s",
            "Python starts, with NumPy and rich": f"{self.start:.2f} s",
            f"`{IMPORT}`": f"{self.imports:.2f} s",
            f"memory, read by {os.cpu_count()} cores": f"{self.gigabytes_a_second:.1f} GB/s",
        }
        return "\n".join(
            ["| floor | median |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in named.items())]
        )


def measured(output: Path, cp: Route, rounds: int) -> Floors:
    """Measure every floor, in turn."""
    names = {"python": "pass", "start": START, "imports": IMPORT}
    routes = {"disk": cp, **{name: Route(command=python(script)) for name, script in names.items()}}
    measure(routes, rounds)
    piece = np.random.default_rng(0).bytes(CHUNK_BYTES)
    pieces = output.stat().st_size // CHUNK_BYTES
    works: dict[str, Callable[[], object]] = {
        "read": lambda: _read(output),
        "crc": lambda: [crc32(piece) for _ in range(pieces)],
        "sha": lambda: [digest.update(piece) for digest in [hashlib.sha256()] for _ in range(pieces)],
    }
    seconds = {name: float(np.median([_seconds(work) for _ in range(rounds)])) for name, work in works.items()}
    taken = {name: route.median for name, route in routes.items()}
    return Floors(**taken, **seconds, gigabytes_a_second=_bandwidth(rounds))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _read(path: Path) -> None:
    buffer = bytearray(CHUNK_BYTES)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def _bandwidth(rounds: int) -> float:
    """Return how many GB a second all cores together read from memory."""
    halves = np.array_split(np.ones(LARGE, np.float32), os.cpu_count() or 1)
    with ThreadPoolExecutor(len(halves)) as pool:
        seconds = [_seconds(lambda: list(pool.map(np.sum, halves))) for _ in range(rounds)]
    return 4 * LARGE / 1e9 / float(np.median(seconds))
