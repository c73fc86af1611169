"""Run the tasks of a sweep on a Ray cluster: one per checkpoint, retried where its node is lost."""

import contextlib
import logging
import os
import re
import socket
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

from verify.errors import EnvironmentFault
from verify.sweeping.run_task import run_task
from verify.sweeping.task import Outcome, Task
from verify.sweeping.workers import died, environment_of

RETRIES = 3  # of a task whose worker or node was lost
_POLL_SECONDS = 0.5
_CONNECT_SECONDS = 10.0


def run(tasks: Sequence[Task], address: str, needed_bytes: int) -> Iterator[tuple[int, Outcome]]:
    """Yield the number of each task with its outcome, as they finish on the cluster.

    Args:
        address: as `ray.init` takes it: `auto`, `HOST:PORT` or `ray://HOST:PORT`.
        needed_bytes: memory of one task.

    Raises:
        EnvironmentFault: Ray is not installed, or there is no cluster at the address.
    """
    with _connected(address) as ray:
        remote = ray.remote(**_options(ray, tasks[0], needed_bytes))(run_task)
        numbers = {remote.remote(task): number for number, task in enumerate(tasks)}
        try:
            while numbers:
                ready, _ = ray.wait(list(numbers), timeout=_POLL_SECONDS)
                for reference in ready:
                    yield numbers.pop(reference), _outcome(ray, reference)
        finally:
            for reference in numbers:
                ray.cancel(reference, force=True)


def _outcome(ray: Any, reference: Any) -> Outcome:
    """Return the outcome of a task, or the cause why there is none after all retries."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        reason = str(error).strip().partition("\n")[0][:300]
        return Outcome(cause=died(f"was lost {RETRIES + 1} times on the cluster ({type(error).__name__}: {reason})"))


def _options(ray: Any, task: Task, needed_bytes: int) -> dict[str, Any]:
    """Return the resources that a task needs: its threads, its memory, and one GPU where the cluster has any.

    Raises:
        EnvironmentFault: no node has enough processors.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    largest = {name: max((node.get(name, 0) for node in nodes), default=0) for name in ("CPU", "GPU", "memory")}
    if largest["CPU"] < task.threads:
        raise EnvironmentFault(
            "no-cluster",
            f"--threads {task.threads}: the largest node of the cluster has {largest['CPU']:g} processors",
            "Pass a smaller --threads.",
        )
    on_gpu = largest["GPU"] >= 1 and task.plan.job.device in ("auto", "cuda")
    return {
        "num_cpus": task.threads,
        "num_gpus": int(on_gpu),
        "memory": min(needed_bytes, int(largest["memory"])),
        "max_retries": RETRIES,
        "runtime_env": {"env_vars": environment_of(task.threads, None)},
    }


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Yield the `ray` module, connected to the cluster until the block ends.

    Raises:
        EnvironmentFault: Ray is not installed, or there is no cluster at the address.
    """
    if find_spec("ray") is None:
        raise EnvironmentFault(
            "missing-package", "--ray needs ray, which is not installed", 'pip install "xtts-verify[cluster]"'
        )
    _require_listener(address)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # no usage reports to the makers of Ray
    import ray

    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise _no_cluster(address, error) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _require_listener(address: str) -> None:
    """Check that a server listens at the address: Ray itself would try for ten minutes.

    Raises:
        EnvironmentFault: there is none.
    """
    match = re.fullmatch(r"(?:ray://)?(.+):(\d{1,5})", address)
    if not match:
        return
    try:
        socket.create_connection((match[1].strip("[]"), int(match[2])), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: Exception) -> EnvironmentFault:
    return EnvironmentFault(
        "no-cluster",
        f"--ray {address}: {str(error).strip().partition(chr(10))[0][:300] or type(error).__name__}",
        "Pass the address that `ray start` told, such as HOST:6379, `auto` on a node of the cluster, or leave --ray out.",
    )
