"""Assign every missing, unexpected or mismatched key to exactly one cause, and shorten long lists of keys."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from verify.diagnosis.causes import shape_mismatch
from verify.errors import Cause, counted

_NUMBER = re.compile(r"(?<=\.)\d{1,6}(?=\.)")


def explain(
    known_causes: Sequence[Cause],
    missing: Sequence[str],
    unexpected: Sequence[str],
    mismatched: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]],
) -> tuple[Cause, ...]:
    """Return the causes with the keys that each explains; what none explains becomes a cause of its own.

    Args:
        known_causes: those found from shapes, config and vocabulary.
        missing: names that the model has and the file lacks.
        unexpected: names that the file has and the model lacks.
        mismatched: name to the shape in the file and the shape in the model.
    """
    unexplained = dict.fromkeys([*missing, *unexpected, *mismatched])
    causes = []
    for cause in known_causes:
        keys = tuple(key for key in unexplained if key.startswith(cause.prefixes) or key in cause.keys)
        for key in keys:
            del unexplained[key]
        causes.append(replace(cause, keys=tuple(dict.fromkeys((*cause.keys, *keys)))))
    causes += _unexplained(
        [key for key in missing if key in unexplained],
        [key for key in unexpected if key in unexplained],
        {key: shapes for key, shapes in mismatched.items() if key in unexplained},
    )
    return tuple(causes)


def _unexplained(
    missing: list[str], unexpected: list[str], mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
) -> list[Cause]:
    causes = []
    if missing:
        causes.append(
            Cause(
                code="missing-keys",
                severity="error",
                message=f"the file lacks {counted(len(missing), 'tensor')} that the model needs: {summary(missing)}",
                hint="Save the checkpoint again from the whole model, or get an undamaged copy.",
                keys=tuple(missing),
            )
        )
    if unexpected:
        causes.append(
            Cause(
                code="unexpected-keys",
                severity="error",
                message=f"the file holds {counted(len(unexpected), 'tensor')} that no XTTS of this config has: {summary(unexpected)}",
                hint="Check that this is an XTTS checkpoint and that the config belongs to it.",
                keys=tuple(unexpected),
            )
        )
    if mismatched:
        causes.append(shape_mismatch(mismatched))
    return causes


def summary(keys: Iterable[str], limit: int = 10) -> str:
    """Return the folded keys in one line: the first ten groups, and a count of the rest."""
    folded = fold(keys)
    rest = f", and {len(folded) - limit:,} more groups" if len(folded) > limit else ""
    return ", ".join(folded[:limit]) + rest


def fold(keys: Iterable[str]) -> list[str]:
    """Return the keys, merging those that differ only in their first number: `gpt.gpt.h.{0-9,12}.ln_1.weight`."""
    groups: dict[tuple[str, str], list[int]] = {}
    for key in keys:
        match = _NUMBER.search(key)
        head, tail = (key[: match.start()], key[match.end() :]) if match else (key, "")
        groups.setdefault((head, tail), []).extend([int(match[0])] if match else [])
    return [head + _folded(numbers) + tail for (head, tail), numbers in groups.items()]


def _folded(numbers: list[int]) -> str:
    return f"{{{ranges(numbers)}}}" if len(numbers) > 1 else ranges(numbers)


def ranges(numbers: Iterable[int]) -> str:
    """Return the numbers as the ranges that they make: `0-9,12`."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)
