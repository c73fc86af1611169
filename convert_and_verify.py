#!/usr/bin/env python3
"""Turn an XTTS training checkpoint into an inference-ready model folder and verify it: see `--help` and README.md."""

from verify.cli import run

if __name__ == "__main__":
    run()
