"""The rules of the house, held against the code: who may import what, who may print, how fast a light answer is."""

import ast
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "torchaudio", "TTS", "transformers", "trainer"}
# Rooms that may import torch and coqui-tts; every other one answers without them.
HEAVY_ROOMS = {
    "model.py",
    "audition.py",
    "demo_trainer.py",
    "rehearsal.py",
    "recital.py",
    "proof.py",
    "loading.py",
    "baseline.py",
    "voices.py",
    "sweeping/worker.py",
    "listening/speech.py",
    "listening/reading.py",
    "listening/parity.py",
    "listening/similarity.py",
}
MODULES = sorted((ROOT / "verify").rglob("*.py"))
# Floors from left to right: a room imports only from its own floor or from one to its left.
ORDER = ["errors", "checks", "settings", "speaking", "tinyvocab", "options", "watch", "background", "garbage", "checkpoint", "diagnosis", "listening", "reporting", "plan", "reproduce", "judging", "bundle", "model", "voices", "rehearsal", "loading", "baseline", "proof", "recital", "audition", "pipeline", "comparison", "sweeping", "sweep", "library", "exporting", "training", "env", "demo_trainer", "demo", "arguments", "completion", "commands", "cli"]  # fmt: skip


def imported(path: Path, for_types: bool = True) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not for_types:
        tree.body = [node for node in tree.body if not (isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING")]  # fmt: skip
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def floor(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_heavy_rooms_import_torch(path):
    room = str(path.relative_to(ROOT / "verify"))
    heavy = {name.split(".")[0] for name in imported(path, for_types=False)} & HEAVY
    assert not heavy or room in HEAVY_ROOMS


@pytest.mark.parametrize(
    "path", [p for p in MODULES if p.name != "__init__.py"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_data_flows_to_the_right(path):
    room = path.relative_to(ROOT / "verify").parts[0].removesuffix(".py")
    for name in imported(path):
        if name.startswith("verify.") and not name.startswith("verify.__"):
            assert ORDER.index(floor(name)) <= ORDER.index(room), f"{room} imports {name}"


@pytest.mark.parametrize(
    "path", [p for p in MODULES if p.name != "cli.py"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_library_rooms_neither_print_nor_exit_nor_catch_everything(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            assert getattr(node.func, "id", "") not in {"print", "exit"}
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None
            if getattr(node.type, "id", "") == "Exception":
                # tokenizers raises nothing narrower; a task of a sweep is the edge of a process, as cli.main is; a training
                # must not end for an export
                assert str(path.relative_to(ROOT / "verify")) in ("model.py", "sweeping/task.py", "training.py")


def test_importing_the_package_imports_no_torch():
    code = "import sys, verify, verify.cli; print(sorted({'torch', 'TTS', 'transformers'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_help_answers_without_numpy_or_rich():
    code = (
        "import sys\nfrom verify import cli\ntry:\n    cli.main(['--help'])\nexcept SystemExit:\n"
        "    print(sorted({'torch', 'numpy', 'rich'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip().endswith("[]")


def test_inspect_leaves_torch_and_numpy_alone(genuine_checkpoint):
    """`inspect` must answer in a fifth of a second; here only that it never gets near torch, which takes five, and NumPy."""
    code = f"import sys\nfrom verify import cli\ncli.main(['inspect', {str(genuine_checkpoint)!r}])\nprint(bool({{'torch', 'numpy'}} & sys.modules.keys()))"
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"
    assert time.perf_counter() - began < 30


# The rows of the matrix of faults: A not what it should be, B damaged containers, C hostile pickles, D weights that do
# not fit, E outputs and moments. `docs/security.md` says what each of them is.
ROWS = [f"{part}{number}" for part, last in zip("abcde", (11, 13, 7, 13, 17), strict=True) for number in range(1, last + 1)]  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_the_matrix_of_faults_has_a_test_with_its_name(row):
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py"))
    assert any(f"\ndef test_{row}_" in source for source in sources)


def test_the_tests_that_the_security_page_names_are_there():
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py"))
    named = set(re.findall(r"`(test_[a-z0-9_]+)(?:\*|\.\.\.)?`", page))
    assert len(named) > 15
    assert [name for name in named if f"def {name}" not in sources] == []
