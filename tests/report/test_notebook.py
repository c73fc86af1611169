"""A report in a notebook: it shows verdict, reason, sample and checks, and holds nothing that runs."""

import html
import re
import subprocess
import sys
from html.parser import HTMLParser

from tests.support.helpers import ROOT, save_tiny
from verify import convert, inspect

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'{{7*7}}"
VOID = {"br"}


class Elements(HTMLParser):
    """The elements of a piece of HTML, each closed as it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names, self.open, self.attributes, self.text = set(), [], set(), ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_a_converted_model_shows_its_sample_and_its_checks(converted):
    folder, report = converted
    shown = Elements(report._repr_html_())
    assert f"{report.verdict}: It loads" in shown.text
    assert str(folder) in shown.text
    passed = sum(check.ok for check in report.checks)
    assert f"{passed} of {len(report.checks)} checks passed" in shown.text
    assert "audio" in shown.names
    uri = re.search(r'src="(data:audio/wav;base64,[^"]+)"', html.unescape(report._repr_html_()))
    assert len(uri[1]) > 10_000


def test_a_report_of_inspect_says_that_nothing_was_loaded(tmp_path):
    shown = Elements(inspect(save_tiny(tmp_path / "best_model_3.pth"))._repr_html_())
    assert "Read, not loaded" in shown.text
    assert "audio" not in shown.names


def test_names_of_strangers_are_only_text(tmp_path, converted):
    run = tmp_path / EVIL.replace("/", "∕")
    save_tiny(run / "best_model_3.pth", extra={EVIL: 1}, date=EVIL)
    report = inspect(run)
    shown = Elements(report._repr_html_())
    assert shown.names <= {"div", "p", "strong", "em", "code", "br", "details", "summary", "ul", "li", "table", "tr", "th", "td", "audio"}  # fmt: skip
    assert shown.attributes <= {"style", "controls", "src"}
    assert run.name in shown.text


def test_showing_a_report_needs_no_torch(tmp_path):
    save_tiny(tmp_path / "best_model_3.pth")
    code = f"import sys, verify\nverify.inspect({str(tmp_path)!r})._repr_html_()\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


def test_a_failed_conversion_shows_its_cause(make_run, tmp_path):
    def narrow(config):
        config["model_args"]["gpt_layers"] = 3

    report = convert(make_run(change_config=narrow), output=tmp_path / "out", verify=False)
    shown = Elements(report._repr_html_())
    assert "gpt_layers is 3, the weights call for 2" in " ".join(shown.text.split())
