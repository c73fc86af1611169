"""The inert reader: allow list only, nothing runs, every limit holds. Pickles are made of literal bytes."""

import pickle
import sys

import pytest

from verify.checkpoint import allowlist, pickle_machine, unpickle
from verify.checkpoint.budget import LIMITS
from verify.errors import ArchiveError, UnsafePickleError


def short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        255,
        65535,
        -5,
        2**31,
        -(2**40),
        1.5,
        "text",
        "Ж",
        b"bytes",
        [],
        [1, [2]],
        {},
        {"a": {"b": 1}},
        (),
        (1,),
        (1, 2, 3, 4),
    ],
)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_are_read_as_pickle_reads_them(value, protocol):
    assert unpickle.loads(pickle.dumps(value, protocol))[0] == value


@pytest.mark.parametrize(
    "module_name",
    [
        ("os", "system"), ("posix", "system"), ("nt", "system"), ("builtins", "eval"), ("builtins", "exec"), ("builtins", "getattr"),
        ("__builtin__", "eval"), ("subprocess", "Popen"), ("pip", "main"), ("pip._internal.cli.main", "main"), ("pkgutil", "resolve_name"),
        ("importlib", "import_module"), ("torch", "load"), ("torch.serialization", "load"), ("torch.hub", "load"), ("torch._utils", "__builtins__"),
        ("collections", "OrderedDict.__init__"), ("torch._utils", "_rebuild_tensor_v2.__globals__"), ("runpy", "run_path"), ("webbrowser", "open"),
        ("numpy.core.multiarray", "_reconstruct"), ("operator", "attrgetter"), ("functools", "partial"), ("asyncio.unix_events", "_UnixSubprocessTransport"),
        ("TTS.tts.models.xtts", "load_audio"), ("trainer.io", "load_fsspec"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("style", ["global", "stack_global", "memo_strings"])
def test_names_that_are_not_on_the_list_are_refused_however_they_are_spelt(module_name, style):
    module, name = module_name
    if style == "global":
        body = b"\x80\x02c" + f"{module}\n{name}\n".encode()
    elif style == "stack_global":
        body = b"\x80\x04" + short(module) + short(name) + b"\x93"
    else:  # strings come out of the memo, as scanners that look for literals beside STACK_GLOBAL miss them
        body = b"\x80\x04" + short(name) + b"\x940" + short(module) + b"h\x00\x93"
    with pytest.raises(UnsafePickleError) as caught:
        unpickle.loads(body + short("x") + b"\x85R.")
    assert f"{module}.{name}" in str(caught.value)


def test_every_blocked_name_is_listed():
    body = b"\x80\x02(cos\nsystem\ncbuiltins\neval\nl."
    with pytest.raises(UnsafePickleError) as caught:
        unpickle.loads(body)
    assert caught.value.cause.keys == ("os system", "builtins eval")


def test_code_in_a_damaged_pickle_is_named_before_the_damage():
    with pytest.raises(UnsafePickleError):
        unpickle.loads(b"\x80\x02cos\nsystem\n\xff")


def test_reading_imports_nothing():
    before = set(sys.modules)
    config = b"\x80\x02cTTS.tts.models.xtts\nXttsArgs\n)\x81}X\x01\x00\x00\x00aK\x05sb."
    value, _ = unpickle.loads(config)
    assert isinstance(value, allowlist.Instance)
    assert value.state == {"a": 5}
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    "body",
    [
        b"\x80\x02\x80",  # ends inside an opcode
        b"\x80\x02.",  # nothing on the stack
        b"\x80\x02(.",  # a mark left
        b"\x80\x02NN.",  # two values left
        b"\x80\x02h\x05.",  # recalls what was not stored
        b"\x80\x02t.",  # tuple without a mark
        b"\x80\x02Na.",  # appends to None
        b"\x80\x02K\x01K\x02K\x03s.",  # sets an item of a number
        b"\x80\x02}]K\x01s.",  # an unhashable key
        b"\x80\x02}K\x01\x85K\x01s.",  # a tuple as key: exponential to hash when nested
        b"\x80\x02K\x05Q.",  # a persistent id that is no storage
        b"\x80\x02X\x03\x00\x00\x00foo\x85Q.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",  # a tensor of nothing
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00))\x89NtR.",  # a tensor on a number
        b"\x80\x02cos\n",  # a name that does not end
        b"\x80\x02X\xff\xff\xff\xff.",  # text of 4 GB
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.",  # text of 8 EB
        b"\x80\x02\x8a\xff" + b"\x01" * 255 + b".",  # an integer of 255 bytes
        b"\x80\x02X\x01\x00\x00\x00\xff.",  # no UTF-8
        b"\x80\x02i__main__\nX\n.",  # INST, which torch never writes
        b"\x80\x02P0\n.",  # PERSID
        b"\x80\x02\x82\x01.",  # EXT1: the copyreg extension registry
    ],
)
def test_damage_is_an_error_and_never_an_exception_of_python(body):
    with pytest.raises(ArchiveError):
        unpickle.loads(body)


def test_a_huge_memo_index_costs_no_memory():
    """CPython's own unpickler would allocate the memo up to this index: 32 GB."""
    assert unpickle.loads(b"\x80\x02Nr\xff\xff\xff\x7f.")[0] is None


def test_limits_on_opcodes_and_open_containers():
    with pytest.raises(ArchiveError, match="opcodes"):
        unpickle.loads(b"\x80\x02" + b"N0" * LIMITS["opcodes"].most)
    with pytest.raises(ArchiveError, match="inside one another"):
        unpickle.loads(b"\x80\x02" + b"(" * (pickle_machine.MAX_MARKS + 1))
