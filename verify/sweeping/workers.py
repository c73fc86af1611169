"""Worker processes on this machine: each imports once and runs one task after another; a crash costs one task."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import psutil
from tqdm import tqdm

from verify.errors import Cause
from verify.plan import Plan
from verify.sweeping.run_task import run_task
from verify.sweeping.task import Outcome, Task

_POLL_SECONDS = 0.5  # waits are short, so that Ctrl-C works on Windows too
_JOIN_SECONDS = 5.0
# numpy and torch read these on import; the worker also calls torch.set_num_threads.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def run_tasks(
    tasks: Sequence[Task], environments: Sequence[Mapping[str, str]], progress: Callable[[int], object] = lambda _: None
) -> Iterator[tuple[int, Outcome]]:
    """Yield the number of each task with its outcome, as they finish.

    Args:
        environments: the environment variables of each worker; their number is that of the workers.
        progress: is called with 0 now and then, so that who watches can stop the work.
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
                worker.send(task)
            progress(0)
            for connection in wait(list(busy), timeout=_POLL_SECONDS):
                worker, number = busy.pop(connection)
                outcome, is_alive = worker.receive()
                if is_alive:
                    idle.append(worker)
                else:
                    worker.end()
                    free.append(worker.environment)
                yield number, outcome
    finally:
        for worker in [*idle, *(worker for worker, _ in busy.values())]:
            worker.end()


def environment_of(threads: int, gpu: str | None) -> dict[str, str]:
    """Return the environment variables of a worker: its number of threads and the one GPU that it sees."""
    variables = {name: str(threads) for name in _THREAD_VARIABLES}
    return variables if gpu is None else {**variables, "CUDA_VISIBLE_DEVICES": gpu}


class _Worker:
    """A spawned worker process; CUDA and threads do not survive a fork."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("spawn")
        self.environment = environment
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), name="sweep worker", daemon=True)
        with _environment(environment):
            self._process.start()
        theirs.close()  # so that the pipe ends when the process does

    def send(self, task: Task) -> None:
        """Send a task to the worker; a worker that is dead already is noticed in `receive`."""
        with contextlib.suppress(OSError):
            self.connection.send(task)

    def receive(self) -> tuple[Outcome, bool]:
        """Return the outcome, and whether the worker is still alive."""
        try:
            return self.connection.recv(), True
        except (EOFError, OSError):
            self._process.join(_JOIN_SECONDS)
            return Outcome(cause=died(_ending(self._process.exitcode))), False

    def end(self) -> None:
        """Kill the process, whatever it is doing."""
        self.connection.close()
        self._process.kill()
        self._process.join(_JOIN_SECONDS)


def died(how: str) -> Cause:
    """Return the cause for a checkpoint whose worker died; a later sweep tries it again."""
    return Cause(
        code="worker-died",
        severity="error",
        message=f"the process that worked on it {how}",
        hint="If it was SIGKILL, memory ran out: pass a smaller --jobs. Run again: what is finished is not done twice.",
    )


def _ending(code: int | None) -> str:
    """Return in words how the process ended."""
    if code is None or code >= 0:
        return f"ended with status {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables while a process is started in the block."""
    previous = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in previous.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection) -> None:
    """Run tasks until the connection closes; ignore Ctrl-C, which the parent handles, and end with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tqdm.set_lock(
        threading.RLock()
    )  # tqdm's default lock is a system semaphore, which a killed process would leave behind
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
SPEAKING_SHARE = 1.25  # memory for speaking per memory of the weights: 1.13 measured for one sentence at the real size
_COUNT = "import torch; print(torch.cuda.device_count())"
_CGROUP = Path("/sys/fs/cgroup")


def worker_bytes(plans: Iterable[Plan]) -> int:
    """Return the memory that a worker needs for the largest of the models, in bytes."""
    largest = max(sum(record.elements for record in plan.ledger.written.values()) for plan in plans)
    return int(IMPORTED_BYTES + FLOAT_BYTES * SPEAKING_SHARE * largest)


def job_count(tasks: int, threads: int, needed_bytes: int, gpus: int) -> int:
    """Return how many workers to run at a time: no more than tasks, cores, memory and GPUs allow, and at least one.

    Args:
        gpus: the number of GPUs to use; 0 means the CPU.
    """
    by_memory = available_bytes() // needed_bytes
    return max(1, min(tasks, by_memory, gpus or cores() // threads))


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_bytes() -> int:
    """Return the memory that is available without swapping, within the limit of this container if there is one."""
    available = psutil.virtual_memory().available
    try:
        limit, used = (int((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        pairs = (line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        cached = next(int(value) for name, value in pairs if name == "inactive_file")  # cached files, freed on demand
    except (OSError, ValueError, StopIteration):  # no container, or one without a limit
        return available
    return min(available, limit - used + cached)


def gpus_for(device: str) -> tuple[str, ...]:
    """Return the names of the GPUs, for one worker each; none on the CPU, or where one device was requested.

    A child process asks torch, so that this process does not have to import it.
    """
    if device not in ("auto", "cuda"):
        return ()
    done = subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True, check=False)
    count = int(done.stdout) if done.returncode == 0 and done.stdout.strip().isdigit() else 0
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(visible[:count] if visible else map(str, range(count)))
