"""Arguments in, exit code out: the one place that prints, and the one boundary where errors become exit codes."""

import argparse
import contextlib
import json
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from verify.errors import EXIT_COULD_NOT_RUN, EXIT_INTERRUPTED, Cause, ConversionError

COMMANDS = ("convert", "inspect", "verify", "demo")
DESCRIPTION = """Turn an XTTS training checkpoint into an inference-ready model folder, load it strictly into a real Xtts,
let it speak, and say the true cause when something is wrong.

  convert_and_verify.py SOURCE           the main job; SOURCE is a .pth, a .safetensors or a run folder
  convert_and_verify.py inspect SOURCE   what is in it and what would happen; no torch, no writing
  convert_and_verify.py verify SOURCE    strict load and speech of a model that exists already
  convert_and_verify.py demo             make a small genuine training checkpoint and do the main job on it
"""
EPILOG = "exit status: 0 verified; 1 it ran and a check failed; 2 it could not run; 130 interrupted"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="convert_and_verify.py",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    finding, speaking, writing, showing = _finding(), _speaking(), _writing(), _showing()
    convert = commands.add_parser(
        "convert", parents=[finding, speaking, writing, showing], help="the main job (the default)", epilog=EPILOG
    )
    convert.add_argument("--no-verify", action="store_true", help="only convert: do not load or speak")
    convert.add_argument("--dry-run", action="store_true", help="say what would happen and write nothing")
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
    demo = commands.add_parser(
        "demo", parents=[showing], help="make a small training checkpoint and do the main job on it", epilog=EPILOG
    )
    demo.add_argument(
        "-o", "--output", type=Path, metavar="DIR", default=Path("demo"), help="new folder for the run (default: demo)"
    )
    demo.add_argument("--force", action="store_true", help="replace the demo that is there")
    return parser


def _group() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(add_help=False)


def _finding() -> argparse.ArgumentParser:
    group = _group()
    group.add_argument("source", type=Path, metavar="SOURCE", help=".pth, .safetensors or run folder")
    group.add_argument(
        "--checkpoint",
        default="best",
        metavar="best|last|STEP",
        help="which checkpoint of a run folder (default: best)",
    )
    group.add_argument("--config", type=Path, metavar="FILE", help="config.json, where the run has none")
    group.add_argument("--vocab", type=Path, metavar="FILE", help="vocab.json that the run was trained with")
    group.add_argument(
        "--base", type=Path, metavar="DIR", help="base model folder: its vocab.json and speakers where the run has none"
    )
    group.add_argument("--no-follow", action="store_true", help="use no path that the run's config names")
    return group


def _speaking() -> argparse.ArgumentParser:
    group = _group()
    group.add_argument(
        "--speaker-wav", type=Path, action="append", default=[], metavar="FILE", help="reference voice (repeatable)"
    )
    group.add_argument("--text", help="what to say (default: a short sentence in the run's language)")
    group.add_argument("--language", help="language of the text, such as en or zh-cn (default: the run's)")
    group.add_argument("--seed", type=_seed, default=0, help="seed of the sampling (default: 0)")
    group.add_argument(
        "--device", default="auto", metavar="auto|cpu|cuda|cuda:N|mps", help="where to speak (default: auto)"
    )
    group.add_argument(
        "--expect", choices=("speech", "sound"), default="speech", help="sound: barely trained weights may make noise"
    )
    group.add_argument("--no-sample", action="store_true", help="load strictly, but do not speak")
    return group


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
        help="where to write (default: inference/ in the run folder, or beside the file)",
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
    if words and words[0] not in (*COMMANDS, "-h", "--help"):
        words.insert(0, "convert")
    return _parser().parse_args(words)


def _job(args: argparse.Namespace) -> Any:
    from verify.checkpoint.source import Request
    from verify.plan import Job

    request = Request(
        source=args.source,
        checkpoint=args.checkpoint,
        config=args.config,
        vocab=args.vocab,
        base=args.base,
        speaker_wavs=tuple(getattr(args, "speaker_wav", ())),
        follow=not args.no_follow,
    )
    if args.command == "inspect":
        return Job(request=request)
    return Job(
        request=request,
        output=args.output,
        text=args.text,
        language=args.language,
        seed=args.seed,
        device=args.device,
        expect=args.expect,
        sample=not args.no_sample,
        verify=not getattr(args, "no_verify", False),
        force=args.force,
        keep_failed=getattr(args, "keep_failed", False),
    )


def _do(args: argparse.Namespace, screen: Any) -> Any:
    """Do the command and return its report."""
    from verify import pipeline
    from verify.reporting import terminal
    from verify.watch import Silent

    watch = Silent() if args.quiet else terminal.TerminalWatch(screen)
    if args.command == "demo":
        from verify import demo

        return demo.demo(args.output, args.force, watch)
    if args.command == "inspect":
        return pipeline.inspect(_job(args))
    if args.command == "verify":
        return pipeline.verify(_job(args), watch)
    return pipeline.dry_run(_job(args)) if args.dry_run else pipeline.convert(_job(args), watch)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; nothing but a usage error leaves by another way.

    0 verified, 1 it ran and a check failed, 2 it could not run, 130 interrupted.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # its warnings about token ids mean nothing for XTTS
    args = parse(sys.argv[1:] if arguments is None else arguments)
    from verify.reporting import terminal

    screen = terminal.console()
    try:
        report = _do(args, screen)
    except ConversionError as error:
        return _refuse(error.cause, error.exit_code, args, screen)
    except OSError as error:
        name = f"{str(error.filename)[:300]}: " if error.filename else ""
        message = f"{name}{error.strerror or error}"
        return _refuse(Cause(code="system", severity="error", message=message), EXIT_COULD_NOT_RUN, args, screen)
    except Exception as error:  # the boundary: a fault of ours must not greet a user with a traceback
        if _was_interrupted(error):
            raise KeyboardInterrupt from error
        if os.environ.get("XTTS_VERIFY_DEBUG"):
            raise
        message = f"unexpected {type(error).__name__}: {str(error)[:500]}"
        hint = "This is a fault of the tool. Set XTTS_VERIFY_DEBUG=1 for the traceback and report it with that."
        cause = Cause(code="internal", severity="error", message=message, hint=hint)
        return _refuse(cause, EXIT_COULD_NOT_RUN, args, screen)
    with contextlib.suppress(OSError):  # a stderr that cannot be written must not cost the result on stdout
        if not args.quiet:
            terminal.show(report, screen)
        elif report.verdict != "pass":
            terminal.show_outcome(report, screen)
    if args.json:
        _emit(json.dumps(report.to_json(), indent=2, allow_nan=False))
    elif report.output:
        _emit(report.output)
    return report.exit_code


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is what is behind the error: torch.save, cut short, raises a RuntimeError in its place."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _refuse(cause: Cause, exit_code: int, args: argparse.Namespace, screen: Any) -> int:
    from verify.reporting.report import document
    from verify.reporting.terminal import show_cause

    show_cause(cause, screen)
    if args.json:
        _emit(json.dumps(document(verdict="error", causes=(cause,)), indent=2))
    return exit_code


def _emit(text: str) -> None:
    """Print the result; a reader that went away, as `head` does, is no fault of the run."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The interpreter flushes stdout once more on its way out, which must find something that takes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run() -> NoReturn:
    """Run as a program. A thread that still imports torch must not hold the exit up, nor crash it."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="surrogateescape")  # a path is printed as the bytes that it is
    try:
        code = main()
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
        with contextlib.suppress(OSError, AttributeError):
            sys.stderr.write("interrupted; nothing was left behind\n")
    except OSError as error:  # stdout itself: a full disk behind it
        code = EXIT_COULD_NOT_RUN
        with contextlib.suppress(OSError, AttributeError):
            sys.stderr.write(f"error: the result could not be printed: {error.strerror}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with contextlib.suppress(OSError, AttributeError):
        sys.stdout.flush()
        sys.stderr.flush()
    if any(thread.name == "import" and thread.is_alive() for thread in threading.enumerate()):
        os._exit(code)
    sys.exit(code)
