"""Worker processes on this machine: each imports once and takes one task after another; one that dies costs one task."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import psutil
from tqdm import tqdm

from verify.errors import Cause
from verify.plan import Plan
from verify.sweeping.run_task import run_task
from verify.sweeping.task import Outcome, Task

_PATIENCE_SECONDS = 0.5  # waits are short, so that Ctrl-C is heard on Windows too
_GOODBYE_SECONDS = 5.0
# Read when numpy and torch are imported; torch's own number is set again by the worker.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def run_tasks(tasks: Sequence[Task], environments: Sequence[Mapping[str, str]]) -> Iterator[tuple[int, Outcome]]:
    """Yield the number of each task with its outcome, as they are done.

    Args:
        environments: the environment variables of each worker, as many as may work at a time.
    """
    waiting, free = deque(enumerate(tasks)), deque(environments)
    idle: list[_Worker] = []
    busy: dict[Any, tuple[_Worker, int]] = {}
    try:
        while waiting or busy:
            while waiting and (idle or free):
                worker = idle.pop() if idle else _Worker(free.popleft())
                number, task = waiting.popleft()
                busy[worker.connection] = (worker, number)
                worker.give(task)
            for connection in wait(list(busy), timeout=_PATIENCE_SECONDS):
                worker, number = busy.pop(connection)
                outcome, lives = worker.take()
                if lives and not tasks[number].ends_worker:
                    idle.append(worker)
                else:
                    worker.end()
                    free.append(worker.environment)
                yield number, outcome
    finally:
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            worker.end()


def environment_of(threads: int, gpu: str | None) -> dict[str, str]:
    """Return the environment variables of a worker: how many threads it has, and the one GPU that it sees."""
    variables = {name: str(threads) for name in _THREAD_VARIABLES}
    return variables if gpu is None else {**variables, "CUDA_VISIBLE_DEVICES": gpu}


class _Worker:
    """A process of its own, started afresh and not forked, as CUDA and threads ask."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        self.environment = environment
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="sweep worker", daemon=True)
        with _environment(environment):
            self._process.start()
        theirs.close()  # so that the pipe ends when the process does

    def give(self, task: Task) -> None:
        """Hand a task over; one who is dead already is found so when the outcome is taken."""
        with contextlib.suppress(OSError):
            self.connection.send(task)

    def take(self) -> tuple[Outcome, bool]:
        """Return the outcome, and whether the worker lives on."""
        try:
            return self.connection.recv(), True
        except (EOFError, OSError):
            self._process.join(_GOODBYE_SECONDS)
            return Outcome(cause=died(_ending(self._process.exitcode))), False

    def end(self) -> None:
        """End the process, whatever it is doing: all that it has is in its memory."""
        self.connection.close()
        self._process.kill()
        self._process.join(_GOODBYE_SECONDS)


def died(how: str) -> Cause:
    """Return the cause for a checkpoint whose worker did not live to tell how it went; it is tried again another time."""
    return Cause(
        code="worker-died",
        severity="error",
        message=f"the process that worked on it {how}",
        hint="If it was SIGKILL, memory ran out: pass a smaller --jobs. Run again: what is finished is not done twice.",
    )


def _ending(code: int | None) -> str:
    """Return in words how a process ended."""
    if code is None or code >= 0:
        return f"ended with status {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Have the variables set for a process that is started in the block."""
    kept = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection) -> None:
    """Take tasks until there are no more; Ctrl-C is for the process that started this one, without which it ends too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tqdm.set_lock(
        threading.RLock()
    )  # its own, a semaphore of the system, would be left behind by a process that is killed
    with contextlib.suppress(EOFError, OSError):
        while True:
            connection.send(run_task(connection.recv()))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


IMPORTED_BYTES = 900_000_000  # of a process that has imported coqui-tts and the judge's models: 0.73 GB measured
FLOAT_BYTES = 4  # weights are float32 when they speak
SPEAKING_SHARE = 1.25  # of the weights, what speaking needs: 1.13 measured for one sentence at the real size
_COUNT = "import torch; print(torch.cuda.device_count())"
_CGROUP = Path("/sys/fs/cgroup")


def worker_bytes(plans: Iterable[Plan]) -> int:
    """Return the memory that a worker needs for the largest of the models, in bytes."""
    largest = max(sum(record.elements for record in plan.ledger.written.values()) for plan in plans)
    return int(IMPORTED_BYTES + FLOAT_BYTES * SPEAKING_SHARE * largest)


def job_count(tasks: int, threads: int, needed_bytes: int, gpus: int) -> int:
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


def gpus_for(device: str) -> tuple[str, ...]:
    """Return the names of the GPUs that a worker each may have; none where the CPU speaks or one device was named.

    Asked of torch in a process of its own, as this one needs no torch for the rest of its life.
    """
    if device not in ("auto", "cuda"):
        return ()
    done = subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True, check=False)
    count = int(done.stdout) if done.returncode == 0 and done.stdout.strip().isdigit() else 0
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(visible[:count] if visible else map(str, range(count)))
