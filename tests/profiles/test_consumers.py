"""docs/consumers.md is true: its commands are run, each in a folder of its own, and its Python speaks."""

import re
import shlex
import shutil

import pytest
import soundfile

from tests.support.helpers import ROOT, run_cli
from verify import resources
from verify.profiles import profile

PAGE = (ROOT / "docs" / "consumers.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("python convert_and_verify.py ")
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    for line in block.splitlines()
]


def test_every_profile_has_its_command():
    assert {name for command in COMMANDS for name in re.findall(r"--profile (\S+)", command)} == set(profile.names())


@pytest.mark.parametrize("command", [command for command in COMMANDS if " -o " in command])
def test_a_command_of_the_page_runs(command, genuine_run, tmp_path, monkeypatch, capsys):
    """Loaded where voices are to be heard, else only converted: the main job's own tests let it speak."""
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(resources.DEFAULT_REFERENCE, "anna.wav")
    words = [str(genuine_run) if word == "RUN" else word for word in shlex.split(command)]
    heard = any(name in command for name in ("--speaker", "alltalk", "pandrator", "finetune-webui", "realtimetts"))
    code, out, err = run_cli(capsys, *words, "--no-sample" if heard else "--no-verify")
    assert code == 0, err
    assert out.strip() == words[-1]
    if "--profile" in words:
        assert "finds what it looks for" in err


def test_the_python_of_the_page_speaks(genuine_run, tmp_path, monkeypatch, capsys):
    """With a bound on the length, as untrained weights never stop, and with nothing that could read a clip."""
    import torchaudio
    from TTS.tts.models.xtts import Xtts

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torchaudio, "load", None)
    shutil.copyfile(resources.DEFAULT_REFERENCE, "anna.wav")
    command = next(command for command in COMMANDS if "--profile coqui" in command)
    words = [str(genuine_run) if word == "RUN" else word for word in shlex.split(command)]
    assert run_cli(capsys, *words, "--no-sample")[0] == 0
    inference = Xtts.inference
    monkeypatch.setattr(Xtts, "inference", lambda *a, **k: inference(*a, **k, max_new_tokens=12))
    exec(re.search(r"```python\n(.*?)```", PAGE, re.S)[1], {})
    assert soundfile.info("hello.wav").duration > 0.3
