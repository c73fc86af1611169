"""What Windows and macOS do otherwise, simulated: names that are open, reserved, long, in other cases, in other accents."""

import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from tests.support.helpers import ROOT
from verify.errors import OutputError
from verify.files import local, locking, output, staging
from verify.files.location import parse_location


def held_open(monkeypatch, times: int):
    """Refuse the next renames, as Windows does while a scanner has a file open."""
    left, real = [times], os.rename

    def rename(old, new):
        if left[0]:
            left[0] -= 1
            raise PermissionError(13, "The process cannot access the file because it is being used by another process")
        real(old, new)

    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(staging, "PAUSES_SECONDS", (0.0, 0.0, 0.0))


def publish(target: Path, text: str = "new", replace: bool = False) -> None:
    with staging.staging(target) as stage:
        (stage.folder / "model.pth").write_text(text)
        staging.publish(stage, target, replace=replace)


def test_a_folder_that_somebody_has_open_for_a_moment_is_published_all_the_same(tmp_path, monkeypatch):
    held_open(monkeypatch, 3)
    publish(tmp_path / "out")
    assert (tmp_path / "out" / "model.pth").read_text() == "new"


def test_windows_flushes_files_and_no_folder(tmp_path, monkeypatch):
    opened, real = [], os.open
    with staging.staging(tmp_path / "out") as stage, monkeypatch.context() as patch:
        (stage.folder / "model.pth").write_text("new")
        patch.setattr(os, "open", lambda path, *more, **options: opened.append(path) or real(path, *more, **options))
        patch.setattr(os, "name", "nt")
        staging.publish(stage, tmp_path / "out", replace=False)
    assert [path.name for path in opened] == ["model.pth"]


def test_where_opening_cannot_be_told_not_to_wait_files_are_opened_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "x.pth").write_bytes(b"x")
    monkeypatch.delattr(os, "O_NONBLOCK")
    with local.open_regular(tmp_path / "x.pth") as file:
        assert file.read() == b"x"


def test_a_folder_that_stays_open_is_refused_and_the_old_output_keeps_its_name(tmp_path, monkeypatch):
    publish(tmp_path / "out", "old")
    held_open(monkeypatch, 4)
    with pytest.raises(OutputError, match="being used by another process"):
        publish(tmp_path / "out", replace=True)
    assert (tmp_path / "out" / "model.pth").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_staging_folder_whose_files_are_open_for_a_moment_is_removed_all_the_same(tmp_path, monkeypatch):
    left, real = [4], os.unlink

    def unlink(path, **options):
        if left[0]:
            left[0] -= 1
            raise PermissionError(13, "in use")
        real(path, **options)

    monkeypatch.setattr(staging, "PAUSES_SECONDS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(os, "unlink", unlink)
    with staging.staging(tmp_path / "out") as stage:
        (stage.folder / "model.pth").write_text("x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["NUL", "con", "aux.pth", "COM1", "out.", "out "])
def test_names_that_windows_keeps_for_devices_or_changes_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(OutputError) as caught:
        output.refuse_inputs(tmp_path / name, [])
    assert caught.value.cause.code == "cannot-write"
    output.refuse_inputs(tmp_path / "console", [])


def test_a_path_too_long_for_windows_is_told_with_its_length(tmp_path, monkeypatch):
    target = tmp_path / ("x" * 240)

    def too_long(*_, **__):
        raise FileNotFoundError(3, "The system cannot find the path specified")

    monkeypatch.setattr(sys, "platform", "win32")
    with locking.locked(target):  # filelock chose its system when it was imported
        monkeypatch.setattr(Path, "mkdir", too_long)
        with pytest.raises(OutputError, match="Windows takes 259"):
            staging._make(target / "files")


def test_an_accent_is_one_however_it_is_written_where_the_system_takes_it_for_one(tmp_path, monkeypatch):
    monkeypatch.setattr(locking, "CASE_BLIND", True)
    composed, apart = (unicodedata.normalize(form, "Modèle") for form in ("NFC", "NFD"))
    left = tmp_path / unicodedata.normalize("NFD", ".modèle.staging-0123abcd") / "files"
    left.mkdir(parents=True)
    with staging.staging(tmp_path / composed):
        assert not left.exists()
        with pytest.raises(OutputError, match="another run"), staging.staging(tmp_path / apart):
            pass


@pytest.mark.parametrize("text", ["C:\\run\\x.pth", "C:/run", "C:model.pth", "c:", "\\\\server\\share\\x.pth", "\\\\?\\C:\\x"])  # fmt: skip
def test_drive_letters_and_shares_are_paths_and_no_urls(text):
    assert parse_location(text) == Path(text)


def test_json_has_the_same_bytes_on_each_system(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "linesep", "\r\n")
    local.write_json(tmp_path / "x.json", {"a": 1})
    assert (tmp_path / "x.json").read_bytes() == b'{\n  "a": 1\n}\n'
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {"a": 1}


def test_every_text_file_is_opened_with_its_encoding_named():
    """Without one, Windows takes the code page of the console's language."""
    import ast

    strays = []
    for path in (Path(staging.__file__).parent.parent).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(getattr(node, "func", None), "attr", "")
            given = {keyword.arg for keyword in getattr(node, "keywords", ())}
            if name in ("read_text", "write_text") and "encoding" not in given and not node.args[1:]:
                strays.append(f"{path.name}:{node.lineno}")
    assert [stray for stray in strays if not stray.startswith("workers.py")] == []  # files of Linux, in ASCII


def test_the_tool_forks_nowhere_and_asks_for_nothing_that_linux_alone_has():
    """Windows has no fork; neither it nor macOS has /proc, namespaces or copy_file_range."""
    absent = re.compile(r"os\.(fork|forkpty|copy_file_range|unshare)\b|get_context\((?!\"spawn\"\))|\"/proc\b")
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "verify").rglob("*.py")}
    assert [path for path, source in sources.items() if absent.search(source)] == []
    assert sum('get_context("spawn")' in source for source in sources.values()) == 1


def test_where_windows_has_no_other_signals_ctrl_c_is_heard():
    code = (
        "import signal\nfor name in ('SIGTERM', 'SIGHUP'):\n    hasattr(signal, name) and delattr(signal, name)\n"
        "from verify.cli import signals\nsignals.listen()\n"
        "try:\n    signal.raise_signal(signal.SIGINT)\nexcept KeyboardInterrupt:\n    print(signals.exit_status())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "130"
