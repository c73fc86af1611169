#!/usr/bin/env python3
"""Turn an XTTS training checkpoint into an inference-ready model folder and verify it: see `--help` and README.md."""

try:
    from verify.cli.main import run
except KeyboardInterrupt:  # as early as this
    raise SystemExit(130) from None

if __name__ == "__main__":
    run()
