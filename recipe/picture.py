"""Make docs/first-look.png, the README's picture: what the demo prints, and beside it the top of the page that it leaves.

`python -m recipe.picture` needs the test extra (playwright) and a Chromium. Make it anew when terminal or page change.
"""

import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from verify.demo import demo
from verify.progress import Silent
from verify.report.terminal import TerminalWatch, show
from verify.result import Result

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "first-look.png"
COMMAND = "python convert_and_verify.py demo"
COLUMNS, WIDTH, HEIGHT = 80, 1320, 560  # of the terminal in characters, of the picture in pixels
PAGE_WIDTH = 760
LOOK = f"""<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; width: {WIDTH}px; height: {HEIGHT}px; background: #d8dee6; overflow: hidden; }}
pre, img {{ position: absolute; top: 24px; border-radius: 8px; box-shadow: 0 4px 16px #0006; }}
pre {{ left: 24px; width: 600px; min-height: 250px; margin: 0; padding: 14px 18px; background: #1d1f21; color: #e6e6e6;
  font: 12.2px/1.6 "DejaVu Sans Mono", monospace; white-space: pre-wrap; word-break: break-all; }}
img {{ left: 684px; width: {WIDTH - 684 - 24}px; }}
</style><pre>$ {COMMAND}
%s</pre><img src="page.png">"""


def printed(report: Result) -> str:
    """Return what a terminal shows of the demo, as HTML."""
    screen = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False, markup=False)
    show(report, TerminalWatch(screen))
    screen.print(report.output)
    return screen.export_html(theme=MONOKAI, inline_styles=True, code_format="{code}")


def photograph(report: Result, folder: Path) -> None:
    """Put both views into one picture."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        tab = browser.new_page(
            viewport={"width": PAGE_WIDTH, "height": (HEIGHT - 48) * PAGE_WIDTH // (WIDTH - 684 - 24)}
        )
        tab.goto((folder / "demo" / "inference" / "report.html").as_uri())
        tab.screenshot(path=folder / "page.png")
        (folder / "both.html").write_text(LOOK % printed(report), encoding="utf-8")
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        tab.goto((folder / "both.html").as_uri())
        tab.screenshot(path=PICTURE)
        browser.close()


def main() -> None:
    """Run the demo in a folder of its own and photograph it."""
    sys.argv[0] = "convert_and_verify.py"  # as it stands in the commands that are printed
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        photograph(demo.demo(Path("demo"), False, Silent()), Path(name))
        os.chdir(PICTURE.parent)
    print(PICTURE)


if __name__ == "__main__":
    main()
