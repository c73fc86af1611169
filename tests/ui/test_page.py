"""The page of `ui`: what it may open, who may ask it, and in a real Chromium from the first click to the download."""

import http.client
import json
import os
import pickle
import shutil
import sys
import time
import urllib.parse
import zipfile
from dataclasses import replace

import pytest

from tests.support import seeds
from verify.checks import WORD_CHECKS, Check
from verify.cli import main, parser
from verify.errors import ConversionError
from verify.options import UiOptions
from verify.resources import DEFAULT_REFERENCE
from verify.ui import choices, roots, views
from verify.ui.tasks import Asked, Tasks
from verify.ui.work import Work, Workshop

EVIL = "<img src=x onerror=alert(1)>${alert(2)}{{constructor}}'\"\u202e"


class Evil:
    """Runs a command where it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch ran",)


# --- what may be opened ----------------------------------------------------------------------------------------------


def test_nothing_outside_of_the_folders_is_opened_by_whatever_way(tmp_path):
    inside, beside, dropped = (tmp_path / name for name in ("runs", "runs-of-others", "private"))
    for folder in (inside, beside, dropped):
        folder.mkdir()
    for run in (inside / "run", beside / "run"):
        run.mkdir()
        (run / "best_model_1.pth").write_bytes(b"a checkpoint")
    (inside / "way-out").symlink_to(beside / "run")
    opened = roots.opened([inside], dropped)
    assert opened.find(' "run" ') == inside / "run" == opened.find(str(inside / "run"))
    for name in (
        "../runs-of-others/run",
        str(beside / "run"),
        "way-out",
        "way-out/best_model_1.pth",
        "/etc/passwd",
        "~",
        "run/../..",
    ):
        with pytest.raises(ConversionError, match="outside of what this page may open") as refused:
            opened.find(name)
        assert refused.value.cause.code == "outside-roots"
    for name in ("", "  ", "https://example.org/a.pth", "file:///etc/passwd", "a\0b"):
        with pytest.raises(ConversionError) as refused:
            opened.find(name)
        assert refused.value.cause.code == "bad-option"
    with pytest.raises(ConversionError, match="is not a folder"):
        roots.opened([inside / "none"], dropped)


@pytest.mark.parametrize("named", ["clip", "sentence"])
def test_nothing_outside_is_read_because_a_config_names_it(tmp_path, named):
    inside, outside = tmp_path / "runs", tmp_path / "private"
    (outside / "wavs").mkdir(parents=True)
    if named == "clip":
        shutil.copyfile(DEFAULT_REFERENCE, outside / "wavs" / "a.wav")
    (outside / "list.txt").write_text("a|my secret sentence|x\n")
    dataset = {"path": str(outside), "meta_file_train": "list.txt", "language": "xx"}
    seeds.run_folder(inside / "run", config=json.dumps({**seeds.CONFIG, "datasets": [dataset]}).encode())
    tasks = Tasks(roots=roots.opened([inside], tmp_path / "dropped"), workshop=Workshop(tmp_path))
    source = tasks.inspect(Asked(source="run")).source
    assert (source.clips, dict(source.sentences)) == ((), {})
    within = Tasks(roots=roots.opened([tmp_path], tmp_path / "dropped"), workshop=tasks.workshop)
    source = within.inspect(Asked(source="runs/run")).source
    assert bool(source.clips) if named == "clip" else dict(source.sentences) == {"xx": "my secret sentence"}


def test_every_option_that_takes_a_path_is_held_to_the_folders_and_none_starts_a_program(tmp_path):
    opened = roots.opened([tmp_path], tmp_path)
    for command in ("convert", "compare", "sweep"):
        fields = choices.folded(command)
        for at, (field, option) in enumerate(fields):
            values = [None] * len(fields)
            values[at] = "/etc/hostname"
            if option.metavar in ("FILE", "DIR"):
                with pytest.raises(ConversionError, match="outside"):
                    choices.read(command, values, opened)
            else:
                is_free = not (option.choices or isinstance(field.default, bool) or field.name == "transcribe")
                assert is_free <= (option.metavar in ("N", "X", "CODE")), field.name
        names = {field.name for field, _ in fields}
        assert not {"pythons", "speakers"} & names
        assert ("output" in names) == (command != "compare")  # whose page is shown from a folder of ours


def test_messages_name_the_fields_of_the_page_in_place_of_flags():
    assert views.in_words("Pass it with --vocab FILE, or -o DIR.") == "Pass it with “vocab”, or “output”."
    assert views.in_words("a --nothing, x-o y, 3 -o") == "a --nothing, x-o y, 3 “output”"


def test_whether_the_words_were_checked_is_said_as_the_checks_have_it(converted, tmp_path):
    report = replace(
        converted[1], checks=tuple(check for check in converted[1].checks if check.name not in WORD_CHECKS)
    )
    heard = replace(report, checks=(*report.checks, Check(name=WORD_CHECKS[0], ok=True, measured=1.0, unit="")))
    shown = [views.result(Work(kind="convert", state="done", result=found), tmp_path) for found in (report, heard)]
    assert ["Words not checked: add “transcribe”" in page for page in shown] == [True, False]


def test_work_is_done_in_turn_and_a_stop_is_heard_while_it_waits(tmp_path):
    shop, order = Workshop(tmp_path), []

    def do(work):
        with work.step("long", 10) as progress:
            while True:
                order.append(work.id)
                progress(1)
                time.sleep(0.01)

    first, second = shop.begin("convert", do), shop.begin("convert", do)
    while not order:
        time.sleep(0.01)
    assert shop.waiting_before(second) == 1
    assert "Waiting for 1 other piece of work" in views.progress(second, 1)
    second.stop()
    first.stop()
    shop.close()
    assert (first.state, second.state) == ("stopped", "stopped")
    assert {*order} == {first.id}


# --- the command -----------------------------------------------------------------------------------------------------


def test_without_gradio_the_command_says_what_to_install(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    assert main.main(["ui", str(tmp_path), "--no-browser"]) == 2
    assert 'pip install "xtts-verify[ui]"' in capsys.readouterr().err
    assert parser.parse(["ui"]).roots == []


# --- the server ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(genuine_run, tmp_path_factory):
    """A folder of runs: a genuine one with its vocabulary, and one whose name is an attack."""
    top = tmp_path_factory.mktemp("runs")
    vocab = next(genuine_run.parents[1].glob("**/vocab.json"))
    for name in ("run", f"{EVIL.replace('/', '')}"):
        (top / name).mkdir()
        try:
            os.link(next(genuine_run.glob("best_model_*.pth")), top / name / "best_model_2.pth")
        except OSError:  # on another disk
            shutil.copyfile(next(genuine_run.glob("best_model_*.pth")), top / name / "best_model_2.pth")
        shutil.copyfile(genuine_run / "config.json", top / name / "config.json")
        shutil.copyfile(vocab, top / name / "vocab.json")
    return top


@pytest.fixture(scope="module")
def address(folder):
    pytest.importorskip("gradio", reason="the page needs Gradio: pip install 'xtts-verify[ui]'")
    from verify.ui import server

    with pytest.MonkeyPatch.context() as patch:
        for name in (*server._QUIET, "GRADIO_TEMP_DIR"):
            patch.setenv(name, "")  # so that the session has its own again afterwards
        with server.running(UiOptions(roots=(folder,), port=0)) as (address, _):
            yield urllib.parse.urlsplit(address)


def ask(address, path, method="GET", body=None, key=True, **headers):
    """Return the status and body of an answer."""
    port, secret = address.port, address.query.removeprefix("key=")
    cookie = {"Cookie": f"xtts-verify-{port}={secret}"} if key else {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(
        method, path, body, {**cookie, **{name.replace("_", "-"): value for name, value in headers.items()}}
    )
    answer = connection.getresponse()
    return answer.status, answer.read().decode(errors="replace")


def test_a_stranger_gets_nothing_and_another_page_neither(address):
    assert ask(address, "/", key=False)[0] == 403
    assert ask(address, "/config", key=False)[0] == 403
    assert ask(address, "/?key=guessed", key=False)[0] == 403
    assert ask(address, f"/?{address.query}", key=False)[0] == 303
    assert ask(address, "/config")[0] == 200
    assert ask(address, "/config", Host=f"evil.example:{address.port}")[0] == 421
    for origin in ("http://evil.example", f"http://127.0.0.1:{address.port + 1}", "null"):
        assert ask(address, "/gradio_api/upload", "POST", b"x", Origin=origin)[0] == 403
    assert ask(address, "/config", Sec_Fetch_Site="same-site", Sec_Fetch_Mode="no-cors")[0] == 403
    for path in (
        "/gradio_api/info",
        "/gradio_api/proxy=http://127.0.0.1/",
        "/gradio_api/run/predict",
        "/docs",
        "/monitoring",
        "/work/x/../../etc/passwd",
    ):
        assert ask(address, path)[0] == 404, path
    assert ask(address, "/gradio_api/file=/etc/passwd")[0] == 403
    assert ask(address, "/gradio_api/upload", "POST", b"x", Content_Length=str(10**15))[0] == 507
    assert ask(address, "/gradio_api/queue/join", "POST", b"x", Content_Length=str(10**8))[0] == 413
    assert ask(address, f"/work/{'a' * 22}.zip")[0] == 404


def expect(locator):
    from playwright.sync_api import expect

    expect.set_options(timeout=60_000)
    return expect(locator)


@pytest.fixture(scope="module")
def tab(chromium, address):
    """The page at a phone's width; at the end nothing may have been asked of any other host, complained about or popped up."""
    faults = []

    def forbid(route):
        faults.append(f"asked for {route.request.url[:200]}")
        route.abort()

    context = chromium.new_context(viewport={"width": 390, "height": 844}, accept_downloads=True)
    context.set_default_timeout(60_000)
    context.route(lambda url: not url.startswith((f"http://127.0.0.1:{address.port}/", "data:", "blob:")), forbid)
    context.on("console", lambda message: faults.append(message.text) if "Content Security" in message.text else None)
    context.on("weberror", lambda error: faults.append(str(error.error)))
    context.on("dialog", lambda dialog: faults.append("a script ran"))
    tab = context.new_page()
    tab.goto(address.geturl())
    tab.wait_for_selector("#source textarea")
    yield tab
    context.close()
    assert faults == []


def pick(tab, name, shown):
    """Type the name of a run and wait for what is in it."""
    tab.locator("#source textarea").fill(name)
    tab.keyboard.press("Enter")
    expect(tab.locator("#found")).to_contain_text(f"{shown}/best_model_2.pth")


def test_hostile_files_and_names_are_shown_and_nothing_of_them_runs(tab, folder, tmp_path):
    name = next(path.name for path in folder.iterdir() if path.name != "run")
    pick(tab, name, "${alert(2)}{{constructor}}'\"\ufffd")
    tab.get_by_role("button", name="Browse").click()
    tab.get_by_text("${alert(2)}").last.wait_for()
    hostile = tmp_path / "<b onclick=alert(3)>.pth"
    hostile.write_bytes(pickle.dumps(Evil()))
    tab.get_by_role("button", name="Drop files").click()
    tab.locator("#drop input[type=file]").set_input_files(hostile)
    expect(tab.locator("#found")).to_contain_text("unsafe-pickle")
    assert not (tmp_path / "ran").exists()


def test_from_the_first_click_to_the_download(tab, address, folder):
    """With the keyboard, at a phone's width: pick a run, convert, stop, convert again, leave and come back, listen, take it away."""
    pick(tab, "run", "/run")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    before = sorted(folder.rglob("*"))
    tab.get_by_label("What it says").first.fill("Hi.")
    tab.locator("#convert").focus()
    tab.keyboard.press("Enter")
    tab.locator("#stop-convert:enabled").click()
    expect(tab.locator("#progress-convert")).to_contain_text("Stopped. Nothing was left behind.")
    assert sorted(folder.rglob("*")) == before
    tab.locator(".voice input[type=file]").set_input_files(DEFAULT_REFERENCE)
    tab.locator(".voice").get_by_label("Clear").first.wait_for()
    tab.locator("#convert").focus()
    tab.keyboard.press("Enter")
    expect(tab.locator("#progress-convert progress")).to_be_attached()
    again = tab.context.new_page()
    tab.close()  # in the middle of the work
    again.goto(f"http://127.0.0.1:{address.port}/")
    expect(again.locator("#result .xv-verdict")).to_contain_text("It is noise, not speech", timeout=120_000)
    expect(again.locator("#result")).to_contain_text("“expect” sound asks for no more than sound")
    heard = "[...document.querySelectorAll('#result audio')].map(one => one.readyState > 0).join()"
    again.wait_for_function(f"{heard} == 'true,true'")
    with again.expect_download() as download:
        again.get_by_text("Download the folder as ZIP").click()
    assert download.value.suggested_filename == "run.zip"
    with zipfile.ZipFile(download.value.path()) as bundle:
        assert bundle.testzip() is None
        written = {path.name for path in (folder / "run" / "inference").iterdir()}
        assert {name.removeprefix("run/") for name in bundle.namelist()} == written
    assert not list((folder / "run").glob(".*"))
