"""Every known way past a deny list ends in a refusal, and while they are read nothing is imported, run or written."""

import json
import os
import subprocess
import sys

import pytest

from tests.support import hostile
from tests.support.helpers import ROOT, fingerprint, run_cli
from tests.support.hostile import short, text
from verify.checkpoint import unpickle
from verify.checkpoint.archive import read_archive, read_voices
from verify.errors import ArchiveError, UnsafePickleError

FILES = hostile.all_files()


@pytest.mark.parametrize("what", FILES)
def test_c1_every_way_past_a_deny_list_is_refused(tmp_path, capsys, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    name, data = FILES[what]
    (tmp_path / name).write_bytes(data)
    before = fingerprint(tmp_path)
    with pytest.raises(ArchiveError):
        read_voices(tmp_path / name)
    code, out, err = run_cli(capsys, tmp_path / name, "--no-verify", "--json")
    assert code == 2
    assert json.loads(out)["causes"][0]["code"] not in {"internal", "system"}
    assert "Traceback" not in err
    assert fingerprint(tmp_path) == before  # no output, and nothing that the command would have made


@pytest.mark.parametrize("what", [*hostile.NAMES, *hostile.DOTTED])
def test_c1_the_name_is_said(tmp_path, what):
    name, data = FILES[what]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UnsafePickleError) as caught:
        read_archive(tmp_path / name)
    assert caught.value.cause.keys == (" ".join({**hostile.NAMES, **hostile.DOTTED}[what]),)


@pytest.mark.parametrize("what", [name for name in hostile.harmless() if name.startswith("a pickle")])
def test_a_pickle_that_is_the_bytes_of_a_weight_is_weights(tmp_path, what):
    name, data = hostile.harmless()[what]
    (tmp_path / name).write_bytes(data)
    assert [record.key for record in read_archive(tmp_path / name).tensors] == ["xtts.mel_stats"]


WATCHED = """
import json, os, sys
from verify.checkpoint.archive import read_archive, read_voices
from verify.errors import ConversionError
def read(path):
    from pathlib import Path
    for door in (read_archive, read_voices):
        try:
            door(Path(path))
        except ConversionError:
            pass
folder, sound = sys.argv[1:]
paths = sorted(os.path.join(folder, name) for name in os.listdir(folder))
read(sound)
events, on = [], False
QUIET = {"object.__getattr__", "object.__setattr__", "sys._getframe", "os.listdir"}
def hook(event, args):
    if on and event not in QUIET and not (event == "open" and type(args[0]) is int):  # a descriptor, opened before
        reads = event == "open" and not args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        events.append([event, str(args[:2]), reads])
sys.addaudithook(hook)
for path in paths:
    on = True
    read(path)
    on = False
print(json.dumps(events))
"""


def test_c1_while_a_hostile_file_is_read_python_opens_it_and_does_nothing_else(tmp_path):
    """An audit hook hears each import, compile, exec, process, socket and open of the interpreter."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number, (name, data) in enumerate({**FILES, **hostile.harmless()}.values()):
        (folder / f"{number}-{name}").write_bytes(data)
    (tmp_path / "sound.pth").write_bytes(hostile.harmless()["sound: a trainer's checkpoint"][1])
    command = [sys.executable, "-c", WATCHED, str(folder), str(tmp_path / "sound.pth")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    events = json.loads(done.stdout)
    assert len(events) >= 2 * len(FILES)
    assert [event for event in events if not (event[2] and str(folder) in event[1])] == []
    assert not list(tmp_path.rglob("pwned*"))
    assert not (ROOT / "pwned-by-a-checkpoint").exists()


# --- opcodes, one by one ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"\x80\x05\x97.",  # NEXT_BUFFER: an out-of-band buffer
        b"\x80\x05N\x98.",  # READONLY_BUFFER
        b"\x80\x05\x96\x04\0\0\0\0\0\0\0abcd.",  # BYTEARRAY8
        b"\x80\x04ccollections\nOrderedDict\n)}\x92.",  # NEWOBJ_EX of an allowed name
        b"\x80\x02(ccollections\nOrderedDict\no.",  # OBJ of an allowed name
        b"\x80\x02(icollections\nOrderedDict\n.",  # INST of an allowed name
        b"\x80\x02\x82\x01.",  # EXT1
        b"\x80\x02\x83\x01\x00.",  # EXT2
        b"\x80\x02\x84\x01\x00\x00\x00.",  # EXT4
        b"\x80\x04(K\x01\x91.",  # FROZENSET
        b"\x80\x02(K\x01K\x02e.",  # APPENDS on nothing
        b"\x80\x02K\x01(K\x01K\x02e.",  # APPENDS on a number
        b"\x80\x02]K\x01K\x02s.",  # SETITEM on a list
        b"\x80\x02)(K\x01K\x02u.",  # SETITEMS on a tuple
        b"\x80\x02" + text("abc") + b"(K\x01K\x02u.",  # SETITEMS on text
        b"\x80\x02}(K\x01u.",  # a key without a value
        b"\x80\x02N}b.",  # BUILD on None leaves None: refused by what reads it
        b"\x80\x02" + text("storage") + b"Q.",  # a persistent id that is text
        b"\x80\x02(" + text("module") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x01tQ.",  # a module
        b"\x80\x02(" + text("storage") + text("torch.FloatStorage") + text("0") + text("cpu") + b"K\x01tQ.",  # no class
        b"\x80\x02(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"J\xff\xff\xff\xfftQ.",
        b"\x80\x02ctorch._utils\n_rebuild_parameter\nK\x01\x85R.",  # a parameter on a number
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN\x85R.",
        b"\x80\x04" + short("os") + b"K\x01\x93.",  # STACK_GLOBAL of a number
        b"\x80\x04" + short("os") + b"\x93.",  # STACK_GLOBAL of one text
        b"\x80\x02c\n\n.",  # a name of nothing
        b"\x80\x02c_codecs\nencode\n" + text("x") + text("rot13") + b"\x86R.",
        b"\x80\x02ctorch\nFloatStorage\nN" + b"R.",  # calls without a tuple
    ],
)
def test_odd_opcodes_and_odd_arguments_are_refused(tmp_path, body):
    (tmp_path / "x.pth").write_bytes(hostile.container(body))
    with pytest.raises(ArchiveError) as caught:
        read_archive(tmp_path / "x.pth")
    assert caught.value.cause.code in {"bad-pickle", "unsafe-pickle", "truncated", "not-a-state-dict"}


@pytest.mark.parametrize(
    "call",
    [
        b"ctorch\nFloatStorage\nK\x05\x85R",
        b"cbuiltins\ndict\n)R",
        b"cbuiltins\nint\n" + text("9" * 100) + b"\x85R",
        b"ctorch.serialization\n_get_layout\n" + text("torch.strided") + b"\x85R",
        b"cnumpy\ndtype\n" + text("O8") + b"\x85R",
        b"ctorch\nfloat32\n)R",
        b"ccollections\ndefaultdict\ncbuiltins\nlist\n\x85R",
        b"cTTS.tts.models.xtts\nXttsArgs\n)\x81}" + text("__class__") + text("os") + b"sb",
    ],
)
def test_allowed_names_called_oddly_become_records_and_nothing_else(call):
    value, _ = unpickle.loads(b"\x80\x02" + call + b".")
    assert type(value).__module__ in {"builtins", "verify.checkpoint.allowlist"}


def test_a_second_pickle_behind_the_first_is_not_read(tmp_path):
    """torch stops at STOP too; what follows is bytes of nobody."""
    value, used = unpickle.loads(b"\x80\x02N." + b"\x80\x02" + hostile.SYSTEM + b".")
    assert (value, used) == (None, 4)


@pytest.mark.skipif(os.name == "nt", reason="a POSIX command")
def test_the_files_are_what_they_say(tmp_path):
    """The plainest of them, given to pickle, does run its command: the tests above would see it."""
    code = "import pickle, sys; pickle.loads(open(sys.argv[1], 'rb').read())"
    (tmp_path / "x").write_bytes(hostile.OPCODES["protocol 0"])
    subprocess.run([sys.executable, "-c", code, "x"], cwd=tmp_path, check=True)
    assert (tmp_path / "pwned-by-a-checkpoint").exists()
