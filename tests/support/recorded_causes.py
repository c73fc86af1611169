"""Every cause that the tests meet, to hold the examples of docs/causes.md against what the code really says.

Each process of `pytest -n` records its own; pytest-xdist brings them to the one that started the others, which compares
them with the page when the whole suite has run. With XTTS_VERIFY_WRITE_DOCS set it corrects the page instead.
"""

import os
import re
from pathlib import Path

from tests.support.helpers import ROOT
from verify.errors import Cause

PAGE = ROOT / "docs" / "causes.md"
MADE_AT_RANDOM = re.compile(r"test_fuzz|test_hostile|mutat")  # tests whose words nobody would learn from
recorded: set[tuple[str, str]] = set()  # (code, the cause as a person sees it)


def record(cause: Cause, folder: Path) -> None:
    """Keep a cause, without the names of this machine's folders; `folder` is where the tests keep theirs."""
    if MADE_AT_RANDOM.search(os.environ.get("PYTEST_CURRENT_TEST", "")):
        return
    text = f"{cause.severity}: {cause.message}  [{cause.code}]" + (f"\n  → {cause.hint}" if cause.hint else "")
    test_folder = rf"{re.escape(str(folder))}(?:/popen-gw\d+)?/[^/\s;:,]+"
    text = re.sub(test_folder, "run", re.sub(rf"{test_folder}/", "", text))
    text = re.sub(r"\btest_\w+\d\b", "run", text)  # the name of such a folder alone
    text = text.replace(f"{ROOT}/", "").encode(errors="replace").decode()  # file names that are no UTF-8 cannot be sent
    recorded.add((cause.code, text))


def without_numbers(text: str) -> str:
    """Return the text with numbers and checksums replaced, which differ from run to run and from machine to machine."""
    return re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{8}\b|[0-9][0-9,.]*", "#", " ".join(text.split()))


def examples() -> dict[str, str]:
    """Return the example that `docs/causes.md` shows for each code."""
    sections = re.findall(r"^### `([a-z0-9-]+)`$(.*?)(?=^##|\Z)", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    blocks = {code: re.search(r"```text\n(.*?)```", body, re.S) for code, body in sections}
    return {code: block[1].rstrip("\n") if block else "" for code, block in blocks.items()}


def never_said() -> list[str]:
    """Return the codes whose example on the page is not among the recorded causes."""
    texts = {(code, without_numbers(text)) for code, text in recorded}
    return [code for code, example in examples().items() if (code, without_numbers(example)) not in texts]


def correct_page() -> None:
    """Replace each example that was not recorded by a recorded cause: with a hint, about a real name, and short."""
    page = PAGE.read_text(encoding="utf-8")
    for code in never_said():
        texts = [text for other, text in recorded if other == code]
        if texts:
            best = max(texts, key=lambda text: ("→" in text, "gpt." in text, -len(text), text))
            section = re.compile(rf"(^### `{code}`$.*?```text\n).*?(```)", re.M | re.S)
            page = section.sub(lambda match, best=best: f"{match[1]}{best}\n{match[2]}", page, count=1)
    PAGE.write_text(page, encoding="utf-8")
