"""Files that run a command when loaded with `torch.load(weights_only=False)` or pickle, or that hide such a pickle.

Each is a way past a scanner with a deny list. None is ever loaded here; the command would only create a file.
"""

import io
import struct
import tarfile
import zipfile
import zlib

from tests.support import seeds

COMMAND = "touch pwned-by-a-checkpoint"


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def short(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def called(module: str, attribute: str, argument: str = COMMAND, stacked: bool = False) -> bytes:
    """Return the opcodes of a call with one string argument."""
    function = short(module) + short(attribute) + b"\x93" if stacked else f"c{module}\n{attribute}\n".encode()
    return function + text(argument) + b"\x85R"


SYSTEM = called("posix", "system")


def index(body: bytes, protocol: int = 2) -> bytes:
    """Return the index of a valid checkpoint of one tensor, with the value of the opcodes `body` under the key `extra`."""
    model = seeds.pickled({"xtts.mel_stats": seeds.Tensor("0", (80,))}, 2)[2:-1]
    return b"\x80" + bytes([protocol]) + b"}(" + text("extra") + body + text("model") + model + b"u."


def container(pickled: bytes, storage: bytes | None = None, **members: bytes) -> bytes:
    return seeds.zipped(
        {"x/data.pkl": pickled, "x/data/0": storage or seeds.floats(80), **members, "x/version": b"3\n"}
    )


# --- names that deny lists forget ---------------------------------------------------------------------------------

NAMES = {
    "os.system": ("posix", "system"),
    "builtins.eval": ("builtins", "eval"),
    "pip.main": ("pip", "main"),
    "pip._internal.cli.main": ("pip._internal.cli.main", "main"),
    "ensurepip._run_pip": ("ensurepip", "_run_pip"),
    "pkgutil.resolve_name": ("pkgutil", "resolve_name"),
    "torch.hub.load": ("torch.hub", "load"),
    "torch.utils.bottleneck run_cprofile": ("torch.utils.bottleneck.__main__", "run_cprofile"),
    "torch._dynamo.guards compile": ("torch._dynamo.guards", "GuardBuilder.get"),
    "numpy.f2py.crackfortran myeval": ("numpy.f2py.crackfortran", "myeval"),
    "numpy.testing runstring": ("numpy.testing._private.utils", "runstring"),
    "timeit.timeit": ("timeit", "timeit"),
    "cProfile.run": ("cProfile", "run"),
    "doctest.debug_script": ("doctest", "debug_script"),
    "code.InteractiveInterpreter.runcode": ("code", "InteractiveInterpreter.runcode"),
    "idlelib.pyshell": ("idlelib.pyshell", "ModifiedInterpreter.runcode"),
    "asyncio subprocess transport": ("asyncio.unix_events", "_UnixSubprocessTransport._start"),
    "ctypes.CDLL": ("ctypes", "CDLL"),
    "distutils.file_util.write_file": ("distutils.file_util", "write_file"),
    "uuid._get_command_stdout": ("uuid", "_get_command_stdout"),
    "trainer.io.load_fsspec": ("trainer.io", "load_fsspec"),
}
DOTTED = {
    "a dotted path through logging": ("logging", "os.system"),
    "a dotted path through torch": ("torch._utils", "_rebuild_tensor_v2.__globals__"),
}

# --- opcodes and memo ---------------------------------------------------------------------------------------------

MEMO = short("system") + b"\x940" + short("posix") + b"h\x00\x93" + text(COMMAND) + b"\x85R"
RESOLVED = called("pkgutil", "resolve_name", "os:system") + text(COMMAND) + b"\x85R"
NESTED = b"c_pickle\nloads\nB" + struct.pack("<I", len(SYSTEM) + 3) + b"\x80\x02" + SYSTEM + b"." + b"\x85R"
OPCODES = {
    "STACK_GLOBAL of strings out of the memo": index(MEMO, 4),
    "pkgutil.resolve_name called twice": index(RESOLVED),
    "a pickle in bytes, for pickle.loads": index(NESTED),
    "code, then a broken opcode": b"\x80\x02" + SYSTEM + b"\xff\xff.",
    "code, then no STOP": b"\x80\x02" + SYSTEM,
    "INST": index(b"(" + text(COMMAND) + b"iposix\nsystem\n"),
    "OBJ": index(b"(cposix\nsystem\n" + text(COMMAND) + b"o"),
    "NEWOBJ_EX": index(b"csubprocess\nPopen\n" + text(COMMAND) + b"\x85}" + text("shell") + b"\x88s\x92", 4),
    "BUILD calls a __setstate__": index(b"ctorch.nn.modules.module\nModule\n)\x81}" + text("forward") + SYSTEM + b"sb"),
    "BUILD on a dictionary": index(b"}}" + text("__class__") + SYSTEM + b"sb"),
    "SETITEM on a module's globals": index(b"cbuiltins\n__dict__\n" + text("len") + SYSTEM + b"s"),
    "APPENDS on a partial": index(b"cfunctools\npartial\ncposix\nsystem\n\x85R(" + text(COMMAND) + b"e"),
    "a persistent id that calls": index(SYSTEM + b"Q"),
    "EXT1: the copyreg registry": index(b"\x82\x01)R"),
    "protocol 0": f"cposix\nsystem\n(V{COMMAND}\ntR.".encode(),
}

# --- containers ---------------------------------------------------------------------------------------------------


def _patched(data: bytes, signature: bytes, offset: int, new: bytes) -> bytes:
    """Return the container with a field changed in the first record of this signature."""
    at = data.find(signature) + offset
    return data[:at] + new + data[at + len(new) :]


def encrypted_flag() -> bytes:
    """Return a container whose index has the encrypted flag, which torch ignores."""
    data = _patched(container(index(SYSTEM)), b"PK\x03\x04", 6, b"\x01\x00")
    return _patched(data, b"PK\x01\x02", 8, b"\x01\x00")


def bad_crc() -> bytes:
    """Return a container whose index has a wrong CRC-32, which torch ignores."""
    data = _patched(container(index(SYSTEM)), b"PK\x03\x04", 14, b"\1\2\3\4")
    return _patched(data, b"PK\x01\x02", 16, b"\1\2\3\4")


def other_local_name() -> bytes:
    """Return a container whose local header names another member than the directory does."""
    return _patched(container(index(SYSTEM)), b"PK\x03\x04", 30, b"x/safe.txt")


def two_indexes() -> bytes:
    """Return a container with a sound index in one folder and code in another."""
    return container(index(b"N"), **{"a/data.pkl": index(SYSTEM)})


def deflated() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", index(SYSTEM))
        archive.writestr("x/data/0", seeds.floats(80))
    return buffer.getvalue()


def tarred() -> bytes:
    """Return a tar of pickles, as the first torch wrote."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            data = b"\x80\x02" + SYSTEM + b"."
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def seven_zipped() -> bytes:
    """Return a 7z archive of one stored pickle: such models were published, and scanners did not open them."""
    data, name = b"\x80\x02" + SYSTEM + b".", "data.pkl\0".encode("utf-16-le")
    streams = (
        b"\x04\x06\x00\x01\x09" + bytes([len(data)]) + b"\x00\x07\x0b\x01\x00\x01\x01\x00\x0c" + bytes([len(data)])
    )
    header = b"\x01" + streams + b"\x00\x00\x05\x01\x11" + bytes([len(name) + 1]) + b"\x00" + name + b"\x00\x00"
    start = struct.pack("<QQI", len(data), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf'\x1c\x00\x04" + struct.pack("<I", zlib.crc32(start)) + start + data + header


def legacy() -> bytes:
    """Return what torch wrote before 1.6: a magic number, a version, system facts, then the object."""
    magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    return magic + b"\x80\x02M\xe9\x03." + b"\x80\x02}." + b"\x80\x02" + SYSTEM + b"." + b"\x80\x02]."


def all_files() -> dict[str, tuple[str, bytes]]:
    """Return title -> (file name, bytes) of every hostile file."""
    files = {title: ("model.pth", container(index(called(*name)))) for title, name in NAMES.items()}
    files |= {title: ("model.pth", container(index(called(*name, stacked=True), 4))) for title, name in DOTTED.items()}
    files |= {title: ("model.pth", container(pickled)) for title, pickled in OPCODES.items()}
    bare = b"\x80\x02" + SYSTEM + b"."
    return files | {
        "a bare pickle called .bin": ("model.bin", bare),
        "a bare pickle called .safetensors": ("model.safetensors", bare),
        "a container called .txt": ("model.txt", container(index(SYSTEM))),
        "the format before torch 1.6": ("model.pth", legacy()),
        "a tar called .pth": ("model.pth", tarred()),
        "a 7z called .pth": ("model.pth", seven_zipped()),
        "a deflated container": ("model.pth", deflated()),
        "an index with the encrypted flag": ("model.pth", encrypted_flag()),
        "an index with a bad CRC-32": ("model.pth", bad_crc()),
        "a local header of another name": ("model.pth", other_local_name()),
        "a second index in another folder": ("model.pth", two_indexes()),
    }


def harmless() -> dict[str, tuple[str, bytes]]:
    """Return valid files, and one with a pickle where nothing would load it, to count false alarms."""
    bare = (b"\x80\x02" + SYSTEM + b".").ljust(320, b"\0")
    return {
        "sound: a trainer's checkpoint": ("model.pth", seeds.checkpoint()),
        "sound: speakers_xtts.pth": ("speakers_xtts.pth", seeds.speakers()),
        "a pickle as the bytes of a weight": ("model.pth", container(index(b"N"), storage=bare)),
    }
