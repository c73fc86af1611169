"""The page: what it says, that it needs nothing but itself, and that a real browser plays, draws and reads it."""

import copy
import html.parser
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile

from verify import Job
from verify import options as reproduce
from verify.cli import main, parser
from verify.report import page, pictures

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}\u202egnp.exe"
CHECKS = [
    {"name": "finite", "ok": True, "measured": 0, "limit": "<= 0", "low": None, "high": 0, "unit": "samples", "hint": "", "note": "", "demanded": True},
    {"name": "level", "ok": False, "measured": -55.7, "limit": "-45 to -3", "low": -45, "high": -3, "unit": "dBFS", "hint": EVIL, "note": "", "demanded": True},
    {"name": "pitch", "ok": False, "measured": None, "limit": "70 to 380", "low": 70, "high": 380, "unit": "Hz", "hint": "odd", "note": "1 of 2", "demanded": False},
]  # fmt: skip
SAMPLE = {
    "text": f"Hello {EVIL}", "language": "en", "device": "cpu", "seed": 0, "tokens": 20, "token_bound": 99, "stopped": True,
    "seconds": 2.0, "synthesis_seconds": 1.0, "real_time_factor": 0.5, "path": "sample.wav", "reference": EVIL,
    "speaker_similarity": 0.75, "speaker_similarity_of_base": 0.5, "checks": CHECKS, "transcript": "hello", "character_error_rate": 0.1,
}  # fmt: skip
DOCUMENT = {
    "schema": 1,
    "verdict": "fail",
    "causes": [
        {"code": "x", "severity": "warning", "message": EVIL, "hint": EVIL, "keys": [f"gpt.{EVIL}.{n}.w" for n in range(9)]},
        {"code": "y", "severity": "note", "message": "a note", "hint": "", "keys": []},
    ],
    "source": {
        "path": EVIL, "bytes": 5_000_000, "sha256": "ab" * 32, "fingerprint": "ef" * 32, "layout": "trainer", "step": 12345, "epoch": 2, "date": EVIL,
        "loss": {EVIL: 1.5}, "dtypes": {"float32": 3}, "config": EVIL, "vocab": EVIL, "speakers": None,
    },
    "base": {"path": EVIL, "parts": [{"part": "GPT", "tensors": 10, "identical": 3}]},
    "ledger": {"in": 4, "groups": [
        {"fate": "kept", "reason": "GPT", "tensors": 2, "bytes": 3_000_000},
        {"fate": "dropped", "reason": EVIL, "tensors": 1, "bytes": 2_000_000},
        {"fate": "unknown", "reason": "no line knows these", "tensors": 1, "bytes": 0},
    ]},
    "architecture": {"version": "v2", "base": "v2.0.3", "gpt_layers": 30, "gpt_n_model_channels": 1024, "gpt_number_text_tokens": 6681},
    "load": {"strict": True, "matched": 3, "missing": [], "unexpected": [], "mismatched": []},
    "identical": {"tensors": 3, "bytes": 3_000_000, "ok": True},
    "cast": {"dtype": "float16", "parts": [
        {"part": EVIL, "tensors": 2, "worst_element": 4.9e-4, "worst_tensor": 2.9e-4, "tensor": EVIL, "to_zero": 7},
    ]},
    "profile": {"name": "x", "title": EVIL, "zip": False, "files": [EVIL], "put": EVIL, "bundle": None, "twice": False, "ok": True},
    "sample": SAMPLE,
    "samples": [SAMPLE, {**SAMPLE, "seed": 1, "path": "sample-02.wav"}],
    "checks": CHECKS,
    "places": None,
    "output": {"directory": EVIL, "files": [{"name": "model.pth", "bytes": 3_000_000, "sha256": "cd" * 32}]},
    "environment": {"python": "3.11", "device": EVIL},
    "seconds": {"read": 0.2, "speak": 12.04},
}  # fmt: skip


def write_clip(path, seconds, rate=24000):
    """Write a gliding tone with pauses, so that pictures of it show something."""
    time = np.arange(int(seconds * rate)) / rate
    soundfile.write(path, 0.4 * np.sin(2 * np.pi * (200 + 300 * time) * time) * (time % 0.7 < 0.5), rate)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as a run leaves it: a reference voice at another rate and two samples."""
    folder = tmp_path_factory.mktemp("page")
    write_clip(folder / "reference.wav", 3.5, 22050)
    for name in ("sample.wav", "sample-02.wav"):
        write_clip(folder / name, 2.0)
    return folder


@pytest.fixture(scope="module")
def written(folder):
    return page.write_page(folder, DOCUMENT, f"python convert_and_verify.py {shlex.quote(EVIL)}")


class Elements(html.parser.HTMLParser):
    """Every element of a page with its attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        self.text += data if "style" not in self.open else ""

    def all(self, *tags):
        return [attributes for tag, attributes in self.found if tag in tags]


def made(folder, **changes):
    return page.render(folder, {**copy.deepcopy(DOCUMENT), **changes}, "command")


# --- what it says -------------------------------------------------------------------------------------------------


def test_the_page_is_whole_and_needs_nothing_but_itself(written):
    text = written.read_text(encoding="utf-8")
    elements = Elements(text)
    assert len(elements.all("h1")) == 1
    assert elements.all("html")[0]["lang"] == "en"
    assert not elements.all("script", "link", "iframe", "object", "form")
    sources = [attributes["src"] for attributes in elements.all("img", "audio", "source")]
    assert len(sources) == 6
    assert all(source.startswith("data:") for source in sources)
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?\s*(?:https?:|//)""", text)
    assert "default-src 'none'" in text
    assert written.stat().st_size < 1_000_000


def test_everything_to_see_is_told_in_words(written):
    elements = Elements(written.read_text(encoding="utf-8"))
    assert all(image["alt"] for image in elements.all("img"))
    pictured = [svg for svg in elements.all("svg") if "aria-hidden" not in svg]
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in pictured)
    assert pictured[0]["aria-label"] == "Waveform of 2.0 s, loudest -8 dBFS"
    assert all(cell["scope"] in ("col", "row") for cell in elements.all("th"))
    names = {attributes.get("id") for _, attributes in elements.found}
    for _, attributes in elements.found:
        assert attributes.get("aria-labelledby") in names


def test_what_strangers_wrote_stays_text(written):
    elements = Elements(written.read_text(encoding="utf-8"))
    shown = EVIL.replace("\u202e", "\N{REPLACEMENT CHARACTER}")
    assert elements.text.count(shown) >= 12
    assert not [attributes for _, attributes in elements.found if any(name.startswith("on") for name in attributes)]


def test_the_verdict_comes_with_the_one_cause_and_the_next_step(folder):
    error = {"code": "vocab-rows", "severity": "error", "message": "6,681 rows", "hint": "Pass it.", "keys": []}
    for changes, title, what in (
        ({}, "It loads, but sounds wrong: listen before you use it", "level: -55.7, where the limit is -45 to -3 dBFS"),
        ({"causes": [error], "load": None, "sample": None}, "It does not load", "6,681 rows"),
        ({"checks": CHECKS[:1], "verdict": "warn"}, "It loads and speaks, with a warning", EVIL),
        ({"checks": CHECKS[:1], "verdict": "pass", "causes": []}, "It loads and speaks", None),
        ({"checks": [CHECKS[2]], "verdict": "pass", "causes": []}, "It loads and makes sound, and no more was asked of it", None),
        ({"checks": [], "sample": None, "verdict": "pass", "causes": []}, "It loads; it was not heard", None),
    ):  # fmt: skip
        document = {**DOCUMENT, **changes}
        assert page.headline(document) == title
        assert (page.reason(document) or {}).get("what") == what


def test_verdict_cause_and_player_come_before_failed_checks_and_those_before_all_else(folder):
    text = made(folder, sound={"code": "sound-noise", "message": "It is noise.", "hint": "Train on."})
    order = ["Verdict: fail", "<h1>", "It is noise.", ">Listen<", "<audio", "<audio", ">What to do next<", "Train on.",
             ">Failed checks<", ">All causes<", "<details>", ">Pictures and figures of the sound<", ">All checks: 1 of 3 pass<"]  # fmt: skip
    found = 0
    for piece in order:
        found = text.index(piece, found) + 1
    body = text[text.index("<body>") :]
    for digest in ("ab" * 32, "cd" * 32):
        assert body.index("<details>") < body.index(digest)
    failed = text[text.index(">Failed checks<") : text.index(">All causes<")]
    assert (">level<" in failed, ">finite<" in failed, ">pitch<" in failed) == (True, False, False)


def test_the_page_says_where_words_were_not_checked(folder):
    silent = {name: value for name, value in SAMPLE.items() if name not in ("transcript", "character_error_rate")}
    assert "Words not checked: add --transcribe" in made(folder, sample=silent, samples=[silent])
    assert "Words not checked" not in made(folder)
    assert "Words not checked" not in made(folder, sample=None, samples=None)


def test_a_page_that_passes_says_how_to_use_the_folder(folder):
    output = {"directory": "runs/a voice", "files": DOCUMENT["output"]["files"]}
    says = "TTS(model_path='runs/a voice', config_path='runs/a voice/config.json')"
    assert says in Elements(made(folder, verdict="pass", checks=CHECKS[:1], output=output)).text
    assert says not in Elements(made(folder, output=output)).text
    assert says not in Elements(made(folder, verdict="pass", output={**output, "directory": "s3://runs/a"})).text


def test_a_run_without_a_sample_has_a_page_without_a_player(tmp_path):
    nothing = dict.fromkeys(
        ("load", "identical", "sample", "samples", "checks", "environment", "base", "cast", "profile")
    )
    elements = Elements(made(tmp_path, **nothing))
    assert not elements.all("audio", "img")
    assert len(elements.all("h1")) == 1


def test_many_sentences_are_compressed_alike_and_the_page_stays_small(folder, tmp_path):
    write_clip(tmp_path / "reference.wav", 40.0, 44100)
    for number in range(12):
        write_clip(tmp_path / f"{number}.wav", 13.0)
    samples = [{**SAMPLE, "path": f"{number}.wav"} for number in range(12)]
    text = made(tmp_path, samples=samples)
    assert len(text) < 4_000_000
    assert "audio/wav" not in text
    assert text.count("audio/mpeg") == 10  # 30 s of the reference and nine samples: 147 s
    assert "first 30 s of 40 s" in text
    assert text.count("No room for it on this page") == 3
    text = made(tmp_path, samples=samples * 10)
    assert len(text) < 4_000_000
    assert "60 more samples lie beside this page" in text


def test_the_longest_clips_of_a_usual_run_are_played_as_they_are(tmp_path):
    rng = np.random.default_rng(1)
    for name, seconds in (("reference.wav", 30), ("sample.wav", 28)):
        soundfile.write(tmp_path / name, rng.uniform(-1, 1, seconds * 24000), 24000)
    text = made(tmp_path, samples=None)
    assert text.count("audio/wav") == 2
    assert len(text) < 4_000_000


@pytest.mark.parametrize(
    ("low", "high", "measured", "is_inside"),
    [(None, 0.05, 0.01, True), (None, 0.05, 0.06, False), (-60, None, -55, True), (2.6, None, 1.2, False), (1.38, 8.33, 8.31, True),
     (-45, -3, -55.7, False), (None, 179, 178, True), (None, 1e-05, 1e-06, True)],
)  # fmt: skip
def test_a_bar_shows_on_which_side_of_the_limit_the_measurement_lies(low, high, measured, is_inside):
    bar = pictures.limit_bar({"low": low, "high": high, "measured": measured})
    assert 0 <= bar["low"] < bar["high"] <= 100
    assert (bar["low"] <= bar["at"] <= bar["high"]) is is_inside


def test_no_bar_where_there_is_nothing_to_draw():
    assert pictures.limit_bar({"low": None, "high": 1, "measured": None}) is None
    assert pictures.limit_bar({"low": None, "high": None, "measured": 1.0}) is None


def test_silence_and_a_single_sample_are_drawn_too():
    for samples in (np.zeros(24000, np.float32), np.ones(1, np.float32)):
        assert pictures.waveform(samples)
        assert pictures.spectrogram(samples, 24000).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["./demo", "-o", "out", "--expect", "sound", "--seed", "7", "--seeds", "3", "--no-sample", "--force"],
        ["a b/c.pth", "--text", EVIL, "--text=--odd", "--speaker-wav", "x y.wav", "--speaker-wav", "z.wav", "--no-follow"],
        ["-x.pth", "--vocab=-v.json", "--config-from-weights", "--keep-failed", "--prove", "--transcribe", "tiny", "--checkpoint", "100", "--base", "b", "--language", "pt"],
    ],
)  # fmt: skip
def test_the_command_makes_the_same_job_again(words):
    source, *options = words
    request = ["convert", *options, "--", source]
    job = main._job(parser.parse(request))
    again = shlex.split(reproduce.command(job, "convert"))
    assert again[:2] == ["python", "convert_and_verify.py"]
    assert main._job(parser.parse(again[2:])) == job


def test_the_command_says_verify_where_that_was_asked():
    assert reproduce.command(Job(source=Path("m/x")), "verify") == "python convert_and_verify.py verify m/x"


def test_a_run_leaves_its_page_and_names_it(converted, capsys):
    from rich.console import Console

    from verify.report import terminal

    folder, report = converted
    text = (folder / "report.html").read_text(encoding="utf-8")
    elements = Elements(text)
    assert len(elements.all("audio")) == 2
    assert f"--output {folder} --" in elements.text
    assert " --expect sound" in elements.text
    assert all(item.sha256 in text for item in report.files if item.name != "report.html")
    assert report.seconds["page"] < 5  # 0.5 on an idle machine
    terminal.show_outcome(report, Console(stderr=True, width=400))
    assert f"listen: {folder}/report.html" in capsys.readouterr().err.replace("\n", "")


def test_a_failed_run_that_is_kept_has_a_page(make_run, tmp_path, capsys):
    from tests.support.helpers import run_cli

    run = make_run(lambda state: {key: value for key, value in state.items() if "final_norm" not in key})
    code, _, err = run_cli(capsys, run, "-o", tmp_path / "out", "--keep-failed")
    assert code == 1
    assert "read: " in err
    text = (tmp_path / "out.failed" / "report.html").read_text(encoding="utf-8")
    assert "It does not load" in text
    assert not Elements(text).all("audio")
    names = {
        item["name"] for item in json.loads((tmp_path / "out.failed" / "report.json").read_text())["output"]["files"]
    }
    assert "report.html" in names


# --- in a real browser --------------------------------------------------------------------------------------------


@pytest.fixture
def open_page(chromium, written):
    """Open the page; at the end nothing may have been asked for, complained about or popped up."""
    contexts, faults = [], []

    def forbid(route):
        faults.append(f"asked for {route.request.url[:200]}")
        route.abort()

    def open_it(**options):
        context = chromium.new_context(**options)
        contexts.append(context)
        context.route(lambda url: not url.startswith(("data:", written.as_uri())), forbid)
        tab = context.new_page()
        tab.on("console", lambda message: faults.append(f"console: {message.text}"))
        tab.on("pageerror", lambda error: faults.append(f"error: {error}"))
        tab.on("dialog", lambda dialog: faults.append("a script ran"))
        tab.goto(written.as_uri())
        return tab

    yield open_it
    for context in contexts:
        context.close()
    assert faults == []


def wait_until(tab, expression):
    """Wait up to 10 s; playwright's own waiting evaluates a string in the page, which its policy forbids."""
    for _ in range(100):
        if tab.evaluate(expression):
            return
        tab.wait_for_timeout(100)
    pytest.fail(f"never came true: {expression}")


def unfold(tab):
    """Open all that is folded away."""
    tab.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")


@pytest.mark.parametrize("size", [(1366, 768), (390, 844)], ids=["laptop", "phone"])
def test_the_verdict_its_cause_and_both_players_are_on_the_first_screen(open_page, size):
    tab = open_page(viewport={"width": size[0], "height": size[1]})
    shown = (
        "[...document.querySelectorAll('.verdict, .players audio')].map(part => part.getBoundingClientRect().bottom)"
    )
    bottoms = tab.evaluate(shown)
    assert len(bottoms) == 4  # the verdict, the sample, the voice, and the other take
    assert max(bottoms[:3]) <= size[1]


def test_what_is_folded_away_opens_from_the_keyboard(open_page):
    tab = open_page()
    assert tab.evaluate("document.querySelectorAll('details[open]').length") == 0
    tab.locator("summary").first.focus()
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.querySelector('details').open")
    assert tab.locator("summary h2").count() == tab.locator("details").count() == 7


def test_it_plays_from_the_keyboard(open_page):
    tab = open_page()
    wait_until(tab, "[...document.querySelectorAll('audio')].every(audio => audio.readyState > 0)")
    durations = tab.evaluate("[...document.querySelectorAll('audio')].map(audio => audio.duration)")
    assert durations == pytest.approx([2.0, 3.5, 2.0], abs=0.05)  # the sample, the voice beside it, the other take
    reached = []
    for _ in range(30):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.tagName + ' ' + document.activeElement.className"))
        if reached[-1].startswith("AUDIO"):
            break
    assert reached[0] == "A skip"
    assert reached[-1].startswith("AUDIO")
    tab.keyboard.press("Space")
    wait_until(tab, "document.querySelector('audio').currentTime > 0.3")


def test_its_pictures_are_drawn(open_page):
    tab = open_page()
    assert min(tab.evaluate("[...document.images].map(image => image.naturalWidth)")) > 50
    box = tab.evaluate("(() => { const box = document.querySelector('.wave polygon').getBBox(); return [box.width, box.height]; })()")  # fmt: skip
    assert box[0] > 500
    assert 20 < box[1] < 100


@pytest.mark.parametrize("width", [360, 1100])
def test_it_never_scrolls_sideways(open_page, width):
    tab = open_page(viewport={"width": width, "height": 700})
    unfold(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


CONTRASTS = """() => {
    const luminance = color => {
        const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const background = element => {
        for (; element; element = element.parentElement) {
            const color = getComputedStyle(element).backgroundColor;
            if (!/, 0\\)$/.test(color)) return color;
        }
        return "rgb(255, 255, 255)";
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
    while (walker.nextNode()) {
        const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
        if (!text || !element.getClientRects().length) continue;
        const [a, b] = [getComputedStyle(element).color, background(element)].map(luminance);
        found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), text.slice(0, 40)]);
    }
    return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_light_and_dark(open_page, scheme):
    tab = open_page(color_scheme=scheme)
    unfold(tab)
    found = tab.evaluate(CONTRASTS)
    assert len(found) > 100
    assert [text for ratio, text in found if ratio < 4.5] == []


def test_it_needs_no_script(open_page):
    tab = open_page(java_script_enabled=False)
    assert tab.locator("h1").inner_text() == "It loads, but sounds wrong: listen before you use it"
    assert tab.locator("audio").first.is_visible()
    assert tab.locator("svg.wave").first.is_visible()


def test_it_prints_without_its_players(open_page):
    tab = open_page()
    tab.emulate_media(media="print")
    assert not tab.locator("audio").first.is_visible()
    assert tab.locator("svg.wave").first.is_visible()
    shown = "[...document.querySelectorAll('details table')].map(t => t.checkVisibility({contentVisibilityAuto: true}))"
    assert set(tab.evaluate(shown)) == {True}  # paper unfolds nothing
    assert tab.pdf(format="A4").startswith(b"%PDF")
