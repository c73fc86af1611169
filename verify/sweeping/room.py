"""How many workers this machine has room for: cores, memory, GPUs."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

from verify.plan import Plan

IMPORTED_BYTES = 900_000_000  # of a process that has imported coqui-tts and the judge's models: 0.73 GB measured
FLOAT_BYTES = 4  # weights are float32 when they speak
SPEAKING_SHARE = 1.25  # of the weights, what speaking needs: 1.13 measured for one sentence at the real size
_COUNT = "import torch; print(torch.cuda.device_count())"
_CGROUP = Path("/sys/fs/cgroup")


def worker_bytes(plans: Iterable[Plan]) -> int:
    """Return the memory that a worker needs for the largest of the models, in bytes."""
    largest = max(sum(record.elements for record in plan.ledger.written.values()) for plan in plans)
    return int(IMPORTED_BYTES + FLOAT_BYTES * SPEAKING_SHARE * largest)


def jobs(tasks: int, threads: int, needed_bytes: int, gpus: int) -> int:
    """Return how many workers to run at a time: no more than tasks, cores, memory and GPUs allow, and at least one.

    Args:
        gpus: how many there are to speak on; 0 means that the CPU speaks.
    """
    by_memory = available_bytes() // needed_bytes
    return max(1, min(tasks, by_memory, gpus or cores() // threads))


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_bytes() -> int:
    """Return the memory that can be had without swapping, in this container where it is one."""
    available = psutil.virtual_memory().available
    try:
        limit, used = (int((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        pairs = (line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        cached = next(
            int(value) for name, value in pairs if name == "inactive_file"
        )  # files read once: given up at need
    except (OSError, ValueError, StopIteration):  # no container, or one without a limit
        return available
    return min(available, limit - used + cached)


def gpus(device: str) -> tuple[str, ...]:
    """Return the names of the GPUs that a worker each may have; none where the CPU speaks or one device was named.

    Asked of torch in a process of its own, as this one needs no torch for the rest of its life.
    """
    if device not in ("auto", "cuda"):
        return ()
    done = subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True, check=False)
    count = int(done.stdout) if done.returncode == 0 and done.stdout.strip().isdigit() else 0
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(visible[:count] if visible else map(str, range(count)))
