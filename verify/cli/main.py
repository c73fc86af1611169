"""Arguments in, exit code out: the one place that prints, and the one boundary where errors become exit codes."""

import argparse
import contextlib
import gc
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from verify.background import is_busy
from verify.cli import signals
from verify.cli.limits import require_memory
from verify.cli.parser import parse
from verify.cli.streams import hush_warnings, prepare_streams
from verify.errors import (
    EXIT_COULD_NOT_RUN,
    EXIT_VERIFIED,
    Cause,
    ConversionError,
    OptionError,
    cause_of,
)

# Commands whose reports have a room of their own.
_SHOWN_BY = {
    "compare": "several.compare_terminal",
    "votes": "several.votes",
    "sweep": "several.sweep_terminal",
    "judge": "judge",
    "explain": "explain",
    "env": "env",
    "profiles": "profiles",
}
STANDARD_TEXTS = "standard"  # the word in place of a file for --texts; a file of that name is ./standard


def _job(args: argparse.Namespace) -> Any:
    """Return the job of the command line; of several sources the first stands for all."""
    from verify.options import Job, given

    about = given(Job, vars(args))
    if "sources" in args:
        about["source"] = next(iter(args.sources), ".")
    if str(getattr(args, "texts_file", None)) == STANDARD_TEXTS:
        about["standard_texts"] = True
    elif getattr(args, "texts_file", None):
        from verify.audio.prompts import read_texts

        about["texts"] = (*(about["texts"] or ()), *read_texts(Path(args.texts_file)))
    return Job(**about)


def _do(args: argparse.Namespace, watch: Any) -> Any:
    """Do the command and return its result."""
    from verify import api
    from verify.options import CompareOptions, DemoOptions, JudgeOptions, Workers, given

    if args.command == "judge":
        return api.judge(*args.clips, watch=watch, **given(JudgeOptions, vars(args)))
    if args.command == "explain":
        from verify.diagnosis.pasted_text import pasted

        return api.explain(pasted(Path(args.file) if args.file else None))
    if args.command == "env":
        return api.inspect_environment(watch)
    if args.command == "profiles":
        from verify.report.profiles import Listing

        return Listing()
    if args.command == "demo":
        from verify.demo import demo

        options = DemoOptions(**given(DemoOptions, vars(args)))
        return demo.demo(options.output, options.force, watch)
    if args.command == "ui":
        from verify.cli import page

        return page.serve(args, _emit)
    if args.command == "compare" and args.votes:
        if args.sources:
            raise OptionError("bad-option", f"--votes counts what was saved, and takes no model: {args.sources[0]}")
        return api.count_votes(*args.votes)
    if args.command == "compare":
        return api.compare(*args.sources, job=_job(args), watch=watch, **given(CompareOptions, vars(args)))
    if args.command == "sweep":
        return api.sweep(*args.sources, job=_job(args), watch=watch, **given(Workers, vars(args)))
    if args.command == "inspect":
        return api.inspect(_job(args))
    if args.command == "verify":
        return api.verify(_job(args), watch)
    if args.dry_run:
        return api.dry_run(_job(args))
    return api.convert(_job(args), watch)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    0 verified, 1 it ran and a check failed, 2 it could not run, 130 interrupted (143 by SIGTERM, 129 by SIGHUP).
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        args = parse(words)
    except OptionError as error:
        from verify.report import screen as screens

        return _refuse(error.cause, error.exit_code, argparse.Namespace(json="--json" in words), screens.console())
    from verify.progress import Silent
    from verify.report import screen as screens
    from verify.report import terminal

    screen = screens.console()
    watch = terminal.TerminalWatch(screen, has_details=_wants_details(args))
    try:
        require_memory(args.command)
        report = _do(args, signals.Attentive(Silent() if args.quiet else watch))
    except ConversionError as error:
        return _refuse(error.cause, error.exit_code, args, screen)
    except OSError as error:
        return _refuse(cause_of(error), EXIT_COULD_NOT_RUN, args, screen)
    except Exception as error:  # the boundary: a fault of ours must not greet a user with a traceback
        if signals.was_interrupted(error):
            raise KeyboardInterrupt from error
        if os.environ.get("XTTS_VERIFY_DEBUG"):
            raise
        return _refuse(cause_of(error), EXIT_COULD_NOT_RUN, args, screen)
    if report is None:  # the page was closed
        return EXIT_VERIFIED
    with contextlib.suppress(OSError):  # a stderr that cannot be written must not cost the result on stdout
        _show(report, args, watch)
        if getattr(args, "open", False):
            _open(report, screen)
    if args.json:
        _emit(json.dumps(report.to_json(), indent=2, allow_nan=False))
    elif getattr(report, "output", None):
        _emit(_shown(report.output))
    return report.exit_code


def _wants_details(args: argparse.Namespace) -> bool:
    """Whether to show all that was found; what only reads a checkpoint is asked for nothing else."""
    return args.command == "inspect" or getattr(args, "dry_run", False) or getattr(args, "details", False)


def _show(report: Any, args: argparse.Namespace, watch: Any) -> None:
    """Show the report of the command for people."""
    from verify.report import terminal

    what = "votes" if getattr(args, "votes", None) else args.command
    if what in _SHOWN_BY:  # by name: what draws a page takes 70 MB that a conversion must not
        room = import_module(f"verify.report.{_SHOWN_BY[what]}")
        details = {"has_details": args.details} if what in ("compare", "judge") else {}
        room.show(report, watch.screen, args.quiet, **details)
    elif not args.quiet:
        terminal.show(report, watch)
    elif report.verdict != "pass":
        terminal.show_outcome(report, watch.screen)


def _open(report: Any, screen: Any) -> None:
    """Open the page of the report in the browser, or say why that was not done."""
    from verify.cli import browser
    from verify.report.screen import say
    from verify.report.words import printable

    if problem := browser.open_page(report.output):
        say(printable(problem), screen, whole=True)


def _refuse(cause: Cause, exit_code: int, args: argparse.Namespace, screen: Any) -> int:
    from verify.document import document
    from verify.report.screen import show_cause

    show_cause(cause, screen)
    if args.json:
        _emit(json.dumps(document(verdict="error", causes=(cause,)), indent=2))
    return exit_code


def _shown(path: str) -> str:
    """Return the path as it is where a program reads it; on a terminal its control characters must move no cursor."""
    return "".join(char if char.isprintable() else "\ufffd" for char in path) if sys.stdout.isatty() else path


def _emit(text: str) -> None:
    """Print the result; a reader that went away, as `head` does, is no fault of the run."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The interpreter flushes stdout once more on its way out, which must find something that takes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run() -> NoReturn:
    """Run as a program. A thread that still imports torch must not hold the exit up, nor crash it."""
    signals.listen()
    prepare_streams()
    hush_warnings()
    try:
        code = main()
    except KeyboardInterrupt as stop:
        code = signals.exit_status()
        with contextlib.suppress(OSError, AttributeError):
            sys.stderr.write(f"interrupted; {stop if stop.args else 'nothing was left behind'}\n")
    except OSError as error:  # stdout itself: a full disk behind it
        code = EXIT_COULD_NOT_RUN
        with contextlib.suppress(OSError, AttributeError):
            sys.stderr.write(f"error: the result could not be printed: {error.strerror}\n")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with contextlib.suppress(OSError, AttributeError):
        sys.stdout.flush()
        sys.stderr.flush()
    if is_busy():
        os._exit(code)
    gc.freeze()  # or the interpreter looks for cycles in all that torch and coqui-tts are: a second
    sys.exit(code)
