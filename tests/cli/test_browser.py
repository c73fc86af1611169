"""`--open`: the page of a run goes to the user's browser, and where there is none the program says why."""

import os
import subprocess
import sys

import pytest

from tests.support.helpers import ROOT
from verify.cli.browser import open_page


def test_the_page_is_handed_to_the_users_browser(tmp_path):
    page, script = tmp_path / "the voice" / "report.html", tmp_path / "browser.py"
    page.parent.mkdir()
    page.write_text("<!doctype html>")
    script.write_text("import pathlib, sys\npathlib.Path(__file__).with_name('opened').write_text(sys.argv[1])\n")
    program = "import sys; from verify.cli.browser import open_page; print(repr(open_page(sys.argv[1])))"
    browser = {"BROWSER": f'"{sys.executable}" "{script}" %s'.replace("\\", "/")}
    done = subprocess.run(
        [sys.executable, "-c", program, str(page.parent)], capture_output=True, env=os.environ | browser, cwd=ROOT
    )
    assert done.stdout.strip() == b"''", done
    assert (tmp_path / "opened").read_text() == page.as_uri()


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (None, "no page was written; name a folder for it with -o DIR"),
        ("s3://bucket/voice", "the page is in s3://bucket/voice"),
        (".", "there is no page in ."),
    ],
)
def test_where_there_is_no_page_the_reason_is_told(output, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert says in open_page(output)
