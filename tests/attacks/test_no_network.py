"""No network, no process: the commands run with sockets forbidden, and ask for none."""

import json
import shutil
import subprocess
import sys

from tests.support.helpers import ROOT

# Runs commands with an audit hook that hears of every socket, name look-up and process, and refuses it.
FORBIDDEN = """
import json, sys
asked = []
def hook(event, args):
    if event.startswith(("socket.", "urllib.", "http.", "ftplib.", "smtplib.", "telnetlib.", "ssl.")) and event not in INNOCENT:
        asked.append([event, str(args)[:200]])
        raise PermissionError(event)
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.spawn"):
        asked.append([event, str(args)[:200]])
INNOCENT = {"socket.gethostname"}  # reads a name from the kernel
sys.addaudithook(hook)
from verify.cli import main as cli
codes = [cli.main(command) for command in json.loads(sys.argv[1])]
print(json.dumps({"codes": codes, "asked": asked}), file=sys.__stdout__)
"""


def forbidden(*commands: list, before: list[str] | None = None) -> dict:
    """Run the commands in one process without sockets; return their exit statuses and what they asked for."""
    words = json.dumps([[str(word) for word in command] for command in commands])
    command = [*(before or ()), sys.executable, "-c", FORBIDDEN, words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_inspect_and_the_conversion_ask_for_no_socket_and_no_process(genuine_run, tmp_path):
    calls = forbidden(
        ["inspect", genuine_run, "--json"],
        ["inspect", tmp_path / "nowhere.pth"],
        [genuine_run, "-o", tmp_path / "out", "--no-verify"],
    )
    assert calls == {"codes": [0, 2, 0], "asked": []}


def test_e10_a_config_full_of_addresses_asks_for_no_socket(make_run, tmp_path):
    def point(config):
        config["model_args"]["tokenizer_file"] = "https://example.com/vocab.json"
        config["datasets"] = [{"path": "https://example.com/data", "language": "en"}, {"path": "//example.com/share"}]
        config["test_sentences"] = [{"text": "x", "speaker_wav": ["https://example.com/a.wav", "//example.com/a.wav"]}]

    calls = forbidden([make_run(change_config=point), "-o", tmp_path / "out", "--no-verify"])
    assert calls == {"codes": [0], "asked": []}


def without_network() -> list[str]:
    """Return what begins a command so that it has no network at all, where this system and user can do that."""
    if (
        shutil.which("unshare")
        and subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return ["unshare", "-n"]
    return []


def test_the_whole_main_job_asks_for_no_socket(genuine_run, tmp_path):
    """On Linux as root it runs in a network namespace besides, where asking behind Python's back would fail."""
    job = [genuine_run, "-o", tmp_path / "out", "--expect", "sound", "--text", "Hi."]
    calls = forbidden(job, before=without_network())
    assert calls["codes"] == [0]
    assert [event for event in calls["asked"] if event[0].startswith(("socket.", "urllib.", "http."))] == []


def test_the_hook_does_hear_a_socket():
    code = FORBIDDEN.replace(
        "from verify.cli import main as cli", "class cli:\n    main = lambda w: __import__('socket').socket()"
    )
    done = subprocess.run([sys.executable, "-c", code, "[[]]"], capture_output=True, text=True, check=False)
    assert "PermissionError: socket.__new__" in done.stderr
