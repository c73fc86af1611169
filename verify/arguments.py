"""The command line as people type it: commands, options, and what each means."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from verify import __version__

COMMANDS = ("convert", "inspect", "verify", "compare", "judge", "explain", "env", "demo")


DESCRIPTION = """Turn an XTTS training checkpoint into an inference-ready model folder, load it
strictly into a real Xtts, let it speak, and say the true cause when something
is wrong.

  convert_and_verify.py SOURCE           the main job: SOURCE is a .pth,
                                         a .safetensors or a run folder
  convert_and_verify.py inspect SOURCE   what is in it; no torch, no writing
  convert_and_verify.py verify SOURCE    load and hear a model that exists
  convert_and_verify.py compare A B...   the same sentences through several
                                         models, side by side
  convert_and_verify.py judge WAV...     the sound checks alone, of any clip
  convert_and_verify.py explain < TEXT   what a load error that was printed
                                         truly says; no torch
  convert_and_verify.py env              which packages and devices are there,
                                         and whether they work together
  convert_and_verify.py demo             the main job on a tiny model that speaks

Options of the main job: convert_and_verify.py convert --help
"""


EPILOG = "exit status: 0 verified; 1 it ran and a check failed; 2 it could not run; 130 interrupted"


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; the same option means the same thing in each."""
    main = argparse.ArgumentParser(
        prog="convert_and_verify.py",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main.add_argument("--version", action="version", version=f"xtts-verify {__version__}")
    commands = main.add_subparsers(dest="command", metavar="COMMAND", required=True)
    helping, speaking, writing, showing = _helping(), _speaking(), _writing(), _showing()
    finding = _finding(helping)
    convert = commands.add_parser(
        "convert", parents=[finding, speaking, writing, showing], help="the main job (the default)", epilog=EPILOG
    )
    convert.add_argument("--no-verify", action="store_true", help="only convert: do not load or speak")
    convert.add_argument("--dry-run", action="store_true", help="say what would happen and write nothing")
    convert.add_argument(
        "--prove", action="store_true", help="let the original speak too: same tokens, same samples, bit for bit"
    )
    convert.add_argument("--keep-failed", action="store_true", help="keep what did not load, as DIR.failed")
    commands.add_parser(
        "inspect", parents=[finding, showing], help="what is in a checkpoint; no torch, no writing", epilog=EPILOG
    )
    commands.add_parser(
        "verify",
        parents=[finding, speaking, writing, showing],
        help="load and hear a model that exists already",
        epilog=EPILOG,
    )
    compare = commands.add_parser(
        "compare",
        parents=[helping, speaking, writing, showing],
        help="the same sentences, seeds and voice through several models, side by side",
        epilog=EPILOG,
    )
    compare.add_argument(
        "sources", type=Path, nargs="+", metavar="MODEL", help="2 to 26 of .pth, .safetensors, run and model folders"
    )
    judge = commands.add_parser(
        "judge", parents=[_said(), _expecting(), showing], help="the sound checks alone, of any clip", epilog=EPILOG
    )
    judge.add_argument("clips", type=Path, nargs="+", metavar="WAV", help="WAV, FLAC, OGG or MP3")
    explain = commands.add_parser(
        "explain", parents=[showing], help="what a load error that was printed truly says; no torch", epilog=EPILOG
    )
    explain.add_argument(
        "text",
        type=Path,
        nargs="?",
        metavar="FILE",
        help="text of the error, from 'Traceback' to its last line (default: standard input)",
    )
    commands.add_parser("env", parents=[showing], help="whether the installed packages work together", epilog=EPILOG)
    demo = commands.add_parser(
        "demo",
        parents=[showing],
        help="write a training checkpoint of a tiny model that speaks and do the main job on it",
        epilog=EPILOG,
    )
    demo.add_argument(
        "-o", "--output", type=Path, metavar="DIR", default=Path("demo"), help="new folder for the run (default: demo)"
    )
    demo.add_argument("--force", action="store_true", help="replace the demo that is there")
    return main


def _group() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(add_help=False)


def _finding(helping: argparse.ArgumentParser) -> argparse.ArgumentParser:
    group = argparse.ArgumentParser(add_help=False, parents=[helping])
    group.add_argument("source", type=Path, metavar="SOURCE", help=".pth, .safetensors or run folder")
    return group


def _helping() -> argparse.ArgumentParser:
    group = _group()
    group.add_argument(
        "--checkpoint",
        default="best",
        metavar="best|last|STEP",
        help="which checkpoint of a run folder (default: best)",
    )
    group.add_argument("--config", type=Path, metavar="FILE", help="use this config.json")
    group.add_argument(
        "--config-from-weights", action="store_true", help="let the weights correct the config in what they determine"
    )
    group.add_argument("--vocab", type=Path, metavar="FILE", help="vocab.json that the run was trained with")
    group.add_argument(
        "--base",
        type=Path,
        metavar="DIR",
        help="base model folder: fills what the run lacks, whole parts of the model included, and is compared with",
    )
    group.add_argument("--no-follow", action="store_true", help="use no path that the run's config names")
    return group


def _speaking() -> argparse.ArgumentParser:
    group = argparse.ArgumentParser(add_help=False, parents=[_expecting()])
    group.add_argument(
        "--speaker-wav", type=Path, action="append", default=[], metavar="FILE", help="reference voice (repeatable)"
    )
    group.add_argument(
        "--text",
        action="append",
        default=[],
        help="what to say (repeatable; default: a short sentence in the run's language)",
    )
    group.add_argument("--texts", type=Path, metavar="FILE", help="text file of sentences to say, one a line")
    group.add_argument("--language", help="language of the text, such as en or zh-cn (default: the run's)")
    group.add_argument("--seed", type=_seed, default=0, help="seed of the sampling (default: 0)")
    group.add_argument(
        "--seeds",
        type=_count,
        default=1,
        metavar="N",
        help="say each sentence N times, with consecutive seeds: one bad draw is not blamed on the weights (default: 1)",
    )
    group.add_argument(
        "--transcribe",
        nargs="?",
        const="tiny",
        metavar="MODEL",
        help="write down what was said with this faster-whisper model, a folder or a name that was downloaded (default: tiny)",
    )
    group.add_argument(
        "--device",
        type=_device,
        default="auto",
        metavar="auto|cpu|cuda|cuda:N|mps",
        help="where to speak (default: auto)",
    )
    group.add_argument("--no-sample", action="store_true", help="load strictly, but do not speak")
    return group


def _expecting() -> argparse.ArgumentParser:
    group = _group()
    group.add_argument(
        "--expect", choices=("speech", "sound"), default="speech", help="sound: barely trained weights may make noise"
    )
    return group


def _said() -> argparse.ArgumentParser:
    group = _group()
    group.add_argument("--text", help="what is said in the clips: holds their length and pace against it")
    group.add_argument("--language", default="en", help="language of the text, such as en or zh-cn (default: en)")
    return group


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", text):
        raise argparse.ArgumentTypeError(f"{text[:30]!r} is no device: pass auto, cpu, cuda, cuda:N or mps")
    return text


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 1000):
        raise argparse.ArgumentTypeError(f"{text[:30]!r} is no number from 1 to 1000")
    return int(text)


def _seed(text: str) -> int:
    """Return a seed that torch takes: an integer of 63 bits."""
    if not (text.isascii() and text.isdigit() and int(text[:20]) < 2**63):
        raise argparse.ArgumentTypeError(f"{text[:30]!r} is no integer from 0 to {2**63 - 1}")
    return int(text)


def _writing() -> argparse.ArgumentParser:
    group = _group()
    group.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="where to write (main job: inference/ in the run folder, or beside the file; verify, compare: nowhere)",
    )
    group.add_argument("--force", action="store_true", help="replace an output that is there")
    return group


def _showing() -> argparse.ArgumentParser:
    group = _group()
    group.add_argument("--json", action="store_true", help="print the report as one JSON document on stdout")
    group.add_argument("--quiet", action="store_true", help="print only errors and the result")
    return group


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; without a command it is `convert`."""
    words = list(arguments)
    if words and words[0] not in (*COMMANDS, "-h", "--help", "--version"):
        words.insert(0, "convert")
    whole = parser()
    args = whole.parse_args(words)
    if args.command == "compare" and not 2 <= len(args.sources) <= 26:  # each has a letter
        whole.error(f"compare takes 2 to 26 models, not {len(args.sources)}")
    return args
