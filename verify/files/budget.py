"""Limits on the seconds and requests that reading from a server may take, for a URL and the files beside it together."""

import threading
from dataclasses import dataclass, field

from verify.errors import DOWNLOAD_HINT, SourceError, counted
from verify.files.protocols import Address

GRACE_SECONDS = 60.0  # for all answers together, beside what their bytes may take
SLOWEST_BYTES_PER_SECOND = 50_000  # 1.8 GB take ten hours at this rate
MOST_REQUESTS = 100_000  # a checkpoint of the real size takes 230


def allowed_seconds(size: int) -> float:
    """Return how long answers of so many bytes may take."""
    return GRACE_SECONDS + size / SLOWEST_BYTES_PER_SECOND


@dataclass(slots=True)
class Budget:
    """What reading one URL and the files beside it has cost so far; `hosts` are those of redirects."""

    asked_bytes: int = 0
    requests: int = 0
    seconds: float = 0.0  # in which answers were waited for
    hosts: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def grant(self, path: Address, size: int) -> float:
        """Count a request of `size` bytes, and return the seconds that it may take.

        Raises:
            SourceError: earlier requests used up the time or the number of requests.
        """
        with self._lock:
            self.asked_bytes += size
            self.requests += 1
            seconds_left = allowed_seconds(self.asked_bytes) - self.seconds
        if seconds_left <= 0 or self.requests > MOST_REQUESTS:
            raise self.too_slow(path)
        return seconds_left

    def spend(self, seconds: float) -> None:
        """Count the time that an answer took."""
        with self._lock:
            self.seconds += seconds

    def too_slow(self, path: Address) -> SourceError:
        """Return the error for a server that would keep us waiting; asking it once more would not help."""
        return SourceError(
            "remote-unreachable",
            f"{path} cannot be read: {self.asked_bytes:,} bytes in {counted(self.requests, 'request')} took more than "
            f"{allowed_seconds(self.asked_bytes):.0f} s",
            DOWNLOAD_HINT,
        )
