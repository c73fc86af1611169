"""The commands as people type them: what each is for, its examples, and what a line of words means."""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from verify import __version__, shell
from verify.errors import OptionError
from verify.options import GROUPS, HOLDERS
from verify.options.option import Option, nearest, options_of, require_known


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command: a line on what it does, examples of the words behind the program's name, and what it takes by place."""

    about: str
    examples: tuple[str, ...]
    operand: tuple[str, str, str, str] | None = None  # name in the namespace, how many, metavar, help

    @property
    def takes(self) -> str:
        """What it takes by place, as the line of usage shows it."""
        if self.operand is None:
            return ""
        _, many, metavar, _ = self.operand
        return {"?": f"[{metavar}]", "*": f"[{metavar} ...]", "+": f"{metavar} [{metavar} ...]", "": metavar}[many]


SOURCE = ("source", "", "SOURCE", ".pth, .safetensors or run folder, here or at a URL")
COMMANDS = {
    "convert": Command(
        about="the main job, which needs no name",
        examples=(
            "runs/XTTS_FT-November-23",
            "runs/XTTS_FT-November-23 --speaker-wav me.wav --vocab vocab.json",
            "best_model_4400.pth -o voice --config config.json --vocab vocab.json",
            "runs/XTTS_FT-November-23 --checkpoint last --texts lines.txt --seeds 3",
            "runs/XTTS_FT-November-23 --held-out",
            "runs/XTTS_FT-November-23 --profile ebook2audiobook",
            "runs/XTTS_FT-November-23 --dry-run",
        ),
        operand=SOURCE,
    ),
    "inspect": Command(
        about="what is in a checkpoint; no torch, no writing",
        examples=("inspect runs/XTTS_FT-November-23", "inspect best_model_4400.pth --json"),
        operand=SOURCE,
    ),
    "verify": Command(
        about="load and hear a model that exists already",
        examples=(
            "verify voice",
            'verify voice --speaker-wav me.wav --text "Hello there." -o heard',
            "verify voice --profile alltalk",
            "verify voice --python path/to/alltalk_tts",
        ),
        operand=SOURCE,
    ),
    "compare": Command(
        about="the same sentences, seeds and voice through several models, side by side",
        examples=(
            "compare runs/phase-2 runs/phase-4 --vocab vocab.json -o phases",
            "compare base voice --texts lines.txt --seeds 3 -o heard",
            "compare released new --texts lines.txt --seeds 3 --not-worse-than A",
            "compare --votes ann.json ben.json",
        ),
        operand=("sources", "*", "MODEL", "2 to 26 of .pth, .safetensors, run and model folders"),
    ),
    "sweep": Command(
        about="every checkpoint of every run says the same; ranked, with a page to listen through",
        examples=(
            "sweep runs/XTTS_FT-November-23 --texts lines.txt --seeds 3",
            "sweep runs/phase-2 runs/phase-4 -o sweep --jobs 2",
        ),
        operand=("sources", "+", "RUN", "run folders, or single checkpoints"),
    ),
    "judge": Command(
        about="the sound checks alone, of any clip",
        examples=("judge sample.wav", 'judge take1.wav take2.wav --text "Hello there."'),
        operand=("clips", "+", "WAV", "WAV, FLAC, OGG or MP3"),
    ),
    "explain": Command(
        about="what a load error that was printed truly says; no torch",
        examples=("explain error.txt", "explain < error.txt", "explain error.txt --json"),
        operand=("file", "?", "FILE", "text of the error, from 'Traceback' to its last line (default: standard input)"),
    ),
    "env": Command(
        about="which packages and devices are there, and whether they work together",
        examples=("env",),
    ),
    "profiles": Command(about="which programs the result can be made for, and what each needs", examples=("profiles",)),
    "demo": Command(
        about="write a training checkpoint of a tiny model that speaks and do the main job on it",
        examples=("demo", "demo -o speaking --force"),
    ),
    "ui": Command(
        about="a page in the browser that does all this, for this machine alone",
        examples=("ui", "ui runs", "ui runs models --port 8000 --no-browser"),
        operand=("roots", "*", "DIR", "folders that the page may open (default: the current one)"),
    ),
}
SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")

ABOUT = """Turn an XTTS training checkpoint into an inference-ready model folder, load it
strictly into a real Xtts, let it speak, and say the true cause when something
is wrong. SOURCE is a .pth, a .safetensors or a run folder, here or at a URL."""
EPILOG = "exit status: 0 verified; 1 it ran and a check failed; 2 it could not run; 130 interrupted"
_AT_THE_START = ("-h", "--help", "--version", "--print-completion")


class _Parser(argparse.ArgumentParser):
    """Raises what it finds, so that a mistake on the command line is shown like any other: no page of usage before it."""

    def error(self, message: str) -> NoReturn:
        raise OptionError("bad-option", _visible(message), f"Help: {self.prog} --help")


def parser(prog: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of all commands; the same option means the same thing in each.

    Args:
        prog: what the program is called, where not as it was called.
    """
    prog = prog or shell.program()
    main = _Parser(
        prog=prog,
        usage=f"{prog} SOURCE [OPTIONS]\n       {prog} COMMAND ...",
        description=f"{ABOUT}\n\nOptions of the main job: {prog} convert --help",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main.add_argument("--version", action="version", version=f"xtts-verify {__version__}")
    main.add_argument(
        "--print-completion",
        choices=SHELLS,
        action=_PrintCompletion,
        help="print what completes xtts-verify in this shell",
    )
    commands = main.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        _add_command(commands, name, prog)
    return main


def _add_command(commands: Any, name: str, prog: str) -> None:
    command = COMMANDS[name]
    declared = [
        (field, option) for holder in HOLDERS for field, option in options_of(holder) if name in option.commands
    ]
    made = commands.add_parser(
        name,
        prog=f"{prog} {name}",
        usage=" ".join(["%(prog)s", *([command.takes] if command.takes else []), "[OPTIONS]"]),
        help=command.about,
        description=command.about,
        epilog="\n".join(["examples:", *(f"  {prog} {line}" for line in command.examples), "", EPILOG]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if command.operand:
        dest, nargs, metavar, about = command.operand
        made.add_argument(dest, nargs=nargs or None, metavar=metavar, help=about)
    for group in GROUPS:
        title = made.add_argument_group(group) if group else made
        for field, option in declared:
            if option.group == group:
                _add_option(title, field.name, field.default, option)


def _add_option(group: Any, name: str, default: Any, option: Option) -> None:
    """Add an option whose value stays text: what it may be is checked where the library checks it."""
    about: dict[str, Any] = {"dest": name, "help": option.help, "default": None if option.repeatable else default}
    if isinstance(default, bool):
        group.add_argument(*option.flags, action="store_false" if default else "store_true", **about)
        return
    if option.several:
        about |= {"action": "extend", "nargs": "+"}
    elif option.repeatable:
        about["action"] = "append"
    if option.alone:
        about |= {"nargs": "?", "const": option.alone}
    group.add_argument(*option.flags, metavar=option.metavar, **about)


class _PrintCompletion(argparse.Action):
    """Prints the script and leaves, as `--version` does."""

    def __call__(self, main: argparse.ArgumentParser, namespace: object, shell: Any, option: object = None) -> None:
        from verify.cli import completion

        sys.stdout.write(completion.script(parser("xtts-verify"), shell))
        main.exit()


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; without a command it is `convert`.

    Raises:
        OptionError: it cannot be understood.
    """
    words = _with_dashes(arguments)
    if words and words[0].split("=")[0] not in (*COMMANDS, *_AT_THE_START):
        words.insert(0, "convert")
    whole = parser()
    args, unknown = whole.parse_known_args(words)
    if unknown:
        _refuse_unknown(unknown, args, whole.prog)
    return args


def _with_dashes(words: Sequence[str]) -> list[str]:
    """Return the words with options spelt as here: coqui's own programs write `--speaker_wav`."""
    end = words.index("--") if "--" in words else len(words)
    return [re.sub(r"^--[^=]*", lambda match: match[0].replace("_", "-"), word) for word in words[:end]] + [
        *words[end:]
    ]


def _refuse_unknown(words: Sequence[str], args: argparse.Namespace, prog: str) -> NoReturn:
    """Raise the error for words that the command does not take."""
    commands = {
        flag: option.commands for holder in HOLDERS for _, option in options_of(holder) for flag in option.flags
    }
    known = [flag for flag, takers in commands.items() if args.command in takers]
    help_at = f"Help: {prog} {args.command} --help"
    for word in words:
        if word.startswith("-"):
            flag = word.partition("=")[0]
            elsewhere = f"It is an option of {', '.join(sorted(commands[flag]))}." if flag in commands else help_at
            require_known([flag], known, elsewhere)
    meant = nearest(str(getattr(args, "source", "")), COMMANDS)
    hint = f"Did you mean {prog} {meant} ...?" if meant else help_at
    raise OptionError("bad-option", f"there is no place for {words[0][:80]!r}", hint)


def _visible(text: str) -> str:
    """Return the text with control characters spelt out: what was typed may hold any."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
