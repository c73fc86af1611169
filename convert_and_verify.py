#!/usr/bin/env python3
"""Turn an XTTS training checkpoint into an inference-ready model folder and verify it: see `--help` and README.md."""

import sys

INSTALL = "python -m pip install -c constraints.txt -e ."

try:
    from verify.cli.main import run

    if __name__ == "__main__":
        run()
except KeyboardInterrupt:  # as early as this
    raise SystemExit(130) from None
except ModuleNotFoundError as error:
    sys.stderr.write(f"error: the package {error.name} is not installed\n  -> In the folder of this file: {INSTALL}\n")
    raise SystemExit(2) from None
