"""What the command said while the tests ran: each cause as a person saw it, to hold the docs against."""

import json
import os
import re
import time
from pathlib import Path

CAUSES = Path(__file__).parent.parent.parent / "docs" / "causes.md"
MADE_AT_RANDOM = re.compile(r"test_fuzz|test_hostile|mutat")  # tests whose words nobody would learn from
MAX_WAIT_SECONDS = 240  # for tests that another process of `pytest -n` is still at
records: Path | None = None  # a folder with a file of each process


def begin(folder: Path) -> None:
    """Write what is said into a folder that all processes share."""
    global records
    folder.mkdir(exist_ok=True)
    records = folder


def finish(test: str) -> None:
    """Note that a test is done."""
    _write("finished", test)


def wait_for(tests: int) -> None:
    """Return when so many tests are done in all processes, or after a while."""
    stop = time.monotonic() + MAX_WAIT_SECONDS
    while len(_read("finished")) < tests and time.monotonic() < stop:
        time.sleep(0.2)


def all_said() -> dict[str, list[str]]:
    """Return for each code the causes as they were shown, paths made short."""
    found: dict[str, list[str]] = {}
    for code, text in _read("said"):
        found.setdefault(code, []).append(text)
    return found


def _write(kind: str, what) -> None:
    if records is not None:
        with open(records / f"{kind}-{os.getpid()}.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(what) + "\n")


def _read(kind: str) -> list:
    files = sorted(records.glob(f"{kind}-*.jsonl")) if records else ()
    return [
        json.loads(line)
        for file in files
        for line in file.read_text("utf-8").splitlines(keepends=True)
        if line.endswith("\n")
    ]


def record(cause, folder: Path) -> None:
    """Keep a cause that was shown, without the folders of this machine."""
    text = f"{cause.severity}: {cause.message}  [{cause.code}]" + (f"\n  → {cause.hint}" if cause.hint else "")
    if MADE_AT_RANDOM.search(os.environ.get("PYTEST_CURRENT_TEST", "")):
        return
    test = rf"{re.escape(str(folder))}(?:/popen-gw\d+)?/[^/\s;:,]+"
    text = re.sub(test, "run", re.sub(rf"{test}/", "", text))
    text = text.replace(f"{Path(__file__).parent.parent.parent}/", "")
    _write("said", (cause.code, text))


def masked(text: str) -> str:
    """Return the text with what differs from run to run and from machine to machine made equal: numbers and checksums."""
    return re.sub(r"0x[0-9a-f]+|\b[0-9a-f]{8}\b|[0-9][0-9,.]*", "#", " ".join(text.split()))


def examples() -> dict[str, str]:
    """Return the example that `docs/causes.md` shows for each code."""
    found = re.findall(r"^### `([a-z0-9-]+)`$(.*?)(?=^##|\Z)", CAUSES.read_text(encoding="utf-8"), re.M | re.S)
    blocks = {code: re.search(r"```text\n(.*?)```", body, re.S) for code, body in found}
    return {code: block[1].rstrip("\n") if block else "" for code, block in blocks.items()}


def write_examples() -> None:
    """Put what was said into `docs/causes.md` where its example was not: with a hint, about a real name, and short."""
    text, said = CAUSES.read_text(encoding="utf-8"), all_said()
    for code, example in examples().items():
        if code in said and masked(example) not in map(masked, said[code]):
            new = max(said[code], key=lambda text: ("→" in text, "gpt." in text, -len(text)))
            text = re.sub(
                rf"(^### `{code}`$.*?```text\n).*?(```)",
                lambda match, new=new: f"{match[1]}{new}\n{match[2]}",
                text,
                count=1,
                flags=re.M | re.S,
            )
    CAUSES.write_text(text, encoding="utf-8")
