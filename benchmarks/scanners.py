"""Compare scanners: give the files of tests/support/hostile.py to picklescan, fickling, modelscan, torch and this project.

    python -m venv scanners && scanners/bin/pip install "picklescan[7z]" fickling typing_extensions modelscan
    python -m benchmarks.scanners --venv scanners

Prints a Markdown table. The scanners are installed in an environment of their own and are no dependency; each is run by
its command, fickling by a function of its library. Files are loaded only by `torch.load(weights_only=True)`, in a process of its own.
"""

import argparse
import collections
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from tests.support import hostile

FICKLING = """
import sys
try:
    from fickling.loader import scan_file, scan_zip_archive
    zipped = open(sys.argv[1], "rb").read(2) == b"PK"
    results = list(scan_zip_archive(sys.argv[1]).values()) if zipped else [scan_file(sys.argv[1])]
except Exception:
    sys.exit(4)
sys.exit(4 if not results else 0 if all(result.is_safe for result in results) else 1)
"""
TORCH = "import sys, torch; torch.load(sys.argv[1], weights_only=True)"
OURS = """
import sys
from pathlib import Path
from verify.checkpoint.archive import read_archive, read_voices
from verify.errors import ConversionError
try:
    (read_voices if "speakers" in sys.argv[1] else read_archive)(Path(sys.argv[1]))
except ConversionError:
    sys.exit(2)
"""
STOPS, PASSES, NO_VERDICT = "stops", "**lets it pass**", "**no verdict**"


def scanners(folder: Path) -> dict[str, tuple[list[str], dict[int, str]]]:
    """Return name and version -> (command, meaning of its exit statuses; any other status is no verdict)."""
    python = str(folder / "bin" / "python")
    stated = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    )
    versions = dict(line.split("==") for line in stated.stdout.split() if "==" in line)
    verdicts = {0: PASSES, 1: STOPS}
    return {
        f"picklescan {versions['picklescan']}": ([str(folder / "bin" / "picklescan"), "-p"], verdicts),
        f"fickling {versions['fickling']}": ([python, "-c", FICKLING], verdicts),
        f"modelscan {versions['modelscan']}": ([str(folder / "bin" / "modelscan"), "-p"], verdicts),
        f"torch {version('torch').partition('+')[0]}, weights_only": ([sys.executable, "-c", TORCH], verdicts),
        "this project": ([sys.executable, "-c", OURS], {0: PASSES, 2: STOPS}),
    }


def scan(command: list[str], meanings: dict[int, str], path: Path) -> str:
    """Return the verdict of a scanner on a file."""
    try:
        done = subprocess.run([*command, path.name], capture_output=True, text=True, cwd=path.parent, timeout=120, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        return NO_VERDICT
    return meanings.get(done.returncode, NO_VERDICT)


def rows(tools: dict, files: dict[str, tuple[str, bytes]]) -> list[list[str]]:
    """Return a row of verdicts for each file."""
    table = []
    for title, (name, data) in files.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(data)
            table.append([title, *(scan(*tool, path) for tool in tools.values())])
            assert [item.name for item in Path(folder).iterdir()] == [name], f"{title}: something ran"
    return table


def show(tools: dict, table: list[list[str]]) -> None:
    print("| file | " + " | ".join(tools) + " |")
    print("|---" * (len(tools) + 1) + "|")
    for row in table:
        print("| " + " | ".join(row) + " |")
    columns = list(zip(*table, strict=True))[1:]
    counts = [collections.Counter(column) for column in columns]
    print("| **stopped, of " + f"{len(table)}** | " + " | ".join(str(count[STOPS]) for count in counts) + " |\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=Path, required=True, help="where the scanners are installed")
    tools = scanners(parser.parse_args().venv.absolute())
    show(tools, rows(tools, hostile.all_files()))
    show(tools, rows(tools, hostile.harmless()))


if __name__ == "__main__":
    main()
