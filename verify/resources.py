"""Load the tables of `configs/`, and find `assets/`."""

import sys
from functools import cache
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_HERE = Path(__file__).resolve().parent
# An installed wheel carries `configs/` and `assets/` inside the package; a checkout has them beside it.
_ROOT = _HERE if (_HERE / "configs").is_dir() else _HERE.parent

ASSETS = _ROOT / "assets"
DEFAULT_REFERENCE = ASSETS / "reference.wav"
REPORT_SCHEMA = _ROOT / "configs" / "report.schema.json"


@cache
def load(name: str) -> dict[str, Any]:
    """Return the table in `configs/<name>.toml`."""
    return tomllib.loads((_ROOT / "configs" / f"{name}.toml").read_text(encoding="utf-8"))


def names(folder: str) -> tuple[str, ...]:
    """Return the names of the tables in `configs/<folder>/`."""
    return tuple(sorted(path.stem for path in (_ROOT / "configs" / folder).glob("*.toml")))


def requirements() -> list[str]:
    """Return the dependencies, line by line as `pyproject.toml` states them; a checkout need not be installed."""
    project = _ROOT / "pyproject.toml"
    if project.is_file():
        return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"]
    from importlib import metadata  # slow to import, and the command line imports this module

    return metadata.requires("xtts-verify") or []


@cache
def constraints() -> str:
    """Return the tested set, `constraints.txt`: one `name==version` a line with its markers; empty where there is none."""
    path = _ROOT / "constraints.txt"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def python_range() -> str:
    """Return the supported versions of Python, as `pyproject.toml` states them."""
    project = _ROOT / "pyproject.toml"
    if project.is_file():
        return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["requires-python"]
    from importlib import metadata

    return metadata.metadata("xtts-verify")["Requires-Python"] or ""
