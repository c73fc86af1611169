#!/usr/bin/env python3
"""Measure the cost of a run folder on a web server: requests, bytes, seconds and memory of `inspect` and the conversion.

    python benchmarks/remote.py RUN --vocab FILE          # RUN: a run folder, best at the real size (5.4 GB a checkpoint)
    python benchmarks/remote.py RUN --vocab FILE --delay 0.05     # with 50 ms before each answer, like a distant server

The server is aiohttp's on this machine, in this process; each command runs in a process of its own.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.performance.measure import PYTHON, run  # noqa: E402
from tests.support.servers import WebServer  # noqa: E402


class FarServer(WebServer):
    """A server that waits before each answer."""

    delay_seconds = 0.0

    async def _count(self, request, response):
        await asyncio.sleep(self.delay_seconds)
        await super()._count(request, response)


def main() -> None:
    """Print one row of a table for each command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--vocab", type=Path, required=True)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    args = parser.parse_args()
    server = FarServer(args.run.parent)
    server.delay_seconds = args.delay
    source, vocab = f"{server.url}/{args.run.name}/", ["--vocab", str(args.vocab)]
    print("| command | requests | bytes sent | s | peak MB |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        out = str(Path(folder) / "out")
        for name, arguments in (
            ("inspect", ["inspect", source]),
            ("--no-verify", [source, "--no-verify", "-o", out]),
            ("--no-sample", [source, "--no-sample", "-o", out]),
        ):
            shutil.rmtree(out, ignore_errors=True)
            server.forget()
            seconds, peak, _ = run([PYTHON, "convert_and_verify.py", *arguments, *vocab])
            print(
                f"| {name} | {len(server.requests):,} | {server.sent_bytes:,} | {seconds:.2f} | {peak:,.0f} |",
                flush=True,
            )
    server.stop()


if __name__ == "__main__":
    main()
