"""The stack machine that runs a pickle. It changes nothing but its own stack, memo and list of blocked names."""

import struct
from typing import Any

from verify.checkpoint.allowlist import ALLOWED, CALLS, SCALARS, TENSOR_KINDS, Global, Instance, OddTensor, Storage
from verify.checkpoint.budget import MAX_KEY_NUMBER, Budget
from verify.errors import ArchiveError, TruncatedError, UnsafePickleError

MAX_INTEGER_BYTES = 16
MAX_MARKS = 200  # a genuine checkpoint opens 6 containers inside one another
MAX_BLOCKED = 1000
MAX_NAME_CHARACTERS = 200  # of a module, and of a name in it; the longest allowed one has 43
_MODULES = ("torch.nn.", "torchaudio.", "transformers.", "TTS.")  # what a pickled torch.nn.Module is made of


class Mark:
    """The one value that MARK pushes."""


MARK = Mark()


def _cut_short() -> ArchiveError:
    return TruncatedError("truncated", "data.pkl ends in the middle of a value")


class Machine:
    """The state of one run over one pickle: a stack, a memo, and the blocked names."""

    def __init__(self, data: bytes, budget: Budget) -> None:
        self.data, self.position = data, 0
        self.budget = budget
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.blocked: dict[str, None] = {}
        self.names: dict[str, Global] = {}
        self.marks = 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes of the pickle."""
        chunk = self.data[self.position : self.position + count]
        if len(chunk) != count:
            raise _cut_short()
        self.position += count
        return chunk

    def byte(self) -> int:
        """Return the next byte as a number; half of all reads come here, so it is fast."""
        try:
            value = self.data[self.position]
        except IndexError:
            raise _cut_short() from None
        self.position += 1
        return value

    def number(self, layout: struct.Struct) -> Any:
        """Return the next number of this layout."""
        try:
            (value,) = layout.unpack_from(self.data, self.position)
        except struct.error:
            raise _cut_short() from None
        self.position += layout.size
        return value

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
        self.stack.append(MARK)

    def since_mark(self) -> list[Any]:
        """Return the values above the last mark, and remove them and the mark from the stack."""
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is MARK:
                items = self.stack[index + 1 :]
                del self.stack[index:]
                self.marks -= 1
                return items
        raise ArchiveError("bad-pickle", "data.pkl closes a container that it did not open")

    def pop(self) -> Any:
        """Remove and return the top of the stack, which must not be a mark."""
        value = self.stack.pop()
        if value is MARK:
            raise ArchiveError("bad-pickle", "data.pkl takes a value that is not there")
        return value

    def name(self, module: str, name: str) -> None:
        """Push a name as text; one that is not on the allow list is recorded as blocked."""
        full = (
            f"{module[:MAX_NAME_CHARACTERS]} {name[:MAX_NAME_CHARACTERS]}"  # the memo makes long ones cheap to ask for
        )
        if full not in ALLOWED:
            self.blocked[full] = None
            if len(self.blocked) >= MAX_BLOCKED:
                self.refuse_blocked()
        self.stack.append(self.names.setdefault(full, Global(full)))

    def call(self) -> None:
        """Push the record of a call, made of its name and arguments."""
        args, function = self.pop(), self.pop()
        name = function.name if isinstance(function, Global) else ""
        if not isinstance(args, tuple):
            raise ArchiveError("bad-pickle", "data.pkl calls something without arguments")
        self.budget.spend("arguments", len(args))  # the memo hands a long tuple to any number of calls
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
            self._spend_key(key)
            target[key] = value

    def _spend_key(self, key: Any) -> None:
        """Refuse a key whose hash or comparison a hostile pickle can make expensive."""
        if isinstance(key, (str, bytes)):
            self.budget.spend_key(key)  # an equal one out of the memo is compared as often as it is set
        elif not isinstance(key, SCALARS):  # hashing nested tuples is exponential in the length of the pickle
            raise ArchiveError("bad-pickle", f"a dictionary in data.pkl has a key of type {type(key).__name__}")
        elif isinstance(key, int) and abs(key) >= MAX_KEY_NUMBER:
            raise ArchiveError("bad-pickle", "a dictionary in data.pkl has an integer of more than 32 bits as its key")

    def extend(self, items: list[Any]) -> None:
        """Append to the list on top of the stack."""
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Instance):
            raise ArchiveError("bad-pickle", "data.pkl appends to something that is no list")

    def refuse_blocked(self) -> None:
        """Refuse the pickle if it named anything that is not on the allow list; all such names are listed.

        Raises:
            UnsafePickleError: it did.
        """
        if self.blocked:
            names = [name.replace(" ", ".") for name in self.blocked]
            hint = "Do not load this file with torch.load(weights_only=False). Get it from a source that you trust."
            if all(name.startswith(_MODULES) for name in names):
                hint += " It looks like a whole module that someone pickled: ask for its state_dict() instead."
            raise UnsafePickleError(
                "unsafe-pickle",
                f"the file asks Python to import {', '.join(names[:10])}: no checkpoint needs that, and nothing of it was run",
                hint,
                tuple(self.blocked),
            )
