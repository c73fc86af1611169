"""Limits on the cost of reading one file, counted where the work is done.

A limit on file size bounds neither time nor memory, since a pickle can repeat a stored value for two bytes.
"""

from dataclasses import dataclass

from verify.errors import ArchiveError


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of something a file may ask for, and what a genuine checkpoint of XTTS v2 has: 30 layers and the optimizer."""

    most: int
    genuine: int
    what: str
    code: str = "pickle-limit"


# fmt: off
LIMITS = {
    "members":        Limit(50_000,    2_307,  "members in the container", "container-limit"),
    "opcodes":        Limit(1_000_000, 71_304, "opcodes in data.pkl"),
    "arguments":      Limit(1_000_000, 24_000, "arguments of calls in data.pkl"),
    "key_characters": Limit(2_000_000, 75_000, "characters in the keys of the file", "key-limit"),
    "tensors":        Limit(20_000,    1_023,  "tensors in the file", "key-limit"),
    "plain_values":   Limit(100_000,   177,    "values, or 32 times as many characters, beside the state dict"),
}
# fmt: on
MAX_KEY_CHARACTERS = 500  # of one key; the longest of a genuine checkpoint has 93
MAX_KEY_NUMBER = 2**32  # integer keys are numbers of parameters and steps; larger ones can be made to share one hash


class Budget:
    """What is left of each limit during one reading."""

    def __init__(self) -> None:
        self.left = {name: limit.most for name, limit in LIMITS.items()}

    def spend(self, name: str, amount: int = 1) -> None:
        """Subtract an amount from what is left.

        Raises:
            ArchiveError: nothing is left (`pickle-limit`, `key-limit` or `container-limit`); the message says of what.
        """
        self.left[name] -= amount
        if self.left[name] < 0:
            limit = LIMITS[name]
            raise ArchiveError(
                limit.code, f"more than {limit.most:,} {limit.what}; a genuine XTTS checkpoint has {limit.genuine:,}"
            )

    def spend_key(self, key: str | bytes) -> None:
        """Subtract the characters of one key; refuse a key that is too long.

        Raises:
            ArchiveError: it is too long, or all keys together are (`key-limit`).
        """
        if len(key) > MAX_KEY_CHARACTERS:
            raise ArchiveError(
                "key-limit",
                f"a key of {len(key):,} characters begins with {key[:60]!r}; {MAX_KEY_CHARACTERS} are the limit",
            )
        self.spend("key_characters", len(key))
