"""The rules of the house, held against the code: who may import what, who may print, how fast a light answer is."""

import ast
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from tests.support.helpers import ROOT

PACKAGE = ROOT / "verify"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
HEAVY = {"torch", "torchaudio", "TTS", "transformers", "trainer"}
# What works with coqui-tts, and what trains; everything else answers without torch.
MAY_IMPORT_TORCH = {"coqui", "demo"}
# The floors: data flows from left to right, so a module imports from its own folder and from those to its left.
FLOORS = (
    "errors", "checks", "findings", "resources", "progress", "background", "shell", "files", "checkpoint", "conversion",
    "options", "source", "diagnosis", "audio", "plan", "document", "result", "results", "profiles", "places", "coqui", "report",
    "commands", "training", "sweeping", "demo", "api", "ui", "cli",
)  # fmt: skip
MOST_IN_A_FOLDER, MOST_AT_THE_TOP = 18, 12


def nodes(path: Path) -> Iterator[ast.AST]:
    """Yield what stands in a module, but for what only type checkers read."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not (isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING")]  # fmt: skip
    return ast.walk(tree)


def imported(path: Path) -> set[str]:
    """Return the names of all that a module imports, and of the modules that it names in a string to import them later."""
    names = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            names |= {name if name in MODULES else node.module for name in full}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in MODULES:
            names.add(node.value)
    return names


def floor(name: str) -> str:
    return name.split(".")[1]


def ours() -> dict[str, set[str]]:
    """Return for each module the modules of this package that it imports; the package's own face aside."""
    return {
        name: {other for other in imported(path) if other in MODULES and other != "verify"} - {name}
        for name, path in MODULES.items()
        if name != "verify"
    }


def test_every_folder_and_module_has_its_floor():
    assert {floor(name) for name in MODULES if name != "verify"} == set(FLOORS)


def test_only_what_speaks_or_trains_imports_torch():
    assert [
        name
        for name, path in MODULES.items()
        if {item.split(".")[0] for item in imported(path)} & HEAVY and floor(name) not in MAY_IMPORT_TORCH
    ] == []


def test_data_flows_down_and_never_back():
    assert [
        f"{name} imports {other}"
        for name, others in ours().items()
        for other in others
        if FLOORS.index(floor(other)) > FLOORS.index(floor(name))
    ] == []


def test_there_are_no_circles():
    TopologicalSorter(ours()).prepare()  # raises CycleError, which names the circle


def test_no_folder_is_a_corridor():
    for folder in {path.parent for path in MODULES.values()}:
        count = sum(path.parent == folder and path.name != "__init__.py" for path in MODULES.values())
        assert count <= (MOST_AT_THE_TOP if folder == PACKAGE else MOST_IN_A_FOLDER), folder


# tokenizers raises nothing narrower; a task of a sweep is the edge of a process, as cli.main and the probe are; a piece of
# work of the page is the edge of a thread; a training must not end for an export.
MAY_CATCH_EVERYTHING = {
    "verify.cli.main",
    "verify.coqui.probe",
    "verify.coqui.model",
    "verify.sweeping.run_task",
    "verify.training.callback",
    "verify.ui.work",
}


def test_the_library_neither_prints_nor_exits_nor_catches_everything():
    strays = []
    for name, path in MODULES.items():
        for node in nodes(path):
            called = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            caught = isinstance(node, ast.ExceptHandler) and getattr(node.type, "id", "BaseException")
            if called in {"print", "exit"} and name != "verify.cli.main":
                strays.append(f"{name}:{node.lineno}: {called}")
            if caught == "BaseException" and node.type is None:
                strays.append(f"{name}:{node.lineno}: except:")
            if caught == "Exception" and name not in MAY_CATCH_EVERYTHING:
                strays.append(f"{name}:{node.lineno}: except Exception")
    assert strays == []


def test_importing_the_package_imports_no_torch():
    code = "import sys, verify, verify.cli.main; print(sorted({'torch', 'TTS', 'transformers'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_help_answers_without_numpy_or_rich():
    code = (
        "import sys\nfrom verify.cli import main as cli\ntry:\n    cli.main(['--help'])\nexcept SystemExit:\n"
        "    print(sorted({'torch', 'numpy', 'rich'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip().endswith("[]")


def test_inspect_leaves_torch_and_numpy_alone(genuine_checkpoint):
    """`inspect` must answer in a fifth of a second; here only that it never gets near torch, which takes five, and NumPy."""
    code = f"import sys\nfrom verify.cli import main as cli\ncli.main(['inspect', {str(genuine_checkpoint)!r}])\nprint(bool({{'torch', 'numpy'}} & sys.modules.keys()))"
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"
    assert time.perf_counter() - began < 30


# The rows of the matrix of faults: A not what it should be, B damaged containers, C hostile pickles, D weights that do
# not fit, E outputs and moments. `docs/security.md` says what each of them is.
ROWS = [f"{part}{number}" for part, last in zip("abcde", (11, 13, 7, 13, 17), strict=True) for number in range(1, last + 1)]  # fmt: skip


def sources() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))


def test_every_row_of_the_matrix_of_faults_has_a_test_with_its_name():
    text = sources()
    assert [row for row in ROWS if f"\ndef test_{row}_" not in text] == []


def test_the_tests_that_the_security_page_names_are_there():
    page, text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8"), sources()
    named = set(re.findall(r"`(test_[a-z0-9_]+)(?:\*|\.\.\.)?`", page))
    assert len(named) > 15
    assert [name for name in named if f"def {name}" not in text] == []


def test_errors_are_told_apart_by_their_class_and_never_by_their_code():
    strays = [
        f"{name}:{node.lineno}"
        for name, path in MODULES.items()
        for node in nodes(path)
        if isinstance(node, ast.Compare) and ast.unparse(node.left).endswith("error.cause.code")
    ]
    assert strays == []
