"""What others do to the files meanwhile: names swapped for links and FIFOs, files laid into the output, a disk that fills."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import fsspec
import pytest

from tests.support import fuzz, seeds
from tests.support.helpers import ROOT, fingerprint
from verify.checkpoint import archive
from verify.conversion import writer
from verify.conversion.torch_zip import index_pickle as index
from verify.errors import OutputError
from verify.files import locking, staging
from verify.files.local import require_regular_file
from verify.source import config
from verify.sweeping import store

posix = pytest.mark.skipif(os.name == "nt", reason="links and FIFOs of POSIX")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def run(tmp_path) -> Path:
    return seeds.run_folder(tmp_path / "in" / "run")


def convert(run: Path | str, out: Path, *options: str) -> fuzz.Done:
    return fuzz.measure([str(run), "-o", str(out), "--no-verify", "--json", *options])


def meanwhile(monkeypatch, act) -> None:
    """Let `act` happen between the last look at the target and the moment when the output takes the name."""
    real = writer.write_model

    def write(*arguments):
        written = real(*arguments)
        act()
        return written

    monkeypatch.setattr(writer, "write_model", write)


# --- the output's name --------------------------------------------------------------------------------------------


def test_e2_a_file_of_others_that_came_into_the_output_meanwhile_stays(run, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert convert(run, out).code == 0
    before = fingerprint(out / "model.pth")
    meanwhile(monkeypatch, lambda: (out / "thesis.txt").write_text("mine"))
    done = convert(run, out, "--force")
    assert done.code == 2
    assert "thesis.txt" in done.err
    assert (out / "thesis.txt").read_text() == "mine"
    assert fingerprint(out / "model.pth") == before
    assert names(tmp_path) == ["in", "out"]


@posix
def test_e3_an_output_that_became_a_link_meanwhile_is_not_followed(run, tmp_path, monkeypatch):
    out, other = tmp_path / "out", tmp_path / "other"
    assert convert(run, out).code == 0
    shutil.copytree(out, other)
    before = fingerprint(other)

    def swap():
        shutil.rmtree(out)
        out.symlink_to(other)

    meanwhile(monkeypatch, swap)
    done = convert(run, out, "--force")
    assert done.code == 2
    assert "was replaced meanwhile" in done.err
    assert out.is_symlink()
    assert fingerprint(other) == before
    assert names(tmp_path) == ["in", "other", "out"]


@posix
def test_e3_an_output_that_turns_into_a_link_and_back_all_the_time_is_never_followed(run, tmp_path):
    out, other, done = tmp_path / "out", tmp_path / "other", threading.Event()
    other.mkdir()
    (other / "model.pth").write_text("mine")

    def swap():
        while not done.wait(0.003):
            with contextlib.suppress(OSError):
                if out.is_dir() and not out.is_symlink():
                    shutil.rmtree(out)
                out.symlink_to(other)
                time.sleep(0.003)
                out.unlink()

    rival = threading.Thread(target=swap)
    rival.start()
    try:
        codes = {convert(run, out, "--force").code for _ in range(20)}
    finally:
        done.set()
        rival.join()
    assert codes <= {0, 2}
    assert (other / "model.pth").read_text() == "mine"
    assert names(other) == ["model.pth"]
    assert [name for name in names(tmp_path) if name.startswith(".")] == []


def test_e9_two_sweeps_with_one_folder(tmp_path):
    with store.opened(tmp_path / "sweep", [], {"seeds": [0]}, force=False) as first:
        first.write("sweep.json", b"{}")
        for force in (False, True):
            with pytest.raises(OutputError, match="another run"), store.opened(tmp_path / "sweep", [], {"seeds": [0]}, force):  # fmt: skip
                pass
        with pytest.raises(OutputError, match="another run"), staging.staging(tmp_path / "sweep"):
            pass
    assert names(tmp_path) == ["sweep"]
    assert (tmp_path / "sweep" / "sweep.json").read_bytes() == b"{}"


@posix
def test_a_lock_that_is_a_link_is_not_written_through(run, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / ".out.lock").symlink_to(victim)
    assert convert(run, tmp_path / "out").code == 2
    assert victim.read_text() == "mine"
    assert not (tmp_path / "out").exists()


@posix
def test_a_leftover_that_is_a_link_is_not_followed(run, tmp_path):
    other = tmp_path / "other"
    (other / "replaced").mkdir(parents=True)
    (other / "replaced" / "model.pth").write_text("mine")
    (tmp_path / ".out.staging-0123abcd").symlink_to(other)
    assert convert(run, tmp_path / "out").code == 0
    assert (other / "replaced" / "model.pth").read_text() == "mine"


# --- the source ---------------------------------------------------------------------------------------------------


def test_e8_a_source_that_is_replaced_between_reading_its_index_and_its_data(run, tmp_path, monkeypatch):
    """Without checksums nothing in the bytes would tell: offsets of one file would be read in the other."""
    (run / "best_model_7.pth").unlink()
    model, other = run / "model.safetensors", seeds.safetensors()
    model.write_bytes(other)

    def swap(*_):
        (tmp_path / "new").write_bytes(other[:-1] + b"?")
        os.replace(tmp_path / "new", model)

    monkeypatch.setattr(writer.torch_zip, "index_pickle", lambda *arguments: swap() or index(*arguments))
    done = convert(run, tmp_path / "out")
    assert (done.code, done.document["causes"][0]["code"]) == (2, "source-changed")
    assert names(tmp_path) == ["in"]


def test_e8_a_file_in_a_store_that_is_replaced_between_its_index_and_its_data(run, tmp_path, monkeypatch):
    """The store's own word for the version is compared, as the two have one size and no checksums."""
    files = fsspec.filesystem("memory")
    for name in ("config.json", "vocab.json"):
        files.pipe_file(f"/changing/{name}", (run / name).read_bytes())
    model = seeds.safetensors()
    files.pipe_file("/changing/model.safetensors", model)
    swap = lambda: files.pipe_file("/changing/model.safetensors", model[:-1] + b"?")  # noqa: E731
    monkeypatch.setattr(writer.torch_zip, "index_pickle", lambda *arguments: swap() or index(*arguments))
    done = convert("memory://changing", tmp_path / "out")
    assert (done.code, done.document["causes"][0]["code"]) == (2, "source-changed"), done.err
    assert names(tmp_path) == ["in"]


@posix
@pytest.mark.parametrize("name", ["best_model_7.pth", "speakers_xtts.pth", "config.json", "vocab.json"])
def test_e8_a_file_that_becomes_a_fifo_is_not_waited_for(run, tmp_path, monkeypatch, name):
    looked = require_regular_file

    def swap(path):
        size = looked(path)
        if path.name == name:
            path.unlink()
            os.mkfifo(path)
        return size

    for module in (archive, config):
        monkeypatch.setattr(module, "require_regular_file", swap)
    with fuzz.deadline(20):
        done = convert(run, tmp_path / "out")
    assert not done.escaped
    assert done.code == (0 if name == "speakers_xtts.pth" else 2)
    assert "is not a regular file any more" in " ".join(done.err.split())


# --- names whose case is spelt otherwise --------------------------------------------------------------------------


def test_case_an_input_in_the_output_is_found_by_what_it_is_and_not_by_its_spelling(tmp_path, monkeypatch):
    """Windows and macOS take `INFERENCE` for `inference`; here a second name that is the same folder stands for that."""
    folder = tmp_path / "inference"
    folder.mkdir()
    (folder / "vocab.json").write_text("{}")
    other = tmp_path / "INFERENCE"
    if not other.exists():
        other.symlink_to(folder)
        monkeypatch.setattr(Path, "resolve", lambda self, strict=False: self)  # macOS keeps the spelling too
    with pytest.raises(OutputError, match="is the input"):
        staging.check_target(other, [folder / "vocab.json"], force=True)


def test_case_two_spellings_share_their_lock_and_leftovers_where_the_system_takes_them_for_one(tmp_path, monkeypatch):
    monkeypatch.setattr(locking, "CASE_BLIND", True)
    left = tmp_path / ".inference.staging-0123abcd" / "replaced"
    left.mkdir(parents=True)
    with staging.staging(tmp_path / "Inference"):
        assert (tmp_path / "Inference").is_dir()
        with pytest.raises(OutputError, match="another run"), staging.staging(tmp_path / "inference"):
            pass


CASEFOLD = """
truncate -s 16M {image} && mkfs.ext4 -q -O casefold {image} && mount -o loop {image} {mount} && mkdir {mount}/d \
&& chattr +F {mount}/d && mkdir {mount}/d/A && test -d {mount}/d/a && exec "$@"
"""
IN_CASEFOLD = """
import sys
from pathlib import Path
from tests.support import seeds
from tests.support.fuzz import measure
from verify.files import locking, staging
locking.CASE_BLIND = True
place = Path(sys.argv[1]) / "d"
run = seeds.run_folder(place / "run")
(run / "vocab.json").rename(run / "Vocab.JSON")
assert measure([str(run), "-o", str(place / "Out"), "--no-verify"]).code == 0
again = measure([str(run), "-o", str(place / "OUT"), "--no-verify"])
assert again.code == 2 and "exists already" in again.err, again.err
into = measure([str(run), "-o", str(place / "oUT"), "--no-verify", "--force", "--vocab", str(place / "out" / "VOCAB.json")])
assert into.code == 2 and "is the input" in into.err, into.err
onto = measure([str(run / "BEST_model_7.PTH"), "-o", str(place / "RUN"), "--no-verify", "--force"])
assert onto.code == 2 and "is the input" in onto.err, onto.err
assert measure([str(run), "-o", str(place / "OUT"), "--no-verify", "--force"]).code == 0
assert sorted(path.name.lower() for path in place.iterdir()) == ["a", "out", "run"]
print("held")
"""


def in_mount(tmp_path: Path, mount: str, code: str) -> str:
    """Run Python code with a mounted folder as its argument, in a mount namespace of its own; skip where that is denied."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        pytest.skip("mount namespaces are of Linux")
    folder = tmp_path / "mount"
    folder.mkdir()
    script = mount.format(image=tmp_path / "image", mount=folder)
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode and "Traceback" not in done.stderr:
        pytest.skip(f"cannot mount here: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_case_a_folder_that_ignores_case(tmp_path):
    assert "held" in in_mount(tmp_path, CASEFOLD, IN_CASEFOLD)


# --- a full disk --------------------------------------------------------------------------------------------------

TMPFS = 'mount -t tmpfs -o size=8m none {mount} && exec "$@"'
IN_TMPFS = """
import hashlib, json, shutil, sys
from pathlib import Path
from tests.support import seeds
from tests.support.fuzz import measure
from tests.support.kill_loop import MORE, contents
place = Path(sys.argv[1])
run = seeds.run_folder(place.parent / "in", checkpoint=seeds.checkpoint(more=MORE))  # 4.8 MB
said = []
def full(*options):
    done = measure([str(run), "-o", str(place / "out"), "--no-verify", "--json", *options])
    assert done.code == 2 and not done.escaped, (done.code, done.escaped, done.err)
    (cause,) = done.document["causes"]
    said.append(cause["code"])
def convert():
    assert measure([str(run), "-o", str(place / "out"), "--no-verify", "--force"]).code == 0
ballast = place / "ballast"
ballast.write_bytes(bytes(7_000_000))
full()                                        # known before the first byte
real, shutil.disk_usage = shutil.disk_usage, lambda path: real("/")
for room in [*range(200_000, 4_800_000, 250_000), *range(4_780_000, 4_820_000, 4096)]:  # found out while writing
    ballast.write_bytes(bytes(8 * 2**20 - room))
    full()
    assert [path.name for path in place.iterdir()] == ["ballast"], list(place.iterdir())
ballast.unlink()
convert()
old = contents(place / "out")
ballast.write_bytes(bytes(2_000_000))
full("--force")                               # the old output stays whole
assert contents(place / "out") == old
assert sorted(path.name for path in place.iterdir()) == ["ballast", "out"]
ballast.unlink()
shutil.rmtree(place / "out")
convert()
print(json.dumps(said))
"""


def test_e5_a_disk_that_is_full_at_any_byte(tmp_path):
    assert set(json.loads(in_mount(tmp_path, TMPFS, IN_TMPFS))) == {"disk-full"}


# --- two at once --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_e9_forty_races_for_one_output_leave_one_winner_whole(tmp_path):
    command = [sys.executable, "-m", "tests.support.kill_loop", "--races", "40"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["new: 0 and 2"] == 20
    assert seen.get("--force: 0 and 2", 0) + seen.get("--force: 0 and 0", 0) == 20


@pytest.mark.parametrize("share", ["//host/share", r"\\host\share", r"\/host/share", "https://host/share"])
def test_e10_shares_of_other_machines_are_not_looked_at(run, tmp_path, monkeypatch, share):
    """Windows would send the user's name and a hash of the password to the host that a config names."""
    config = json.loads((run / "config.json").read_text())
    config["model_args"]["tokenizer_file"] = f"{share}/vocab.json"
    config["datasets"] = [{"path": share}]
    config["test_sentences"] = [{"speaker_wav": [f"{share}/a.wav"]}]
    (run / "config.json").write_text(json.dumps(config))
    (run / "vocab.json").unlink()
    asked = []
    for name in ("stat", "scandir"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda path, *a, _real=real, **k: asked.append(str(path)) or _real(path, *a, **k))
    assert convert(run, tmp_path / "out").code == 2
    assert asked
    assert [path for path in asked if "host" in path] == []


# --- the end of the process ---------------------------------------------------------------------------------------

EXIT = """
import atexit, threading
from verify import background
from verify.cli import main as cli
atexit.register(lambda: print("orderly", flush=True))
def main():
    {work}
    return 2
cli.main = main
cli.run()
"""


@pytest.mark.parametrize(
    ("work", "said"), [("background.Background(threading.Event().wait, 60)", ""), ("pass", "orderly\n")]
)
def test_an_exit_does_not_wait_for_an_import_nor_end_the_interpreter_under_it(work, said):
    """A thread that imports torch while the interpreter is taken down around it can crash the process."""
    done = subprocess.run(
        [sys.executable, "-c", EXIT.format(work=work)], capture_output=True, text=True, cwd=ROOT, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, said, "")
