"""Shell completion: a script that completes commands, options, files and what some options take."""

import argparse
from pathlib import Path
from typing import Any

import shtab

from verify import resources
from verify.files.location import parse_location

# Of the main job, which needs no name; what the others take is the same.
_VALUES = {"checkpoint": ("best", "last"), "device": ("auto", "cpu", "cuda", "mps")}


def script(whole: argparse.ArgumentParser, shell: str) -> str:
    """Return the script for the shell; the parser is changed on the way, and of no more use."""
    commands: Any = whole._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    values = _VALUES | {"language": tuple(resources.load("sentences"))}
    for command in commands.values():
        for action in command._actions:
            action.choices = action.choices or values.get(action.dest)
            if action.type in (Path, parse_location):
                action.complete = shtab.DIR if action.metavar == "DIR" else shtab.FILE
    for action in commands["convert"]._actions:  # `xtts-verify RUN --spe` is the main job too
        if action.option_strings and action.option_strings[0] not in whole._option_string_actions:
            whole._add_action(action)
    text = shtab.complete(whole, shell)
    # The first word may be a command or a path.
    return text.replace("complete -o bashdefault -F", "complete -o default -o bashdefault -F")
