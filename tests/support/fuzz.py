"""Hold mutants of small valid files against the promises: exit status 0, 1 or 2 with a message, bounded time and memory.

    python -m tests.support.fuzz --mutants 100000 --seed 1          # the whole; prints the figures that stand in the docs
    python -m tests.support.fuzz --seed 1 --only 4711 --keep DIR    # one mutant again, its files written into DIR

Each mutant is read by `inspect --json` or converted by `--no-verify --json`, with `--keep-failed` every other time, in
this process and in turns.
"""

import argparse
import collections
import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support import mutate, seeds
from verify.cli import main as cli

MAX_SECONDS = 5.0
MAX_GROWTH_BYTES = 300e6
MAX_PEAK_BYTES = 300e6  # of a process of its own, Python included
MAX_PRINTED_CHARACTERS = 10_000
ASIDE = "/dev/shm" if os.path.isdir("/dev/shm") else None


class TooSlow(BaseException):
    """Ends a mutant that would run on; no `except Exception` catches it."""


@dataclass(frozen=True)
class Outcome:
    """What one mutant did; `complaint` is empty where every promise held."""

    number: int
    kind: str
    exit_code: int
    cause: str
    seconds: float
    growth_bytes: int
    complaint: str


def try_mutant(seed: int, number: int, folder: Path) -> Outcome:
    """Run one mutant in `folder`, which is emptied before."""
    kind, files = mutate.mutant(seed, number)
    shutil.rmtree(folder, ignore_errors=True)
    run = seeds.run_folder(folder / "run", **files)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    arguments = [str(run), "--no-verify", "-o", str(folder / "out"), "--json"]
    if number % 4 == 2:
        arguments.append("--keep-failed")  # so that what does not load is written all the same
    if number % 2:
        arguments = ["inspect", str(run), "--json"]
    done = measure(arguments)
    causes = [cause["code"] for cause in done.document.get("causes", ())]
    complaint = done.escaped or _complaint(done, causes, folder, before)
    if not complaint and (done.seconds > MAX_SECONDS or done.growth_bytes > MAX_GROWTH_BYTES):
        complaint = f"{done.seconds:.1f} s and {done.growth_bytes / 1e6:.0f} MB"
    return Outcome(number, kind, done.code, causes[0] if causes else "", done.seconds, done.growth_bytes, complaint)


@dataclass(frozen=True)
class Done:
    """One run of the command, in seconds of the processor; `escaped` is what came out in place of an exit status."""

    code: int
    document: dict
    err: str
    escaped: str
    seconds: float
    growth_bytes: int


def measure(arguments: list[str]) -> Done:
    """Run the command and measure the processor's time that it takes and the memory by which this process grows meanwhile.

    Seconds of the clock say on a busy machine how busy it is.
    """
    out, err, escaped, code = io.StringIO(), io.StringIO(), "", -1
    rss = _forget_peak()
    start = time.process_time()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = cli.main(arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            escaped = f"{type(error).__name__} came out: {error}"
    seconds, growth = time.process_time() - start, max(0, memory("VmHWM") - rss)
    return Done(code, _parsed(out.getvalue()), err.getvalue(), escaped, seconds, growth)


# Reads commands, a line each, and answers each with a line of figures; its memory is that of the program alone.
_MEASURING = """
import dataclasses, json, sys
from tests.support import fuzz
floor, answers = 0, sys.stdout
for line in sys.stdin:
    with fuzz.deadline(4 * fuzz.MAX_SECONDS):
        done = fuzz.measure(json.loads(line))
    floor = floor or fuzz.memory("VmRSS")
    print(json.dumps([dataclasses.asdict(done), floor + done.growth_bytes]), file=answers, flush=True)
"""


def measure_apart(commands: dict[str, list[str]], folder: Path) -> dict[str, tuple[Done, int]]:
    """Run the commands one after the other in a program of their own; return what each did, and its peak of memory in bytes.

    A harmless command goes first, so that the peak of each is what the program takes with all that it imports, and what
    this command adds. The first that does not come back ends the program, and is the last in the answer.
    """
    harmless = ["inspect", str(seeds.run_folder(folder / "harmless"))]
    lines = "".join(json.dumps(command) + "\n" for command in (harmless, *commands.values()))
    program = [sys.executable, "-c", _MEASURING]
    run = subprocess.run(program, input=lines, capture_output=True, text=True, check=False)
    answers = [json.loads(line) for line in run.stdout.splitlines()[1:]]
    done = {name: (Done(**figures), peak) for name, (figures, peak) in zip(commands, answers, strict=False)}
    for name in [*commands][len(done) : len(done) + 1]:
        done[name] = (Done(run.returncode, {}, run.stderr, f"no end: {run.stderr[-300:]}", 99, 0), 0)
    return done


def _parsed(out: str) -> dict:
    try:
        return json.loads(out)
    except ValueError:
        return {}


def _complaint(done: Done, causes: list[str], folder: Path, before: dict) -> str:
    """Return which promise was broken, or nothing."""
    code, err = done.code, done.err
    messages = [cause["message"] for cause in done.document.get("causes", ())]
    broken = {
        f"exit status {code}": code not in (0, 1, 2),
        "stdout is no JSON document": done.document.get("schema") != 1,
        "a fault of the tool": "internal" in causes or "Traceback" in err,
        "no message": code != 0 and not (all(messages) and messages and err.strip()),
        "the source changed": {path.name: path.read_bytes() for path in (folder / "run").iterdir()} != before,
        "something was left": {path.name for path in folder.iterdir()} - {"run", "out", "out.failed"},
        "published without success": code == 2 and (folder / "out").exists(),
    }
    return "; ".join(f"{promise}: {messages[:1]}" for promise, is_broken in broken.items() if is_broken)


def _forget_peak() -> int:
    """Set the peak memory of this process back, where the system can (Linux), and return what it holds now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def memory(name: str) -> int:
    """Return a figure of this process's memory in bytes, by its name in /proc/self/status (Linux)."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(name))) * 1024


@contextlib.contextmanager
def deadline(seconds: float):
    """Raise TooSlow in the block when it takes longer, where the system has alarms."""

    def ring(*_):
        raise TooSlow

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    old = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def campaign(seed: int, numbers: range, folder: Path):
    """Yield the outcome of each mutant."""
    for number in numbers:
        with deadline(4 * MAX_SECONDS):
            outcome = try_mutant(seed, number, folder)
        yield outcome


def summary(outcomes: list[Outcome]) -> str:
    """Return the figures as lines of text."""
    codes = collections.Counter(outcome.exit_code for outcome in outcomes)
    kinds = collections.Counter(outcome.kind for outcome in outcomes)
    causes = collections.Counter(outcome.cause for outcome in outcomes if outcome.exit_code == 2)
    slowest, largest = max(outcomes, key=lambda o: o.seconds), max(outcomes, key=lambda o: o.growth_bytes)
    return "\n".join([
        f"{len(outcomes):,} mutants: {', '.join(f'{count:,} {kind}' for kind, count in kinds.most_common())}",
        f"exit status: {', '.join(f'{code} {count:,} times' for code, count in sorted(codes.items()))}",
        f"refusals: {', '.join(f'{count:,} {cause}' for cause, count in causes.most_common())}",
        f"slowest: {slowest.seconds:.2f} s (mutant {slowest.number}); largest growth of memory: "
        f"{largest.growth_bytes / 1e6:.0f} MB (mutant {largest.number})",
        f"broken promises: {sum(bool(outcome.complaint) for outcome in outcomes)}",
    ])  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the number of one mutant")
    parser.add_argument("--keep", type=Path, help="where to leave its files")
    args = parser.parse_args()
    numbers = range(args.mutants) if args.only is None else range(args.only, args.only + 1)
    outcomes, start = [], time.perf_counter()
    folder = args.keep or Path(tempfile.mkdtemp(dir=ASIDE))
    measure(["inspect", str(seeds.run_folder(folder / "run"))])  # what is loaded once is no mutant's growth
    for outcome in campaign(args.seed, numbers, folder):
        outcomes.append(outcome)
        if outcome.complaint:
            print(f"mutant {outcome.number} ({outcome.kind}): {outcome.complaint}", flush=True)
        elif len(outcomes) % 10_000 == 0:
            print(f"{len(outcomes):,} in {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    print(summary(outcomes) + f"\n{time.perf_counter() - start:.0f} s")
    if not args.keep:
        shutil.rmtree(folder)
    return int(any(outcome.complaint for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
