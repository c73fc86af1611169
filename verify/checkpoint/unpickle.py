"""Read a pickle as data. Nothing in it is imported, called or built: unknown names are listed, known ones become records.

This is a small machine for the pickle opcodes that `torch.save` writes (protocols 2 to 5), not a subclass of
`pickle.Unpickler`, so that no opcode has an effect beyond this module and every limit is ours.
"""

import struct
from collections.abc import Callable
from typing import Any

from verify.checkpoint.inert import ALLOWED, CALLS, SCALARS, TENSOR_KINDS, Global, Instance, OddTensor, Storage
from verify.errors import ArchiveError, UnsafePickleError

# A genuine XTTS trainer file of the real size has 0.5 MB of pickle and about 120,000 opcodes.
MAX_PICKLE_BYTES = 16 * 2**20
MAX_OPCODES = 2_000_000
MAX_INTEGER_BYTES = 16
MAX_MARKS = 200
MAX_BLOCKED = 1000


class _Mark:
    """The one value that MARK pushes."""


_MARK = _Mark()


class _Machine:
    """One run over one pickle: a stack, a memo, and the names that were not allowed."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.blocked: dict[str, None] = {}
        self.marks = 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes of the pickle."""
        chunk = self.data[self.position : self.position + count]
        if len(chunk) != count:
            raise ArchiveError("truncated", "data.pkl ends in the middle of a value")
        self.position += count
        return chunk

    def number(self, layout: struct.Struct) -> Any:
        return layout.unpack(self.take(layout.size))[0]

    def text(self, count: int) -> str:
        return self.take(count).decode("utf-8")

    def line(self) -> str:
        """Return the text up to the next newline."""
        end = self.data.find(b"\n", self.position, self.position + 1024)
        if end < 0:
            raise ArchiveError("bad-pickle", "a name in data.pkl does not end")
        return self.take(end + 1 - self.position)[:-1].decode("utf-8", "replace")

    def integer(self, count: int) -> int:
        """Return a little-endian integer of `count` bytes."""
        if count > MAX_INTEGER_BYTES:
            raise ArchiveError(
                "bad-pickle", f"data.pkl holds an integer of {count} bytes; {MAX_INTEGER_BYTES} is the limit"
            )
        return int.from_bytes(self.take(count), "little", signed=True)

    def push_mark(self) -> None:
        """Begin a container; how many may be open is bounded."""
        self.marks += 1
        if self.marks > MAX_MARKS:
            raise ArchiveError("pickle-limit", f"data.pkl opens more than {MAX_MARKS} containers inside one another")
        self.stack.append(_MARK)

    def since_mark(self) -> list[Any]:
        """Return what stands above the last mark, and take both off the stack."""
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                items = self.stack[index + 1 :]
                del self.stack[index:]
                self.marks -= 1
                return items
        raise ArchiveError("bad-pickle", "data.pkl closes a container that it did not open")

    def pop(self) -> Any:
        """Return the top of the stack, which must be no mark."""
        value = self.stack.pop()
        if value is _MARK:
            raise ArchiveError("bad-pickle", "data.pkl takes a value that is not there")
        return value

    def name(self, module: str, name: str) -> None:
        """Push a name as text; one that is not on the allow list is noted for the refusal."""
        full = f"{module} {name}"
        if full not in ALLOWED:
            self.blocked[full] = None
            if len(self.blocked) >= MAX_BLOCKED:
                _refuse_blocked(self)
        self.stack.append(Global(full))

    def call(self) -> None:
        """Push the record of a call, made of its name and arguments."""
        args, function = self.pop(), self.pop()
        name = function.name if isinstance(function, Global) else ""
        if not isinstance(args, tuple):
            raise ArchiveError("bad-pickle", "data.pkl calls something without arguments")
        if name in TENSOR_KINDS:
            dtype = next((arg.name for arg in args if isinstance(arg, Global) and arg.name.startswith("torch ")), "")
            self.stack.append(OddTensor(dtype.removeprefix("torch ") or TENSOR_KINDS[name]))
        elif name in CALLS:
            self.stack.append(CALLS[name](*args))
        else:
            self.stack.append(Instance(name, args))

    def persistent(self) -> None:
        """Push the storage that a persistent id describes."""
        pid = self.pop()
        if not (isinstance(pid, tuple) and len(pid) in (5, 6) and pid[0] == "storage" and isinstance(pid[1], Global)):
            raise ArchiveError("bad-pickle", "a persistent id in data.pkl is not a storage")
        _, kind, member, _, elements = pid[:5]  # the legacy format adds a view
        if not (isinstance(member, str) and type(elements) is int and elements >= 0):
            raise ArchiveError("bad-pickle", "a storage in data.pkl has no valid name and length")
        self.stack.append(Storage(kind.name.rpartition(" ")[2].removesuffix("Storage"), member, elements))

    def build(self) -> None:
        """Give an object its state."""
        state = self.pop()
        if self.stack and isinstance(self.stack[-1], Instance):
            self.stack[-1].state = state
        # An OrderedDict of a state dict gets its `_metadata` so; a plain dict needs none of it.

    def set_items(self, items: list[Any]) -> None:
        """Set keys and values, which alternate in `items`, in the dictionary on top of the stack."""
        target = self.stack[-1]
        if len(items) % 2:
            raise ArchiveError("bad-pickle", "a dictionary in data.pkl has a key without a value")
        if isinstance(target, Instance):
            return  # an object of a name that is not allowed: it is refused at the end
        if not isinstance(target, dict):
            raise ArchiveError("bad-pickle", "data.pkl sets items of something that is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Only scalars: hashing nested tuples is exponential in the length of a hostile pickle.
            if not isinstance(key, SCALARS):
                raise ArchiveError("bad-pickle", f"a dictionary in data.pkl has a key of type {type(key).__name__}")
            target[key] = value

    def extend(self, items: list[Any]) -> None:
        """Append to the list on top of the stack."""
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Instance):
            raise ArchiveError("bad-pickle", "data.pkl appends to something that is no list")


def _struct(code: str) -> struct.Struct:
    return struct.Struct(code)


_U1, _U2, _I4, _U4, _U8, _F8 = map(_struct, ("<B", "<H", "<i", "<I", "<Q", ">d"))


def _memoize(m: _Machine, index: int) -> None:
    m.memo[index] = m.stack[-1]


def _recall(m: _Machine, index: int) -> None:
    if index not in m.memo:
        raise ArchiveError("bad-pickle", "data.pkl recalls a value that it did not store")
    m.stack.append(m.memo[index])


def _tuple(m: _Machine, count: int) -> None:
    items = [m.pop() for _ in range(count)]
    m.stack.append(tuple(reversed(items)))


def _discard(m: _Machine) -> None:
    if m.stack.pop() is _MARK:
        m.marks -= 1


def _stack_global(m: _Machine) -> None:
    name, module = m.pop(), m.pop()
    if not (isinstance(name, str) and isinstance(module, str)):
        raise ArchiveError("bad-pickle", "data.pkl builds a name out of something that is no text")
    m.name(module, name)


def _dict_of(m: _Machine) -> None:
    items = m.since_mark()
    m.stack.append({})
    m.set_items(items)


def _set_item(m: _Machine) -> None:
    value, key = m.pop(), m.pop()
    m.set_items([key, value])


# fmt: off
_OPCODES: dict[int, Callable[[_Machine], Any]] = {
    0x80: lambda m: m.take(1),                                # PROTO
    0x95: lambda m: m.take(8),                                # FRAME
    ord("("): _Machine.push_mark,
    ord("0"): _discard,                                       # POP
    ord("1"): _Machine.since_mark,                            # POP_MARK
    ord("2"): lambda m: m.stack.append(m.stack[-1]),          # DUP
    ord("N"): lambda m: m.stack.append(None),
    0x88: lambda m: m.stack.append(True),
    0x89: lambda m: m.stack.append(False),
    ord("J"): lambda m: m.stack.append(m.number(_I4)),        # BININT
    ord("K"): lambda m: m.stack.append(m.number(_U1)),
    ord("M"): lambda m: m.stack.append(m.number(_U2)),
    0x8A: lambda m: m.stack.append(m.integer(m.number(_U1))),  # LONG1
    ord("G"): lambda m: m.stack.append(m.number(_F8)),        # BINFLOAT
    ord("X"): lambda m: m.stack.append(m.text(m.number(_U4))),  # BINUNICODE
    0x8C: lambda m: m.stack.append(m.text(m.number(_U1))),    # SHORT_BINUNICODE
    0x8D: lambda m: m.stack.append(m.text(m.number(_U8))),    # BINUNICODE8
    ord("B"): lambda m: m.stack.append(m.take(m.number(_U4))),  # BINBYTES
    ord("C"): lambda m: m.stack.append(m.take(m.number(_U1))),
    ord("T"): lambda m: m.stack.append(m.take(m.number(_U4))),  # BINSTRING
    ord("U"): lambda m: m.stack.append(m.take(m.number(_U1))),
    ord("]"): lambda m: m.stack.append([]),
    ord("}"): lambda m: m.stack.append({}),
    ord(")"): lambda m: m.stack.append(()),
    0x8F: lambda m: m.stack.append([]),                       # EMPTY_SET, kept as a list
    ord("a"): lambda m: m.extend([m.pop()]),
    ord("e"): lambda m: m.extend(m.since_mark()),
    0x90: lambda m: m.extend(m.since_mark()),                 # ADDITEMS
    ord("s"): _set_item,
    ord("u"): lambda m: m.set_items(m.since_mark()),
    ord("d"): _dict_of,
    ord("l"): lambda m: m.stack.append(m.since_mark()),
    ord("t"): lambda m: m.stack.append(tuple(m.since_mark())),
    0x85: lambda m: _tuple(m, 1),
    0x86: lambda m: _tuple(m, 2),
    0x87: lambda m: _tuple(m, 3),
    ord("q"): lambda m: _memoize(m, m.number(_U1)),           # BINPUT
    ord("r"): lambda m: _memoize(m, m.number(_U4)),
    0x94: lambda m: _memoize(m, len(m.memo)),                 # MEMOIZE
    ord("h"): lambda m: _recall(m, m.number(_U1)),            # BINGET
    ord("j"): lambda m: _recall(m, m.number(_U4)),
    ord("c"): lambda m: m.name(m.line(), m.line()),           # GLOBAL
    0x93: _stack_global,
    ord("R"): _Machine.call,                                  # REDUCE
    0x81: _Machine.call,                                      # NEWOBJ: a class and its arguments, the same shape
    ord("b"): _Machine.build,
    ord("Q"): _Machine.persistent,                            # BINPERSID
}
# fmt: on
_STOP = ord(".")


def loads(data: bytes) -> tuple[Any, int]:
    """Return what the pickle describes, made of plain values and this module's records, and the bytes it took.

    Raises:
        UnsafePickleError: it names anything that is not on the allow list; all such names are listed.
        ArchiveError: it is damaged, uses an opcode that `torch.save` never writes, or exceeds a limit.
    """
    machine = _Machine(data)
    try:
        for _ in range(MAX_OPCODES):
            opcode = machine.number(_U1)
            if opcode == _STOP:
                return _finish(machine), machine.position
            if opcode not in _OPCODES:
                raise ArchiveError("bad-pickle", f"data.pkl uses opcode 0x{opcode:02x}, which torch.save never writes")
            _OPCODES[opcode](machine)
    except (IndexError, UnicodeDecodeError, struct.error) as error:
        _refuse_blocked(machine)
        raise ArchiveError("bad-pickle", f"data.pkl is damaged near byte {machine.position:,}") from error
    except ArchiveError:
        _refuse_blocked(machine)  # code in a damaged pickle is still the first thing to say
        raise
    raise ArchiveError("pickle-limit", f"data.pkl has more than {MAX_OPCODES:,} opcodes")


def _refuse_blocked(machine: _Machine) -> None:
    if machine.blocked:
        names = ", ".join(name.replace(" ", ".") for name in list(machine.blocked)[:10])
        raise UnsafePickleError(
            "unsafe-pickle",
            f"the file asks Python to import {names}: no checkpoint needs that, and nothing of it was run",
            "Do not load this file with torch.load(weights_only=False). Get it from a source that you trust.",
            tuple(machine.blocked),
        )


def _finish(machine: _Machine) -> Any:
    _refuse_blocked(machine)
    if len(machine.stack) != 1 or machine.stack[0] is _MARK:
        raise ArchiveError("bad-pickle", "data.pkl does not end with one value")
    return machine.stack[0]
