"""`--python`: the model is loaded and heard in other Pythons, and whatever those do, the rest of the job goes on."""

import io
import json
import os
import shlex
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from rich.console import Console

from tests.support.helpers import fingerprint, run_cli
from verify import ConversionError, Job
from verify.commands.verify import verify
from verify.places import interpreter, probing, trial
from verify.report import terminal

on_posix = pytest.mark.skipif(
    sys.platform == "win32", reason="a Python that is broken on purpose is a shell script here"
)


def broken_python(folder: Path, source: str) -> Path:
    """Make an environment whose Python is the one that runs, with this source as its `TTS`; return its folder."""
    (folder / "TTS").mkdir(parents=True)
    (folder / "TTS" / "__init__.py").write_text(source)
    (folder / "bin").mkdir()
    words = shlex.join(["exec", "env", f"PYTHONPATH={folder}", sys.executable])
    (folder / "bin" / "python").write_text(f'#!/bin/sh\n{words} "$@"\n')
    (folder / "bin" / "python").chmod(0o755)
    return folder


# what is in the way -> what its TTS does
BROKEN = {
    "without": "raise ModuleNotFoundError(\"No module named 'TTS'\", name='TTS')",
    "old": "raise ImportError(\"cannot import name 'isin_mps_friendly' from 'transformers.pytorch_utils' (x.py)\")",
    "crashes": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
    "talks": "import os, sys\nsys.stderr.write('noise ' * 1_000_000)\nsys.stderr.write(os.linesep + 'no licence key was found')\nsys.stderr.flush()\nos._exit(7)",
}


@pytest.fixture(scope="module")
def places(spoken_demo, tmp_path_factory):
    """(folder, its fingerprint before, result, what was said, Pythons) of `verify` with one good and four broken Pythons."""
    folder, home, said = spoken_demo[0] / "inference", tmp_path_factory.mktemp("pythons"), io.StringIO()
    before = fingerprint(folder)
    pythons = (sys.executable, *(broken_python(home / name, source) for name, source in BROKEN.items()))
    result = verify(Job(source=folder, texts="Can you hear me?", pythons=pythons, output=home / "heard"))
    terminal.show_outcome(result, Console(file=said, width=500))
    return folder, before, result, said.getvalue(), home


@on_posix
def test_the_model_speaks_in_another_python_as_it_does_here(places):
    folder, before, result, said, home = places
    document = result.to_json()
    place = document["places"][0]
    assert (place["python"], place["verdict"], place["ended_at"]) == (sys.executable, "pass", None)
    assert place["packages"]["torch"] == document["environment"]["torch"]
    assert place["sample"]["same_tokens"] is True
    assert place["sample"]["tokens"] == document["sample"]["tokens"]
    assert {check["name"] for check in place["sample"]["checks"]} >= {"speech share", "stop token"}
    assert set(place["seconds"]) == {"import", "load", "condition", "speak"}
    assert (home / "heard" / place["sample"]["path"]).stat().st_size == (home / "heard" / "sample.wav").stat().st_size
    assert "loads and speaks, token for token as here" in said
    assert fingerprint(folder) == before, "something was written into the model's folder"


@on_posix
@pytest.mark.parametrize(
    ("number", "code", "says"),
    [
        (1, "environment", "coqui-tts, which brings the module TTS, is not installed"),
        (2, "environment", "transformers 5.1 took away isin_mps_friendly"),
        (3, "place-died", "it was ended by SIGSEGV while it imported coqui (crashes/TTS/__init__.py, line 2"),
        (
            4,
            "place-died",
            "it ended with status 7 while it imported coqui; the last that it said: no licence key was found",
        ),
    ],
)
def test_each_python_that_fails_has_its_cause_and_costs_no_other(places, number, code, says):
    place = places[2].to_json()["places"][number]
    (cause,) = place["causes"]
    assert (place["verdict"], place["ended_at"], cause["code"]) == ("fail", "import", code)
    assert says in cause["message"]
    assert len(cause["message"]) < 700
    if "pip" in cause["hint"]:
        assert f"{place['python']} -m pip install" in cause["hint"], "the pip on the path belongs to another Python"


@on_posix
def test_a_model_that_works_here_alone_is_an_error_of_the_environment(places):
    """Exit status 2: the model was verified, and it was the other Pythons that could not run it."""
    _, _, result, said, home = places
    assert (result.exit_code, result.verdict, result.causes) == (2, "error", ())
    assert "works in 1 of 5 other Pythons" in said
    page = (home / "heard" / "report.html").read_text(encoding="utf-8")
    assert "It loads and speaks here, but not in every Python that was tried" in page
    assert page.count("is not installed in the Python that ran") == 2  # on the first screen and in its row
    assert json.loads((home / "heard" / "report.json").read_text())["places"] == result.to_json()["places"]


@on_posix
def test_a_python_that_hangs_is_ended_with_all_that_it_started(tmp_path):
    source = "import subprocess, sys, time\nchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(90)'])\nprint(child.pid, flush=True)\ntime.sleep(90)"
    (python,) = interpreter.find_all((str(broken_python(tmp_path / "hangs", source)),))
    request = probing.Request(folder=tmp_path, device="cpu", seed=0, script=None, limit_seconds=1.0)
    answer = probing.ask(python, request)
    (cause,) = trial._causes(python, answer)
    assert cause.code == "place-hangs"
    assert "while it imported coqui, and was ended (hangs/TTS/__init__.py, line 4, in <module>)" in cause.message
    assert _ends(int(answer.ended.said.split()[0]))


def _ends(number: int) -> bool:
    """Whether a process that was killed ends; one that nobody buried counts as ended."""
    for _ in range(200):
        if not psutil.pid_exists(number) or psutil.Process(number).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


@on_posix
def test_a_sound_that_is_wrong_there_alone_is_laid_on_the_packages_there(places):
    """The same weights, text and seed pass here. And a clip that cannot be read there is a warning, as named voices need none."""
    result = replace(places[2], places=())
    sample = result.samples[0]
    spoken = probing.Sample(
        samples=np.zeros(24000, np.float32), rate_hz=24000, text=sample.text, language=sample.language, device="cpu", seed=0,
        tokens=21, token_bound=90, stopped=True, synthesis_seconds=1.0, codes=(1,),
    )  # fmt: skip
    clip_error = 'Traceback (most recent call last):\n  File "x.py", line 1\nImportError: TorchCodec is required for load_with_torchcodec'
    packages = {"coqui-tts": "0.26.2", "transformers": "4.52.1"}
    answer = probing.Answer(
        ended=probing.Ended(status=0, said=""), done=True, packages=packages, clip_error=clip_error, sample=spoken
    )
    there = interpreter.Interpreter(path=Path("bin/python"), version="3.11.7")
    place = trial._judged(there, answer, result)
    assert [cause.code for cause in place.causes] == ["place-reads-no-clip", "place-sounds-wrong"]
    assert "so the packages there are at fault" in place.causes[1].message
    assert (place.ok, place.same_tokens) == (False, False)
    whole = replace(result, places=(replace(place, causes=place.causes[:1]),))
    assert (whole.verdict, whole.exit_code) == ("warn", 0)


# --- which Python is meant ---------------------------------------------------------------------------------------------


@on_posix
def test_a_conversion_is_tried_before_it_is_published_and_needs_no_coqui_of_ours(genuine_run, tmp_path, capsys):
    lacking = broken_python(tmp_path / "lacking", BROKEN["without"])
    code, out, err = run_cli(capsys, genuine_run, "--no-verify", "--python", lacking, "-o", tmp_path / "out", "--json")
    assert code == 2, err
    document = json.loads(out)
    assert [cause["code"] for cause in document["places"][0]["causes"]] == ["environment"]
    assert (tmp_path / "out" / "model.pth").exists(), "the folder is whole: it was the other Python that failed"


@on_posix
@pytest.mark.parametrize("given", [".", "bin", "bin/python", "../app"])
def test_an_interpreter_its_environment_and_the_programs_folder_all_lead_to_it(given, tmp_path, monkeypatch):
    """AllTalk keeps its environment two folders below its own."""
    home = broken_python(tmp_path / "app" / "alltalk_environment" / "env", "")
    monkeypatch.chdir(home)
    (found,) = interpreter.find_all(("../.." if given == "../app" else given,))
    assert found.path == home / "bin" / "python"
    assert found.version == ".".join(map(str, sys.version_info[:3]))


def test_environments_of_windows_are_known_by_their_folders(tmp_path):
    for name in ("venv/Scripts/python.exe", "conda/python.exe"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.touch()
        assert interpreter._locate(str(tmp_path / name.split("/")[0])) == path
    (tmp_path / "conda" / "Library" / "bin").mkdir(parents=True)
    found = interpreter.environment(tmp_path / "conda" / "python.exe")["PATH"].split(os.pathsep)
    assert found[:2] == [str(tmp_path / "conda"), str(tmp_path / "conda" / "Library" / "bin")], "numpy's DLLs lie there"
    assert interpreter._locate(str(tmp_path / "venv" / "Scripts")) == tmp_path / "venv" / "Scripts" / "python.exe"


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def activate(home: Path) -> Path:
    path = broken_python(home / "env", "") / "bin" / "activate"
    path.touch()
    return path


@on_posix
@pytest.mark.parametrize(
    ("make", "says", "hint"),
    [
        (lambda home: home / "nowhere", "there is nothing at this path", "Pass the Python that the program runs in"),
        (lambda home: "", "no path was passed", "Pass the Python that the program runs in"),
        (lambda home: r"C:\AllTalk\env\python.exe", "there is nothing at this path", "It is a path of Windows"),
        (lambda home: home, "no Python is in this folder (looked for bin/python3", "Pass the Python that the program runs in"),
        (lambda home: script(home / "pip", "echo pip 24.0"), "asked for its version, it ended with status 0 and said: pip 24.0", "Pass the Python"),
        (lambda home: activate(home), "it cannot be started", "Did you mean"),
        (lambda home: script(home / "python", "echo xtts-verify 3.8.1"), "is Python 3.8.1; every coqui with XTTS needs 3.9 or newer", "Pass the Python"),
    ],
)  # fmt: skip
def test_what_is_no_python_is_refused_before_anything_is_read(make, says, hint, tmp_path, capsys):
    code, out, err = run_cli(capsys, "verify", tmp_path / "no-model", "--python", make(tmp_path), "--json")
    assert code == 2
    assert [cause["code"] for cause in json.loads(out)["causes"]] == ["no-python"]
    assert says in err
    assert hint in err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda copy: (copy / "vocab.json").rename(copy.parent / "vocab.json"), "lacks vocab.json"),
        (lambda copy: (copy / "model.pth").rename(copy / "best_model_7.pth"), "best_model_7.pth is no model.pth"),
    ],
)
def test_a_source_that_programs_do_not_open_is_refused(converted, tmp_path, change, says):
    folder = shutil.copytree(converted[0], tmp_path / "model", copy_function=os.link)
    change(folder)
    with pytest.raises(ConversionError, match=says) as caught:
        verify(Job(source=folder, pythons=(sys.executable,), vocab=converted[0] / "vocab.json"))
    assert caught.value.cause.code == "no-model-folder"


class _Touch:
    """Makes a file where somebody unpickles it."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize(("is_zip", "code"), [(True, "speakers-damaged"), (False, "no-model-folder")])
def test_hostile_speakers_are_handed_to_no_other_python(converted, tmp_path, is_zip, code):
    """TTS 0.22 unpickles whatever stands there; what was refused here, or not read, never gets that far."""
    import torch

    folder = shutil.copytree(converted[0], tmp_path / "model", copy_function=os.link)
    (folder / "speakers_xtts.pth").unlink()  # a link to that of all tests
    torch.save({"Ana": _Touch(tmp_path / "pwned")}, folder / "speakers_xtts.pth", _use_new_zipfile_serialization=is_zip)
    try:
        causes = verify(Job(source=folder, pythons=(sys.executable,), sample=False)).causes
    except ConversionError as error:
        causes = (error.cause,)
    assert code in [cause.code for cause in causes]
    assert not (tmp_path / "pwned").exists()
