"""Read a pickle as data. Nothing in it is imported, called or built: unknown names are listed, known ones become records.

This is a small machine for the pickle opcodes that `torch.save` writes (protocols 2 to 5), not a subclass of
`pickle.Unpickler`, so that no opcode has an effect beyond this module and every limit is ours.
"""

import struct
from collections.abc import Callable
from typing import Any

from verify.checkpoint.budget import Budget
from verify.checkpoint.pickle_machine import MARK, Machine
from verify.errors import ArchiveError

MAX_PICKLE_BYTES = 16 * 2**20  # a genuine trainer file of the real size has 0.25 MB
U2, I4, U4, U8, F8 = map(struct.Struct, ("<H", "<i", "<I", "<Q", ">d"))


def _memoize(m: Machine, index: int) -> None:
    m.memo[index] = m.stack[-1]


def _recall(m: Machine, index: int) -> None:
    if index not in m.memo:
        raise ArchiveError("bad-pickle", "data.pkl recalls a value that it did not store")
    m.stack.append(m.memo[index])


def _tuple(m: Machine, count: int) -> None:
    items = [m.pop() for _ in range(count)]
    m.stack.append(tuple(reversed(items)))


def _discard(m: Machine) -> None:
    if m.stack.pop() is MARK:
        m.marks -= 1


def _stack_global(m: Machine) -> None:
    name, module = m.pop(), m.pop()
    if not (isinstance(name, str) and isinstance(module, str)):
        raise ArchiveError("bad-pickle", "data.pkl builds a name out of something that is no text")
    m.name(module, name)


def _dict_of(m: Machine) -> None:
    items = m.since_mark()
    m.stack.append({})
    m.set_items(items)


def _set_item(m: Machine) -> None:
    value, key = m.pop(), m.pop()
    m.set_items([key, value])


# fmt: off
_OPCODES: dict[int, Callable[[Machine], Any]] = {
    0x80: lambda m: m.take(1),                                # PROTO
    0x95: lambda m: m.take(8),                                # FRAME
    ord("("): Machine.push_mark,
    ord("0"): _discard,                                       # POP
    ord("1"): Machine.since_mark,                            # POPMARK
    ord("2"): lambda m: m.stack.append(m.stack[-1]),          # DUP
    ord("N"): lambda m: m.stack.append(None),
    0x88: lambda m: m.stack.append(True),
    0x89: lambda m: m.stack.append(False),
    ord("J"): lambda m: m.stack.append(m.number(I4)),        # BININT
    ord("K"): lambda m: m.stack.append(m.byte()),
    ord("M"): lambda m: m.stack.append(m.number(U2)),
    0x8A: lambda m: m.stack.append(m.integer(m.byte())),      # LONG1
    ord("G"): lambda m: m.stack.append(m.number(F8)),        # BINFLOAT
    ord("X"): lambda m: m.stack.append(m.text(m.number(U4))),  # BINUNICODE
    0x8C: lambda m: m.stack.append(m.text(m.byte())),         # SHORT_BINUNICODE
    0x8D: lambda m: m.stack.append(m.text(m.number(U8))),    # BINUNICODE8
    ord("B"): lambda m: m.stack.append(m.take(m.number(U4))),  # BINBYTES
    ord("C"): lambda m: m.stack.append(m.take(m.byte())),
    ord("T"): lambda m: m.stack.append(m.take(m.number(U4))),  # BINSTRING
    ord("U"): lambda m: m.stack.append(m.take(m.byte())),
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
    ord("q"): lambda m: _memoize(m, m.byte()),                # BINPUT
    ord("r"): lambda m: _memoize(m, m.number(U4)),
    0x94: lambda m: _memoize(m, len(m.memo)),                 # MEMOIZE
    ord("h"): lambda m: _recall(m, m.byte()),                 # BINGET
    ord("j"): lambda m: _recall(m, m.number(U4)),
    ord("c"): lambda m: m.name(m.line(), m.line()),           # GLOBAL
    0x93: _stack_global,
    ord("R"): Machine.call,                                  # REDUCE
    0x81: Machine.call,                                      # NEWOBJ: a class and its arguments, the same shape
    ord("b"): Machine.build,
    ord("Q"): Machine.persistent,                            # BINPERSID
}
# fmt: on
_STOP = ord(".")


def loads(data: bytes, budget: Budget | None = None) -> tuple[Any, int]:
    """Return what the pickle describes, made of plain values and the records of `allowlist`, and its length in bytes.

    Args:
        budget: shared with the rest of the reading of this file.

    Raises:
        UnsafePickleError: it names anything that is not on the allow list; all such names are listed.
        ArchiveError: it is damaged, uses an opcode that `torch.save` never writes, or exceeds a limit.
    """
    budget = budget or Budget()
    machine, opcodes_left = Machine(data, budget), budget.left["opcodes"]
    try:
        for budget.left["opcodes"] in range(opcodes_left, -1, -1):  # as `spend` does, in a tenth of the time
            opcode = machine.byte()
            if opcode == _STOP:
                return _finish(machine), machine.position
            act = _OPCODES.get(opcode)
            if act is None:
                raise ArchiveError("bad-pickle", f"data.pkl uses opcode 0x{opcode:02x}, which torch.save never writes")
            act(machine)
        budget.spend("opcodes")
        raise AssertionError  # pragma: no cover: nothing is left
    except (IndexError, UnicodeDecodeError, struct.error) as error:
        machine.refuse_blocked()
        raise ArchiveError("bad-pickle", f"data.pkl is damaged near byte {machine.position:,}") from error
    except ArchiveError:
        machine.refuse_blocked()  # code in a damaged pickle is still the first thing to say
        raise


def _finish(machine: Machine) -> Any:
    machine.refuse_blocked()
    if len(machine.stack) != 1 or machine.stack[0] is MARK:
        raise ArchiveError("bad-pickle", "data.pkl does not end with one value")
    return machine.stack[0]
