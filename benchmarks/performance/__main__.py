#!/usr/bin/env python3
"""Measure this project beside what people use now, and write the tables and pictures of docs/performance.md.

    python -m benchmarks.performance --make RUN     # make a run of the real size first, with coqui's own GPTTrainer (10 GB of memory)
    python -m benchmarks.performance RUN            # measure with an existing run
    python -m benchmarks.performance RUN --only convert --rounds 5

Every round runs every route once, in turn; tables give the median and the range of the rounds and the highest peak
memory. Writing routes end with an fsync, `cp` included. The page cache is warm unless a column says otherwise.
"""

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from functools import cached_property
from importlib import metadata
from pathlib import Path

import numpy as np

from benchmarks.performance import floors, pictures, scripts, sizes
from benchmarks.performance.measure import (
    PYTHON,
    ROOT,
    Route,
    can_drop_caches,
    drop_caches,
    measure,
    ours,
    python,
    run,
    table,
    times,
)
from verify.checkpoint.archive import read_archive

DOCS = ROOT / "docs"
PAGE, PICTURES = DOCS / "performance.md", DOCS / "performance"
CP, OURS = "cp of the output", "this project"
HALVES = ("float16", "bfloat16")
SHORT = "Hello there."  # about 3 s with untrained weights, which do not stop by themselves


class Bench:
    """The files that the sections share."""

    def __init__(self, source: Path, folder: Path, rounds: int) -> None:
        self.folder, self.rounds = folder, rounds
        self.checkpoint = max(source.glob("*model_*.pth"), default=None) or next(source.glob("checkpoint_*.pth"))
        self.model = folder / "converted"
        run(ours(self.checkpoint, "--no-verify", "-o", self.model))
        self.output, self.target, self.again = self.model / "model.pth", folder / "target.pth", folder / "again"

    @cached_property
    def floors(self) -> floors.Floors:
        """What nothing can be faster than here."""
        return floors.measured(self.output, self.cp(), self.rounds)

    def stripper(self, script: str) -> Route:
        return Route(command=python(script, self.checkpoint, self.target), leaves=(self.target,))

    def ours(self, *options: object) -> Route:
        return Route(command=ours(self.checkpoint, "-o", self.again, *options), leaves=(self.again,))

    def cp(self) -> Route:
        command = ["sh", "-c", f"cp '{self.output}' '{self.target}' && sync '{self.target}'"]
        return Route(command=command, leaves=(self.target,))

    def script(self, template: str, checkpoint: Path, **values: object) -> list[str]:
        config, vocab = self.model / "config.json", self.model / "vocab.json"
        values = {"config": str(config), "vocab": str(vocab), "checkpoint": str(checkpoint), **values}
        return python(template.format(**values), "", self.folder / "coqui.wav")


def floor(bench: Bench) -> str:
    return bench.floors.rows()


def convert(bench: Bench) -> str:
    def routes() -> dict[str, Route]:
        fixed = {CP: bench.cp(), OURS: bench.ours("--no-verify")}
        return fixed | {name: bench.stripper(script) for name, script in scripts.STRIPPERS.items()}

    warm, cold = routes(), {}
    measure(warm, bench.rounds)
    if can_drop_caches():
        cold = {name: route for name, route in routes().items() if not name.startswith("load everything")}
        measure(cold, min(bench.rounds, 3), drop_caches)
        bench.checkpoint.read_bytes()[:0]  # warm again
    pictures.bars(PICTURES / "convert.svg", "convert a training checkpoint", "seconds", _medians(warm), (OURS,))
    return table(warm, CP, cold, {OURS: bench.floors.convert})


def formats(bench: Bench) -> str:
    halves = {f"{OURS}, --dtype {dtype}": bench.ours("--no-verify", "--dtype", dtype) for dtype in HALVES}
    safetensors = f"{OURS}, --format safetensors"
    routes = {CP: bench.cp(), **halves, safetensors: bench.ours("--no-verify", "--format", "safetensors")}
    routes |= {name: bench.stripper(script) for name, script in scripts.CASTING.items()}
    measure(routes, bench.rounds)
    limits = {**dict.fromkeys(halves, bench.floors.halves), safetensors: bench.floors.convert}
    return table(routes, CP, floors=limits)


def inspect(bench: Bench) -> str:
    name = "torch.load(mmap=True), list the keys"
    routes = {
        f"{OURS}: inspect": Route(command=ours("inspect", bench.checkpoint)),
        name: bench.stripper(scripts.LIST_KEYS),
    }
    measure(routes, bench.rounds)
    count = int(run(python(scripts.BYTES_READ, bench.checkpoint)).out)
    rows = table(routes, name, floors={f"{OURS}: inspect": bench.floors.python})
    return f"{rows}\n\n`inspect` read {count:,} bytes of the file's {bench.checkpoint.stat().st_size:,}."


def load(bench: Bench) -> str:
    ours_loads, maps = f"{OURS}: build, compare, strict load", bench.script(scripts.MAPPED_LOAD, bench.output)
    mapped = Route(command=maps, prints=True)
    routes = {
        ours_loads: Route(command=bench.script(scripts.OUR_LOAD, bench.output), prints=True),
        "coqui, the new file": Route(command=bench.script(scripts.COQUI, bench.output, speak=False), prints=True),
        "coqui, the training file": Route(
            command=bench.script(scripts.COQUI, bench.checkpoint, speak=False), prints=True
        ),
    }
    measure({**routes, "torch.load(mmap=True) alone": mapped}, bench.rounds)
    return table(routes, "coqui, the training file", floors={ours_loads: mapped.median})


def job(bench: Bench) -> str:
    report = json.loads(
        run(ours(bench.checkpoint, "-o", bench.again, "--text", SHORT, "--device", "cpu", "--force", "--json")).out
    )
    spoken = report["sample"]
    reference = bench.folder / "reference.wav"
    reference.write_bytes((bench.again / "reference.wav").read_bytes())
    values = {"reference": str(reference), "text": SHORT, "tokens": spoken["tokens"], "speak": True}
    loads, speaks = (
        "coqui: load_checkpoint",
        f"coqui: load_checkpoint, inference, soundfile.write, {spoken['tokens']} tokens",
    )
    routes = {
        f"{OURS}, --no-sample": bench.ours("--no-sample"),
        loads: Route(command=bench.script(scripts.COQUI, bench.checkpoint, speak=False)),
        f"{OURS}, a sample of {spoken['tokens']} tokens": bench.ours("--text", SHORT, "--device", "cpu"),
        speaks: Route(command=bench.script(scripts.COQUI + scripts.COQUI_SPEAKS, bench.checkpoint, **values)),
    }
    measure(routes, bench.rounds)
    pictures.steps(PICTURES / "steps.svg", "where the time of one run goes", _steps(report["seconds"]))
    return table(routes, loads, floors={f"{OURS}, --no-sample": bench.floors.job})


def _steps(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return the steps of the report that took part of a second worth drawing."""
    return {name: value for name, value in seconds.items() if value >= 0.02}


def many(bench: Bench) -> str:
    """Measure the cost of each further checkpoint in `compare`; the files have the same tensors."""
    copies = [bench.folder / f"copy{number}.pth" for number in range(3)]
    for path in copies:
        os.link(bench.output, path)
    rows = ["| checkpoints | compare, s | single runs of the main job, s | peak MB |", "|---|---|---|---|"]
    single = Route(command=ours("verify", bench.model, "--text", SHORT, "--device", "cpu"))
    measure({"verify": single}, min(bench.rounds, 3))
    for count in (2, 3, 4):
        sources = [bench.model, *copies[: count - 1]]
        options = ("--config", bench.model / "config.json", "--vocab", bench.model / "vocab.json")
        command = ours("compare", *sources, *options, "--text", SHORT, "--device", "cpu", "-o", bench.again)
        route = Route(command=command, leaves=(bench.again,))
        measure({f"compare {count}": route}, min(bench.rounds, 3))
        rows.append(f"| {count} | {route.median:.1f} | {count * single.median:.1f} | {route.peak_mb:,.0f} |")
    return "\n".join(rows)


def by_size(bench: Bench) -> str:
    room = shutil.disk_usage(bench.folder).free / 1e9  # a third of each is written, converted and copied
    gigabytes = [size for size in (0.3, 1, 2, 6, 20) if size * 1.1 < room]
    rows = ["| checkpoint, GB | this project, s | cp of the output, s | ratio | peak MB |", "|---|---|---|---|---|"]
    seconds: dict[str, list[float]] = {OURS: [], CP: []}
    peaks = []
    for size in gigabytes:
        with tempfile.TemporaryDirectory(dir=bench.folder) as name:
            folder = Path(name)
            source, out, target = (
                sizes.write_run(folder / "run", bench.model, int(size * 1e9)),
                folder / "out",
                folder / "t",
            )
            routes = {OURS: Route(command=ours(source, "--no-verify", "--force", "-o", out))}
            measure(routes, min(bench.rounds, 3))
            routes[CP] = Route(
                command=["sh", "-c", f"cp '{out / 'model.pth'}' '{target}' && sync '{target}'"], leaves=(target,)
            )
            measure({CP: routes[CP]}, min(bench.rounds, 3))
        for label in seconds:
            seconds[label].append(routes[label].median)
        peaks.append(routes[OURS].peak_mb)
        ratio = routes[OURS].median / routes[CP].median
        rows.append(
            f"| {size} | {routes[OURS].median:.2f} | {routes[CP].median:.2f} | {times(ratio)} | {peaks[-1]:.0f} |"
        )
    pictures.sizes(PICTURES / "sizes.svg", gigabytes, seconds, peaks)
    return "\n".join(rows)


def speech(bench: Bench) -> str:
    rows = [
        "| threads | arithmetic | GPT tokens a second | as far as memory goes | x real time | latents against float32, cosine: median, least |",
        "|---|---|---|---|---|---|",
    ]
    reference, most = None, bench.floors.gigabytes_a_second * 1e9 / gpt_bytes(bench.output)
    for threads, dtype in [(1, "float32"), (os.cpu_count() or 1, "float32"), (os.cpu_count() or 1, "bfloat16")]:
        out = bench.folder / f"{threads}-{dtype}.npz"
        command = [PYTHON, "-m", "benchmarks.performance.speech", str(bench.model), str(out), str(threads), dtype]
        rates = [json.loads(run(command).out.split()[-1]) for _ in range(min(bench.rounds, 3))]
        latents = np.load(out)["latents"]
        reference = latents if reference is None else reference
        rate = float(np.median(rates))
        rows.append(
            f"| {threads} | {dtype} | {rate:.1f} | {most:.1f} | {rate * 1024 / 22050:.2f} | {_likeness(latents, reference)} |"
        )
    return "\n".join(rows)


def _likeness(latents: np.ndarray, reference: np.ndarray) -> str:
    count = min(len(latents), len(reference))
    a, b = latents[:count], reference[:count]
    cosine = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return f"{np.median(cosine):.4f}, {cosine.min():.4f}"


def gpt_bytes(model: Path) -> int:
    """Return the bytes of the GPT's layers, each of which is read for each token."""
    return sum(record.bytes for record in read_archive(model).tensors if record.key.startswith("gpt.gpt.h."))


SECTIONS = {"floors": floor, "convert": convert, "formats": formats, "inspect": inspect, "load": load, "job": job, "many": many, "sizes": by_size, "speech": speech}  # fmt: skip


def _medians(routes: Mapping[str, Route]) -> dict[str, float]:
    return {name: route.median for name, route in routes.items()}


def machine() -> str:
    """Return the machine and the versions in one line."""
    processor = (
        re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
        if Path("/proc/cpuinfo").exists()
        else None
    )
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "coqui-tts", "transformers", "numpy"))
    return f"{datetime.date.today()}: {os.cpu_count()} cores ({processor[1] if processor else platform.processor()}), {platform.system()} {platform.release()}, Python {platform.python_version()}, {versions}."


def put(section: str, text: str) -> None:
    """Replace a section of the page by a measured table."""
    page = PAGE.read_text(encoding="utf-8")
    place = re.compile(rf"(<!-- {section} -->\n).*?(<!-- /{section} -->)", re.S)
    if not place.search(page):
        raise SystemExit(f"{PAGE} has no place for {section}")
    PAGE.write_text(place.sub(lambda match: f"{match[1]}\n{text}\n\n{match[2]}", page), encoding="utf-8")


def make(folder: Path) -> None:
    """Write a run at the size of XTTS v2 with coqui's own GPTTrainer, optimizer included."""
    from verify.coqui import selftest
    from verify.demo import demo, trainer

    folder.mkdir(parents=True)
    selftest.write_vocab(folder / "vocab.json")
    trainer.write_checkpoint(folder, {}, demo.AUDIO_CODES)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.performance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--make", action="store_true", help="make the run first")
    parser.add_argument("--make-only", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", choices=SECTIONS, help="repeatable; all sections without it")
    args = parser.parse_args()
    if args.make:  # in a process of its own: a child's peak memory counts from the size of its parent
        run([PYTHON, "-m", "benchmarks.performance", str(args.run.resolve()), "--make-only"])
    if args.make_only:
        return make(args.run)
    source = args.run.resolve()
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        bench = Bench(source, Path(folder), args.rounds)
        for name in args.only or SECTIONS:
            print(f"== {name}", file=sys.stderr)
            put(name, SECTIONS[name](bench))
            put("machine", machine())


if __name__ == "__main__":
    main()
