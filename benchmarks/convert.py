#!/usr/bin/env python3
"""Measure the conversion and the load against the scripts that people use, each in a process of its own, in one go.

    python benchmarks/convert.py RUN             # RUN: a run folder, best at the real size (5.4 GB a checkpoint)
    python benchmarks/convert.py --make RUN      # make such a run first with coqui's own GPTTrainer (10 GB of memory)

Every round runs every route once, in turn; the table gives the median and the range of the rounds, and the highest
peak memory. The page cache is warm: each file was read just before. Writing routes end with an fsync, `cp` included.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable

LOAD = "import sys, os, time, torch\nsource, target = sys.argv[1:3]\n"
SAVE = "torch.save(checkpoint, target)\nfd = os.open(target, os.O_RDONLY)\nos.fsync(fd)\n"
STRIP = "state = checkpoint['model']\ncheckpoint = {'model': {k: v for k, v in state.items() if k.startswith('xtts.')}, 'config': checkpoint['config']}\n"
SCRIPTS = {
    "load everything, save everything": f"{LOAD}checkpoint = torch.load(source, map_location='cpu', weights_only=True)\n{SAVE}",
    "load everything, drop the optimizer and dvae, save": f"{LOAD}checkpoint = torch.load(source, map_location='cpu', weights_only=True)\n{STRIP}{SAVE}",
    "torch.load(mmap=True), save what is kept": f"{LOAD}checkpoint = torch.load(source, map_location='cpu', weights_only=True, mmap=True)\n{STRIP}{SAVE}",
}
COQUI_LOAD = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from TTS.tts.configs.xtts_config import XttsConfig
from TTS.tts.models.xtts import Xtts
config = XttsConfig()
config.load_json({config!r})
began = time.perf_counter()
model = Xtts(config)
model.load_checkpoint(config, checkpoint_path={checkpoint!r}, vocab_path={vocab!r}, eval=False)
print(time.perf_counter() - began)
"""
OUR_LOAD = """
import sys, time
sys.path.insert(0, {root!r})
import json
from pathlib import Path
from verify import model
from verify.checkpoint.archive import read_archive
config = json.loads(Path({config!r}).read_text())
began = time.perf_counter()
records = {{record.key: record for record in read_archive(Path({checkpoint!r})).tensors}}
skeleton = model.build_skeleton(config, Path({vocab!r}))
report = model.compare(skeleton, records)
assert model.load_strictly(skeleton, model.map_written(Path({checkpoint!r})), report).strict
print(time.perf_counter() - began)
"""


def run(command: list[str], environment=None) -> tuple[float, float, str]:
    """Return (wall seconds, peak resident memory in MB, stdout) of one process."""
    with tempfile.TemporaryFile("w+") as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL, env=environment, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        out.seek(0)
        if status:
            raise SystemExit(f"failed: {' '.join(command)[:300]}")
        return wall, usage.ru_maxrss / 1000, out.read()


def routes(checkpoint: Path, folder: Path) -> dict:
    """Return what to run: name to (command, whether the process prints its own seconds)."""
    converted, target = folder / "converted", str(folder / "target.pth")
    run([PYTHON, "convert_and_verify.py", str(checkpoint), "--no-verify", "-o", str(converted)])
    output, config, vocab = converted / "model.pth", converted / "config.json", converted / "vocab.json"
    values = {"root": str(ROOT), "config": str(config), "vocab": str(vocab)}
    ours = [PYTHON, "convert_and_verify.py", str(checkpoint), "--no-verify", "-o", str(folder / "again")]
    found = {
        "cp of the output": (["sh", "-c", f"cp '{output}' '{target}' && sync '{target}'"], False),
        "this project, --no-verify": (ours, False),
    }
    found |= {name: ([PYTHON, "-c", script, str(checkpoint), target], False) for name, script in SCRIPTS.items()}
    found |= {
        "inspect": ([PYTHON, "convert_and_verify.py", "inspect", str(checkpoint)], False),
        "torch.load(mmap=True), list the keys": (
            [
                PYTHON,
                "-c",
                f"{LOAD}print(list(torch.load(source, map_location='cpu', weights_only=True, mmap=True)['model']))",
                str(checkpoint),
                "",
            ],
            False,
        ),
        "this project: build, compare and strict load of the new file": (
            [PYTHON, "-c", OUR_LOAD.format(checkpoint=str(output), **values)],
            True,
        ),
        "coqui: Xtts(config), load_checkpoint of the new file": (
            [PYTHON, "-c", COQUI_LOAD.format(checkpoint=str(output), **values)],
            True,
        ),
        "coqui: Xtts(config), load_checkpoint of the training file": (
            [PYTHON, "-c", COQUI_LOAD.format(checkpoint=str(checkpoint), **values)],
            True,
        ),
    }
    return found


def measure(found: dict, folder: Path, rounds: int) -> dict[str, tuple[list[float], float]]:
    results = {name: ([], 0.0) for name in found}
    for number in range(rounds):
        for name, (command, prints) in found.items():
            wall, memory, out = run(command)
            results[name][0].append(float(out.split()[-1]) if prints else wall)
            results[name] = results[name][0], max(results[name][1], memory)
            for left in (folder / "target.pth", *(folder / "again").glob("*")):
                left.unlink(missing_ok=True)
            if (folder / "again").exists():
                (folder / "again").rmdir()
            print(f"round {number + 1}: {name}: {results[name][0][-1]:.2f} s", file=sys.stderr)
    return results


def table(results: dict[str, tuple[list[float], float]]) -> str:
    floor = statistics.median(results["cp of the output"][0])
    rows = ["| route | median s | range s | against cp | peak MB |", "|---|---|---|---|---|"]
    for name, (seconds, memory) in results.items():
        middle = statistics.median(seconds)
        rows.append(
            f"| {name} | {middle:.2f} | {min(seconds):.2f} to {max(seconds):.2f} | {middle / floor:.1f}x | {memory:,.0f} |"
        )
    return "\n".join(rows)


def make(folder: Path) -> None:
    """Write a run at the size of XTTS v2 with coqui's own GPTTrainer, optimizer included."""
    sys.path.insert(0, str(ROOT))
    from verify import demo, demo_trainer, tinyvocab

    folder.mkdir(parents=True)
    tinyvocab.write_vocab(folder / "vocab.json")
    demo_trainer.write_checkpoint(folder, {}, demo.AUDIO_CODES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--make-only", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    if args.make:  # in a process of its own: a child's peak memory counts from the size of its parent
        run([PYTHON, str(Path(__file__).resolve()), "--make-only", str(args.run.resolve())])
    if args.make_only:
        return make(args.run)
    source = args.run.resolve()
    checkpoint = max(source.glob("*model_*.pth"), default=None) or next(source.glob("checkpoint_*.pth"))
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        print(table(measure(routes(checkpoint, Path(folder)), Path(folder), args.rounds)))


if __name__ == "__main__":
    main()
