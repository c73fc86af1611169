"""What the command said while the tests ran: each cause as a person saw it, to hold the docs against."""

import os
import re
from pathlib import Path

CAUSES = Path(__file__).parent.parent / "docs" / "causes.md"
MADE_AT_RANDOM = re.compile(r"test_fuzz|test_hostile|mutat")  # tests whose words nobody would learn from
said: dict[str, list[str]] = {}  # code -> causes as they were shown, paths made short


def record(cause, folder: Path) -> None:
    """Keep a cause that was shown, without the folders of this machine."""
    text = f"{cause.severity}: {cause.message}  [{cause.code}]" + (f"\n  → {cause.hint}" if cause.hint else "")
    if MADE_AT_RANDOM.search(os.environ.get("PYTEST_CURRENT_TEST", "")):
        return
    test = rf"{re.escape(str(folder))}/[^/\s;:,]+"
    text = re.sub(test, "run", re.sub(rf"{test}/", "", text))
    text = text.replace(f"{Path(__file__).parent.parent}/", "")
    said.setdefault(cause.code, []).append(text)


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
    text = CAUSES.read_text(encoding="utf-8")
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
