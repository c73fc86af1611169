"""Kill conversions of a small run with SIGKILL at every kind of moment, and check what is left; needs fork.

    python -m tests.support.kill_loop --kills 200

A child is forked for each kill. It kills itself before the Nth line of the modules that write, or at the Nth event on a
file (an audit hook sees each open, rename, mkdir and remove); or the parent kills it after a random time. An old
output stands at the name for three of four. Prints the counts as JSON; anything broken ends it with an assertion.
"""

import argparse
import collections
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.support import seeds
from verify.checkpoint import reader
from verify.cli import main as cli
from verify.commands import convert as main_job
from verify.conversion import torch_zip, writer
from verify.files import locking, staging

WRITING = {module.__file__ for module in (reader, main_job, torch_zip, writer, staging, locking)}
IN_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # a killed process loses no page, so no disk is needed
FILE_EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.scandir", "shutil.rmtree"}
MORE = {
    "gpt.gpt.h.0.mlp.c_fc.weight": (8, 150_000),
    "gpt.gpt.h.0.attn.c_attn.weight": (8, 24),
}  # 4.8 MB: several chunks


def convert(run: Path, out: Path, force: bool = True) -> int:
    """Convert in this process, in silence."""
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
        return cli.main([str(run), "-o", str(out), "--no-verify", "--quiet", *["--force"] * force])


def count_lines(then) -> None:
    """Call `then` before each line of the modules that write."""

    def trace(frame, event, _):
        if frame.f_code.co_filename not in WRITING:
            return None
        if event == "line":
            then()
        return trace

    sys.settrace(trace)


def count_files(then) -> None:
    """Call `then` at each event on a file."""
    sys.addaudithook(lambda event, _: then() if event in FILE_EVENTS else None)


def count_renames(then) -> None:
    """Call `then` before each rename: the old output makes way, the new one takes the name."""
    sys.addaudithook(lambda event, _: then() if event == "os.rename" else None)


def forked(run: Path, out: Path, count, last_point: int) -> tuple[int, int]:
    """Convert in a forked child that kills itself at point `last_point`; return its status and how many points it passed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        passed = [0]

        def point():
            passed[0] += 1
            if passed[0] == last_point:
                os.kill(os.getpid(), signal.SIGKILL)

        count(point)
        code = convert(run, out)
        sys.settrace(None)
        os.write(writing, str(passed[0]).encode())
        os._exit(code)
    os.close(writing)
    if last_point < 0:  # killed from outside, after as many microseconds
        time.sleep(-last_point / 1e6)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with open(reading, "rb") as pipe:
        return os.waitstatus_to_exitcode(status), int(pipe.read() or 0)


def contents(folder: Path) -> dict[str, str]:
    """Return the hash of each file but the report, which must be whole and true."""
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    files = {
        file["name"]: file["sha256"] for file in json.loads((folder / "report.json").read_text())["output"]["files"]
    }
    del hashes["report.json"]
    assert files == hashes, "the report lies about the files beside it"
    return hashes


def remaining_output(out: Path, whole: list[dict], had_output: bool) -> str:
    """Return what stands at the name after a kill, having shown that it is whole, or waits whole for the next run."""
    if out.exists():
        hashes = contents(out)
        assert hashes in whole, "a mixed or broken output"
        return "old" if hashes == whole[0] else "new"
    if not had_output:
        return "nothing"
    waiting = [left / "replaced" for left in out.parent.glob(".out.staging-*") if (left / "replaced").exists()]
    assert len(waiting) == 1, "the old output is lost"
    assert contents(waiting[0]) == whole[0], "the old output is broken"
    return "between the renames"


def make_runs(folder: Path) -> list[Path]:
    """Write two runs whose models differ."""
    changed = dict(reversed(MORE.items()))
    return [seeds.run_folder(folder / f"run{n}", checkpoint=seeds.checkpoint(more=more)) for n, more in enumerate((MORE, changed))]  # fmt: skip


def loop(kills: int, seed: int, folder: Path) -> dict[str, int]:
    """Kill so many conversions below `folder` and return what was seen after them."""
    generator, counts = random.Random(seed), collections.Counter()
    old, new = make_runs(folder)
    place = folder / "place"
    place.mkdir()
    out, whole = place / "out", []
    for run in (new, old):
        assert convert(run, out) == 0
        whole.insert(0, contents(out))
    start = time.perf_counter()
    convert(new, place / "count")
    points = {count: forked(new, place / "count", count, 0)[1] for count in (count_lines, count_files, count_renames)}
    usual = time.perf_counter() - start
    shutil.rmtree(place / "count")
    while counts["kills"] < kills:
        had_output = counts["runs"] % 4 != 3
        if had_output:
            assert convert(old, out) == 0, "a run after a killed one failed"
            assert [path.name for path in place.iterdir()] == ["out"], "something was left after a run that succeeded"
        else:
            shutil.rmtree(place)
            place.mkdir()
        count = generator.choice((count_lines, count_lines, count_files, count_files, count_renames))
        last_point = generator.randint(1, points[count])
        if counts["runs"] % 2 and count is not count_renames:  # the end, where the new output takes the name, is short
            last_point = points[count] - generator.randint(0, 120 if count is count_lines else 12)
        if counts["runs"] % 5 == 0:
            last_point = -int(generator.uniform(0, usual / 2) * 1e6)
        code, _ = forked(new, out, count, last_point)
        counts["runs"] += 1
        counts["kills"] += code == -signal.SIGKILL
        counts[f"after: {remaining_output(out, whole, had_output)}"] += 1
        counts[f"killed: {count.__name__}" if last_point > 0 else "killed: by the clock"] += code == -signal.SIGKILL
    assert convert(old, out) == 0
    assert [path.name for path in place.iterdir()] == ["out"]
    return dict(counts)


def race(runs: list[Path], out: Path, force: bool) -> list[int]:
    """Convert all runs to one output at once, each in a child; return the exit statuses in order of size."""
    waiting, starting = os.pipe()
    children = []
    for run in runs:
        child = os.fork()
        if child == 0:
            os.close(starting)
            os.read(waiting, 1)  # until the parent closes its end
            os._exit(convert(run, out, force))
        children.append(child)
    os.close(starting)
    os.close(waiting)
    return sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


def races(count: int, folder: Path) -> dict[str, int]:
    """Let two runs race for one output so often, half of them with --force, and return how they ended."""
    counts = collections.Counter()
    runs = make_runs(folder)
    place = folder / "place"
    place.mkdir()
    whole = []
    for run in runs:
        assert convert(run, place / "out") == 0
        whole.append(contents(place / "out"))
    for number in range(count):
        force = bool(number % 2)
        if not force:
            shutil.rmtree(place / "out")
        codes = race(runs, place / "out", force)
        assert contents(place / "out") in whole, "a mixed output"
        assert [path.name for path in place.iterdir()] == ["out"], "something was left"
        counts[f"{'--force' if force else 'new'}: {' and '.join(map(str, codes))}"] += 1
    return dict(counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--races", type=int, help="instead, let two runs at once write one output so often")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="an empty folder to work in")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(dir=IN_MEMORY))
    start = time.perf_counter()
    counts = races(args.races, folder) if args.races else loop(args.kills, args.seed, folder)
    print(json.dumps(counts | {"seconds": round(time.perf_counter() - start)}))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
