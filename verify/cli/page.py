"""The command `ui` on the command line: it says where the page is, opens it, and waits for Ctrl-C."""

import argparse
import json
import os
import sys
import webbrowser
from collections.abc import Callable

from verify.document import document
from verify.options import UiOptions, given
from verify.report import screen as screens


def serve(args: argparse.Namespace, emit: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C; `emit` gets its address, or a document with it.

    Raises:
        ConversionError: it cannot be served.
    """
    from verify.ui import server

    options = UiOptions(**given(UiOptions, vars(args)))

    def ready(address: str) -> None:
        """Say where the page is, and open it where somebody can see it."""
        if not args.quiet:
            screens.say("The page is ready. Open this address in a browser; Ctrl-C ends it.", screens.console())
        emit(json.dumps({**document(verdict="pass"), "address": address}) if args.json else address)
        if options.browser and _has_browser():
            webbrowser.open(address)

    server.serve(options, ready)


def _has_browser() -> bool:
    """Whether somebody sits at this machine: a browser of a terminal would take the terminal."""
    is_desktop = os.name == "nt" or sys.platform == "darwin" or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    return sys.stderr.isatty() and bool(is_desktop)
