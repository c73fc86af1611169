"""Find the Python that the user means by a path: an interpreter, the folder of its environment, or that of a program."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from verify.errors import SourceError
from verify.places import process
from verify.profiles import profile as profiles

# In the folder of an environment: of venv and conda on Linux and macOS, of venv on Windows, of conda on Windows.
INSIDE = ("bin/python3", "bin/python", "Scripts/python.exe", "python.exe", "python3", "python")
ENVIRONMENTS = ("venv", ".venv", "env")  # what people call the folder of one
OLDEST = (3, 9)  # of TTS 0.22; coqui-tts wants a newer one
_QUESTION = "import sys; sys.stdout.write('\\nxtts-verify %d.%d.%d\\n' % sys.version_info[:3])"
_ANSWER = re.compile(r"^xtts-verify (\d+\.\d+\.\d+)\s*$", re.MULTILINE)
_LIMIT_SECONDS = 60.0
_CONDA_ON_WINDOWS = (
    "Library/mingw-w64/bin",
    "Library/usr/bin",
    "Library/bin",
    "Scripts",
)  # what activating adds to PATH
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_MOST_CHARACTERS = 200  # of what it says in place of its version
_HINT = (
    "Pass the Python that the program runs in: .../bin/python, on Windows ...\\Scripts\\python.exe or ...\\python.exe, "
    "or the folder of that environment."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python that answered: its path, as it is started, and its version."""

    path: Path
    version: str


def find_all(given: tuple[str, ...]) -> tuple[Interpreter, ...]:
    """Return each Python that the user named, once.

    Raises:
        SourceError: one is no Python that could hold a coqui (`no-python`).
    """
    paths = dict.fromkeys(_locate(text) for text in given)
    return tuple(_asked(path) for path in paths)


def _locate(given: str) -> Path:
    """Return the path of the interpreter, without following links: the link is what makes an environment."""
    if not given.strip():
        raise SourceError("no-python", "--python: no path was passed", _HINT)
    path = Path(os.path.abspath(os.path.expanduser(given)))
    if path.is_dir():
        return _in_folder(path)
    if path.exists():
        return path
    if not re.search(r"[\\/]", given) and (found := shutil.which(given)):
        return Path(found)
    hint = _HINT
    if _WINDOWS_PATH.match(given) and sys.platform != "win32":
        hint = "It is a path of Windows, and this runs on another system: start this tool on Windows too, to try a Python there."
    raise SourceError("no-python", f"--python {given[:300]}: there is nothing at this path", hint)


def _in_folder(folder: Path) -> Path:
    """Return the Python of an environment's folder, or of the folder of a program that has one inside."""
    places = tuple(dict.fromkeys((*ENVIRONMENTS, *_usual_places())))
    for place in (".", *places):
        for name in INSIDE:
            if (path := folder / place / name).is_file():
                return path
    looked = ", ".join((*INSIDE[:4], *(f"{place}/..." for place in places)))
    raise SourceError("no-python", f"--python {folder}: no Python is in this folder (looked for {looked})", _HINT)


def _usual_places() -> Iterator[str]:
    """Yield where the programs of the profiles keep their environment, below their own folder."""
    for name in profiles.names():
        yield from profiles.read(name).environments


def _asked(path: Path) -> Interpreter:
    """Return the interpreter, after it told its version; neither PYTHONPATH nor packages of the user are read for that."""
    try:
        with tempfile.TemporaryDirectory(prefix="xtts-verify-") as folder:
            ended = process.run(
                [str(path), "-B", "-E", "-s", "-c", _QUESTION], Path(folder), environment(path), _LIMIT_SECONDS
            )
    except OSError as error:
        raise _no_python(path, f"it cannot be started ({error.strerror or error})") from error
    match = _ANSWER.search(ended.said)
    if match is None:
        words = " ".join(ended.said.split())[:_MOST_CHARACTERS]
        raise _no_python(path, f"asked for its version, it {ended.how}" + (f" and said: {words}" if words else ""))
    if tuple(map(int, match[1].split(".")[:2])) < OLDEST:
        message = f"--python {path} is Python {match[1]}; every coqui with XTTS needs 3.{OLDEST[1]} or newer"
        raise SourceError("no-python", message, _HINT)
    return Interpreter(path=path, version=match[1])


def _no_python(path: Path, problem: str) -> SourceError:
    names = ("python3", "python", "python.exe")  # beside `activate` and `pip`, for which it may have been taken
    beside = next((other for name in names if (other := path.parent / name).is_file() and other != path), None)
    hint = f"Did you mean {beside}?" if beside else _HINT
    return SourceError("no-python", f"--python {path} is no Python: {problem}", hint)


def environment(path: Path) -> dict[str, str]:
    """Return the variables for another Python: ours, less those that make a Python take our files for its own, with its programs first.

    A program starts its Python from an activated environment: FFmpeg may lie in it and, with conda on Windows, every DLL.
    """
    ours = ("PYTHONHOME", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    own = [path.parent, *(path.parent / name for name in _CONDA_ON_WINDOWS)]
    folders = [str(folder) for folder in own if folder.is_dir()]
    return {**kept, "PATH": os.pathsep.join([*folders, *filter(None, [os.environ.get("PATH")])])}
