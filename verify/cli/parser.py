"""The commands as people type them: which options each takes, its examples, and what a line of words means."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from verify import __version__
from verify.cli import arguments as options
from verify.files.location import parse_location

COMMANDS = ("convert", "inspect", "verify", "compare", "sweep", "judge", "explain", "env", "profiles", "demo")

DESCRIPTION = """Turn an XTTS training checkpoint into an inference-ready model folder, load it
strictly into a real Xtts, let it speak, and say the true cause when something
is wrong.

  convert_and_verify.py SOURCE           the main job: SOURCE is a .pth,
                                         a .safetensors or a run folder
  convert_and_verify.py inspect SOURCE   what is in it; no torch, no writing
  convert_and_verify.py verify SOURCE    load and hear a model that exists
  convert_and_verify.py compare A B...   the same sentences through several
                                         models, side by side
  convert_and_verify.py sweep RUN...     every checkpoint of every run, ranked
  convert_and_verify.py judge WAV...     the sound checks alone, of any clip
  convert_and_verify.py explain < TEXT   what a load error that was printed
                                         truly says; no torch
  convert_and_verify.py env              which packages and devices are there,
                                         and whether they work together
  convert_and_verify.py profiles         which programs the result can be made
                                         for, and what each needs
  convert_and_verify.py demo             the main job on a tiny model that speaks

Options of the main job: convert_and_verify.py convert --help
"""

SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")

EPILOG = "exit status: 0 verified; 1 it ran and a check failed; 2 it could not run; 130 interrupted"


def parser(prog: str = "convert_and_verify.py") -> argparse.ArgumentParser:
    """Return the parser of all commands; the same option means the same thing in each."""
    main = argparse.ArgumentParser(
        prog=prog,
        description=DESCRIPTION,
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
    for add in (_convert, _inspect, _verify, _compare, _sweep, _judge, _explain, _env, _profiles, _demo):
        add(commands)
    return main


def _add(commands: Any, name: str, what: str, examples: str, *groups: argparse.ArgumentParser) -> Any:
    """Add a command that takes these groups of options and those of what is shown.

    Args:
        examples: the words after the program's name, an example a line.
    """
    lines = [f"  convert_and_verify.py {line.strip()}" for line in examples.strip().splitlines()]
    return commands.add_parser(
        name,
        parents=[*groups, options.showing()],
        help=what,
        description=what,
        epilog="\n".join(["examples:", *lines, "", EPILOG]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _convert(commands: Any) -> None:
    examples = """
        runs/XTTS_FT-November-23
        runs/XTTS_FT-November-23 --speaker-wav me.wav --vocab vocab.json
        best_model_4400.pth -o voice --config config.json --vocab vocab.json
        runs/XTTS_FT-November-23 --checkpoint last --texts lines.txt --seeds 3
        runs/XTTS_FT-November-23 --profile ebook2audiobook
        runs/XTTS_FT-November-23 --dry-run
    """
    groups = (
        *(options.finding(), options.speaking(), options.silent(), options.writing(), options.converting()),
        options.profiled(options.OUTPUT, "make what this program needs, and check it as the program does"),
    )
    _add(commands, "convert", "the main job (the default command)", examples, *groups)


def _inspect(commands: Any) -> None:
    examples = """
        inspect runs/XTTS_FT-November-23
        inspect best_model_4400.pth --json
    """
    _add(commands, "inspect", "what is in a checkpoint; no torch, no writing", examples, options.finding())


def _verify(commands: Any) -> None:
    examples = """
        verify voice
        verify voice --speaker-wav me.wav --text "Hello there." -o heard
        verify voice --profile alltalk
    """
    groups = (
        *(options.finding(), options.speaking(), options.silent(), options.writing()),
        options.profiled(options.CHECKS, "say what the folder lacks for this program"),
    )
    _add(commands, "verify", "load and hear a model that exists already", examples, *groups)


def _compare(commands: Any) -> None:
    examples = """
        compare runs/phase-2 runs/phase-4 --vocab vocab.json -o phases
        compare base voice --texts lines.txt --seeds 3 -o heard
    """
    what = "the same sentences, seeds and voice through several models, side by side"
    groups = options.choosing(), options.helping(), options.speaking(), options.silent(), options.writing()
    _add(commands, "compare", what, examples, *groups).add_argument(
        "sources",
        type=parse_location,
        nargs="+",
        metavar="MODEL",
        help="2 to 26 of .pth, .safetensors, run and model folders",
    )


def _sweep(commands: Any) -> None:
    examples = """
        sweep runs/XTTS_FT-November-23 --texts lines.txt --seeds 3
        sweep runs/phase-2 runs/phase-4 -o sweep --jobs 2
    """
    what = "every checkpoint of every run says the same; ranked, with a page to listen through"
    groups = options.helping(), options.speaking(), options.writing(), options.working()
    _add(commands, "sweep", what, examples, *groups).add_argument(
        "sources", type=Path, nargs="+", metavar="RUN", help="run folders, or single checkpoints"
    )


def _judge(commands: Any) -> None:
    examples = """
        judge sample.wav
        judge take1.wav take2.wav --text "Hello there."
    """
    what = "the sound checks alone, of any clip"
    _add(commands, "judge", what, examples, options.said(), options.expecting()).add_argument(
        "clips", type=Path, nargs="+", metavar="WAV", help="WAV, FLAC, OGG or MP3"
    )


def _explain(commands: Any) -> None:
    examples = """
        explain < error.txt
        explain error.txt --json
    """
    what = "what a load error that was printed truly says; no torch"
    _add(commands, "explain", what, examples).add_argument(
        "text",
        type=Path,
        nargs="?",
        metavar="FILE",
        help="text of the error, from 'Traceback' to its last line (default: standard input)",
    )


def _env(commands: Any) -> None:
    _add(commands, "env", "whether the installed packages work together", "env")


def _profiles(commands: Any) -> None:
    what = "which programs the result can be made for, and what each needs"
    _add(commands, "profiles", what, "profiles")


def _demo(commands: Any) -> None:
    examples = """
        demo
        demo -o /tmp/demo --force
    """
    what = "write a training checkpoint of a tiny model that speaks and do the main job on it"
    command = _add(commands, "demo", what, examples)
    group = command.add_argument_group(options.OUTPUT)
    group.add_argument(
        "-o", "--output", type=Path, metavar="DIR", default=Path("demo"), help="new folder for the run (default: demo)"
    )
    group.add_argument("--force", action="store_true", help="replace the demo that is there")


class _PrintCompletion(argparse.Action):
    """Prints the script and leaves, as `--version` does."""

    def __call__(self, main: argparse.ArgumentParser, namespace: object, shell: Any, option: object = None) -> None:
        from verify.cli import completion

        sys.stdout.write(completion.script(parser("xtts-verify"), shell))
        main.exit()


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; without a command it is `convert`."""
    words = list(arguments)
    if words and words[0].split("=")[0] not in (*COMMANDS, "-h", "--help", "--version", "--print-completion"):
        words.insert(0, "convert")
    whole = parser()
    args = whole.parse_args(words)
    if args.command == "compare" and not 2 <= len(args.sources) <= 26:  # each has a letter
        whole.error(f"compare takes 2 to 26 models, not {len(args.sources)}")
    return args
