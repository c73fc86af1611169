"""Shell completion: a script that completes commands, options, files and what some options take."""

import argparse
from typing import Any

import shtab

from verify import resources
from verify.options import HOLDERS
from verify.options.option import options_of

_FILES = {"FILE", "SOURCE", "MODEL", "RUN", "WAV"}


def script(whole: argparse.ArgumentParser, shell: str) -> str:
    """Return the script for the shell; the parser is changed on the way, and of no more use."""
    commands: Any = whole._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    values = {field.name: option.choices for holder in HOLDERS for field, option in options_of(holder)}
    values["language"] = tuple(resources.load("sentences"))
    for command in commands.values():
        for action in command._actions:
            action.choices = action.choices or values.get(action.dest) or None
            if action.metavar == "DIR":
                action.complete = shtab.DIR
            elif action.metavar in _FILES and action.dest != "transcribe":
                action.complete = shtab.FILE
    for action in commands["convert"]._actions:  # `xtts-verify RUN --spe` is the main job too
        if action.option_strings and action.option_strings[0] not in whole._option_string_actions:
            whole._add_action(action)
    text = shtab.complete(whole, shell)
    # The first word may be a command or a path.
    return text.replace("complete -o bashdefault -F", "complete -o default -o bashdefault -F")
