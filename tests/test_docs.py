"""The docs are true: every code has a section, and each example is what the command said while these tests ran."""

import ast
import os

import pytest

from tests import said
from tests.test_house import MODULES


def codes() -> set[str]:
    """Return every code that a cause can have, as it stands in the source."""
    found = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                values = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
                if name.endswith(("Error", "Fault", "_fault")) and node.args:
                    values.append(node.args[0])
                found |= {value.value for value in values if isinstance(value, ast.Constant)}
    return {code for code in found if isinstance(code, str) and code.replace("-", "").isalnum() and code.islower()}


def test_every_code_has_a_section_and_no_other():
    assert set(said.examples()) == codes()


@pytest.mark.last
def test_every_example_was_said_while_these_tests_ran(request):
    if request.session.testscollected < 500:
        pytest.skip("needs the whole suite: its tests make the examples")
    said.wait_for(request.session.testscollected - 1)
    if os.environ.get("XTTS_VERIFY_WRITE_DOCS"):
        said.write_examples()
    all_said = said.all_said()
    unsaid = {
        code: example
        for code, example in said.examples().items()
        if said.masked(example) not in map(said.masked, all_said.get(code, ()))
    }
    assert unsaid == {}
