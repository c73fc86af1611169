"""Open the page that a run left in the browser, for `--open`."""

import webbrowser
from pathlib import Path

from verify.files.names import PAGES


def open_page(output: str | None) -> str:
    """Open the page in an output folder, and return in words why none was opened; nothing where one was."""
    if output is None:
        return "--open: no page was written; name a folder for it with -o DIR"
    if "://" in output:
        return f"--open: the page is in {output}; a browser opens what lies on this machine"
    page = next((page for name in PAGES if (page := Path(output).absolute() / name).is_file()), None)
    if page is None:
        return f"--open: there is no page in {output}, for nothing was loaded"
    return "" if webbrowser.open(page.as_uri()) else f"--open: no browser was found for {page}"
