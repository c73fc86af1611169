"""The docs are true: every code has a section, and its commands, code and links work.

That each example is what the command says is held at the end of a whole session: see support/recorded_causes.py.
"""

import ast
import re
import shlex
from pathlib import Path

import pytest

from tests.support import recorded_causes
from tests.support.helpers import ROOT
from tests.test_house import MODULES
from verify.cli import parser
from verify.diagnosis import symptoms
from verify.errors import Cause


def codes() -> set[str]:
    """Return every code that a cause can have, as it stands in the source."""
    found = set()
    for path in MODULES.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                values = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
                if name.endswith(("Error", "Fault", "_fault")) and node.args:
                    values.append(node.args[0])
                found |= {value.value for value in values if isinstance(value, ast.Constant)}
    found |= {symptom.code for kind in (*symptoms.KINDS, symptoms.HARMLESS) for symptom in symptoms.table(kind)}
    return {code for code in found if isinstance(code, str) and code.replace("-", "").isalnum() and code.islower()}


def test_every_code_has_a_section_and_no_other():
    assert set(recorded_causes.examples()) == codes()


def test_an_example_that_no_test_met_is_found(monkeypatch, tmp_path):
    code, example = next(iter(recorded_causes.examples().items()))
    cause, _, hint = example.partition("\n  → ")
    severity, _, message = cause.removesuffix(f"  [{code}]").partition(": ")
    monkeypatch.setattr(recorded_causes, "recorded", set())
    assert code in recorded_causes.never_said()
    recorded_causes.record(Cause(code=code, severity=severity, message=message, hint=hint), tmp_path)
    assert set(recorded_causes.never_said()) == recorded_causes.examples().keys() - {code}


# --- commands and code of the pages ---------------------------------------------------------------------------------

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of that language on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def command_lines(page: Path) -> list[str]:
    """Return the lines of the page's shell blocks that call our command, those that a backslash breaks made one."""
    text = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
    parts = [part.strip() for line in text.splitlines() for part in line.split("&&")]
    return [part for part in parts if re.match(r"(python convert_and_verify\.py|xtts-verify)\b", part)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_line_on_the_pages_parses(page):
    for line in command_lines(page):
        words = shlex.split(line.split("<")[0].split("|")[0], comments=True)
        words = words[1:] if words[0] == "xtts-verify" else words[2:]
        if not {"--help", "--version"} & {*words}:  # which leave at once
            assert parser.parse(words), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_of_ours_that_a_page_starts_is_there(page):
    for module in re.findall(r"python -m ((?:tests|benchmarks|recipe|verify)[\w.]*)", page.read_text(encoding="utf-8")):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


def test_command_lines_are_found_on_the_pages():
    assert len(command_lines(ROOT / "README.md")) >= 2
    assert sum(len(command_lines(page)) for page in PAGES) >= 20


# What bash, PowerShell 5.1 and cmd do not all take as it stands; cmd hands single quotes on to the program.
ONE_SHELL_ONLY = re.compile(r"\\$|'|[<`]|\$\(|^export |;")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_the_pages_works_in_bash_powershell_and_cmd(page):
    for block in blocks(page, "sh"):
        commands = [line.partition("  #")[0].rstrip() for line in block.splitlines()]
        assert [line for line in commands if ONE_SHELL_ONLY.search(line)] == []
        for line in commands:
            if "&&" in line:  # which PowerShell 5.1 lacks: there it stands in two lines
                assert "\n".join(part.strip() for part in line.split("&&")) + "\n" in blocks(page, "powershell")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_on_the_pages_compiles(page):
    for block in blocks(page, "python"):
        compile(block, str(page), "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_on_the_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_lists_every_command_and_no_other():
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Commands")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)", section, re.MULTILINE)
    assert sorted(rows) == sorted("SOURCE" if name == "convert" else name for name in parser.COMMANDS)


def test_the_readme_takes_four_screens():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 180


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES if f"({page.name})" not in index and page.name != "README.md"] == []


def test_the_examples_of_help_parse(capsys):
    for name, command in parser.parser()._subparsers._group_actions[0].choices.items():
        examples = re.findall(r"^  python convert_and_verify\.py (.+)$", command.epilog, re.MULTILINE)
        assert examples
        for example in examples:
            assert parser.parse(shlex.split(example.split("<")[0])).command == name


def test_the_page_of_options_names_every_option_and_no_other():
    page = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    real = set()
    for action in parser.parser()._subparsers._group_actions[0].choices.values():
        real |= {option for item in action._actions for option in item.option_strings if option.startswith("--")}
    section = page.split("## Options")[1].split("\n## ")[0]
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", section))
    assert named == (real | {"--version", "--print-completion"}) - {"--help"}
