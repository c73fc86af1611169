"""The command that does a job again."""

from collections.abc import Iterator
from dataclasses import MISSING

from verify import shell
from verify.options.job import Job
from verify.options.option import options_of


def command(job: Job, name: str) -> str:
    """Return the command with every option that differs from its default, quoted for the shell at hand.

    Args:
        name: the name of the command; `convert` is left out, as it is the default.
    """
    return shell.command(*([name] if name != "convert" else []), *words(job))


def words(job: Job) -> list[str]:
    """Return the arguments of the command: the source, and every option that differs from its default."""
    source = str(job.source)
    # `./`, because a folder may have the name of a command or begin with a dash.
    first = source if "/" in source or "\\" in source else f"./{source}"
    return [first, *_changed(job)]


def _changed(job: Job) -> Iterator[str]:
    """Yield the options for the fields that differ from their default."""
    for item, declared in options_of(job):
        value = getattr(job, item.name)
        if item.default is MISSING or value == item.default:
            continue
        if isinstance(value, bool):
            yield declared.flag
            continue
        for single in value if isinstance(value, tuple) else (value,):
            # As one word where the value begins with a dash.
            yield from [f"{declared.flag}={single}"] if str(single).startswith("-") else [declared.flag, str(single)]
