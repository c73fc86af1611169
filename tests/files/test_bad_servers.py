"""Servers that mean no good: each costs a bounded number of bytes, seconds and hosts, and is named in the refusal."""

import gzip
import itertools
import json
import shutil
import threading
import time

import pytest
from aiohttp import web as server_side
from yarl import URL

from tests.support.helpers import run_cli
from tests.support.servers import Stream, WebServer
from verify import ConversionError, Job, inspect
from verify.files import answers as answers_module
from verify.files import budget, web
from verify.files.location import parse_location

MEGABYTE = bytes(2**20)
MOST_SENT_BYTES = 16 * 2**20  # what the sockets of both sides hold, and some


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    server = WebServer(tmp_path / "served")
    yield server
    server.stop()


def refusal(url: str) -> ConversionError:
    with pytest.raises(ConversionError) as caught:
        inspect(Job(source=url))
    return caught.value


def answers(server, make):
    """Let the server answer each request with `make(request)`; return the list of its answers."""
    given = []

    def fault(request):
        given.append(make(request))
        return given[-1]

    server.fault = fault
    return given


@pytest.mark.parametrize("headers", [{"Content-Length": str(10**10)}, {}], ids=["stated", "not stated"])
def test_a_small_range_that_is_answered_with_gigabytes_is_not_read(server, headers):
    given = answers(server, lambda request: Stream(request, itertools.repeat(MEGABYTE, 200), headers))
    error = refusal(f"{server.url}/model.pth")
    assert error.cause.code == "no-ranges"
    assert ("10,000,000,000 bytes" if headers else "sends more") in str(error)
    assert sum(answer.sent_bytes for answer in given) < MOST_SENT_BYTES


def test_an_answer_that_is_packed_unasked_is_not_unpacked(server):
    bomb = gzip.compress(MEGABYTE * 64)
    answers(server, lambda request: Stream(request, [bomb], {"Content-Encoding": "gzip", "Content-Length": str(len(bomb))}))  # fmt: skip
    error = refusal(f"{server.url}/model.pth")
    assert (error.cause.code, "packs what it sends (gzip)" in str(error)) == ("no-ranges", True)


def test_a_server_that_sends_a_byte_now_and_then_is_given_up(server, monkeypatch):
    """No wait for a byte is long, so a limit of silence never ends it: all of them together have one."""
    monkeypatch.setattr(budget, "GRACE_SECONDS", 2.0)
    monkeypatch.setattr(budget, "SLOWEST_BYTES_PER_SECOND", 10**9)
    answers(server, lambda request: Stream(request, itertools.repeat(b"x", 600), {}, pause_seconds=0.1))
    began = time.perf_counter()
    error = refusal(f"{server.url}/model.pth")
    assert time.perf_counter() - began < 20
    assert (error.cause.code, "took more than 2 s" in str(error)) == ("remote-unreachable", True)


def test_many_slow_answers_share_one_limit(server, monkeypatch):
    monkeypatch.setattr(budget, "GRACE_SECONDS", 1.0)
    path = parse_location(f"{server.url}/run/")
    answers(server, lambda request: Stream(request, [b"x"], delay_seconds=0.3))
    with pytest.raises(ConversionError, match="took more than 1 s"):
        any((path / f"{number}.pth").is_dir() for number in range(20))


def test_a_folders_page_of_links_is_read_up_to_a_size(server):
    def page(request):
        return Stream(request, itertools.repeat(MEGABYTE, 200), {"Content-Type": "text/html"}) if request.path == "/run/" else server_side.Response(status=404)  # fmt: skip

    given = answers(server, page)
    assert refusal(f"{server.url}/run/").cause.code in ("no-ranges", "no-checkpoint", "remote-unreachable")
    assert sum(getattr(answer, "sent_bytes", 0) for answer in given) < MOST_SENT_BYTES


# --- stores: their own packages send the requests -------------------------------------------------------------------


@pytest.fixture
def s3_url(server, monkeypatch):
    """The URL of a file of a million bytes on an S3 server that means no good with all but the question for its size."""
    from s3fs import S3FileSystem

    for name, value in {"ENDPOINT_URL": server.url, "ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "MAX_ATTEMPTS": "1"}.items():  # fmt: skip
        monkeypatch.setenv(f"AWS_{name}", value)
    S3FileSystem.clear_instance_cache()
    yield "s3://voices/model.pth"
    S3FileSystem.clear_instance_cache()


def answers_of_s3(server, make):
    """Let the server give size and version to HEAD, and to GET what `make(request)` returns; return the list of that."""
    size = {"Content-Length": "1000000", "ETag": '"1"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    head = lambda request: server_side.Response(headers=size) if request.method == "HEAD" else make(request)  # noqa: E731
    return answers(server, head)


@pytest.mark.parametrize("headers", [{"Content-Length": str(10**10)}, {}], ids=["stated", "not stated"])
def test_a_part_of_a_stores_file_that_is_answered_with_gigabytes_is_not_read(server, s3_url, headers):
    given = answers_of_s3(server, lambda request: Stream(request, itertools.repeat(MEGABYTE, 200), headers))
    error = refusal(s3_url)
    assert (error.cause.code, "the store sends" in str(error)) == ("no-ranges", True)
    assert sum(getattr(answer, "sent_bytes", 0) for answer in given) < MOST_SENT_BYTES


@pytest.mark.parametrize("status", [200, 400], ids=["list", "error"])
def test_a_stores_list_and_its_errors_are_read_up_to_a_size(server, s3_url, status):
    def flood(request):
        answer = Stream(request, itertools.repeat(MEGABYTE, 200), {"Content-Type": "application/xml"})
        answer.set_status(status)
        return answer

    given = answers(server, flood)
    with pytest.raises(ConversionError, match="the store sends more"):
        list(parse_location("s3://voices/run/").iterdir())
    assert sum(answer.sent_bytes for answer in given) < 2 * MOST_SENT_BYTES


def test_a_store_that_sends_a_byte_now_and_then_is_given_up(server, s3_url, monkeypatch):
    monkeypatch.setattr(budget, "GRACE_SECONDS", 1.0)
    monkeypatch.setattr(budget, "SLOWEST_BYTES_PER_SECOND", 10**9)
    answers_of_s3(server, lambda request: Stream(request, itertools.repeat(b"x", 600), {"Content-Length": "512"}, pause_seconds=0.1))  # fmt: skip
    began = time.perf_counter()
    error = refusal(s3_url)
    assert time.perf_counter() - began < 20
    assert (error.cause.code, "took more than 1 s" in str(error)) == ("remote-unreachable", True)


def test_a_file_system_without_coroutines_is_not_waited_for_either(monkeypatch):
    """As that of hf:// has none: what it does goes on behind, and the answer is no more waited for."""
    from fsspec.implementations.memory import MemoryFileSystem

    released = threading.Event()
    monkeypatch.setattr(budget, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(MemoryFileSystem, "info", lambda self, path: released.wait(20))
    with pytest.raises(ConversionError, match="took more than 0 s"):
        parse_location("memory://voices/x.pth").stat()
    released.set()


def test_a_part_from_the_hub_that_is_larger_than_asked_for_is_not_read(server):
    """Of huggingface_hub only its client is used, with a server of ours."""
    from huggingface_hub.utils import get_session

    answers_module.of_hf()
    given = answers(server, lambda request: Stream(request, itertools.repeat(MEGABYTE, 200), {"Content-Length": str(10**10)}))  # fmt: skip
    with pytest.raises(ConversionError, match="sends 10,000,000,000 bytes when asked for 512"):
        get_session().get(f"{server.url}/x", headers={"range": "bytes=0-511"})
    assert given[0]._req.headers["Accept-Encoding"] == "identity"
    assert sum(answer.sent_bytes for answer in given) < MOST_SENT_BYTES


def test_a_redirect_to_a_host_that_nobody_named_is_refused_before_it_is_asked(server, tmp_path, capsys):
    other = WebServer(tmp_path)
    address = f"http://localhost:{other.port}/model.pth?secret=HUSH"
    server.fault = lambda request: server_side.Response(status=302, headers={"Location": address})
    code, _, err = run_cli(capsys, "inspect", f"{server.url}/model.pth")
    other.stop()
    assert code == 2
    assert "leads to http://localhost, which you did not name" in " ".join(err.split())
    assert other.requests == []
    assert "HUSH" not in err


def test_a_redirect_within_the_host_is_followed(server, tmp_path):
    (tmp_path / "served" / "model.pth").write_bytes(MEGABYTE)
    elsewhere = lambda request: server_side.Response(status=302, headers={"Location": "/model.pth"})  # noqa: E731
    server.fault = lambda request: elsewhere(request) if request.path == "/latest.pth" else None
    location = parse_location(f"{server.url}/latest.pth")
    assert location.stat().st_size == len(MEGABYTE)
    assert location.budget.hosts == set()
    server.fault = elsewhere
    with pytest.raises(ConversionError, match="redirects"):
        parse_location(f"{server.url}/latest.pth").stat()


@pytest.mark.parametrize(
    ("before", "after", "may_follow"),
    [
        ("https://huggingface.co/u/r/resolve/main/x.pth", "https://cas-bridge.xethub.hf.co/x?sig=1", True),
        ("http://a.org/x.pth", "https://a.org/x.pth", True),
        ("http://a.org/x.pth", "http://a.org:8080/y.pth", True),
        ("https://a.org/x.pth", "http://a.org/x.pth", False),
        ("https://a.org/x.pth", "http://b.org/x.pth", False),
        ("http://a.org/x.pth", "https://b.org/x.pth", False),
        ("https://a.org/x.pth", "https://127.0.0.1/x.pth", False),
        ("https://a.org/x.pth", "https://169.254.169.254/latest/meta-data", False),
        ("https://a.org/x.pth", "https://[::1]/x.pth", False),
        ("https://a.org/x.pth", "https://localhost/x.pth", False),
        ("https://a.org/x.pth", "https://printer.local/x.pth", False),
        ("https://a.org/x.pth", "https://b.org:8443/x.pth", False),
        ("https://a.org/x.pth", "file:///etc/passwd", False),
    ],
)
def test_which_redirects_are_followed(before, after, may_follow):
    path = parse_location(before)
    if may_follow:
        web.require_same_host(path, URL(before), URL(after))
    else:
        with pytest.raises(ConversionError) as caught:
            web.require_same_host(path, URL(before), URL(after))
        assert caught.value.cause.code == "redirect-refused"


def test_a_host_that_a_redirect_led_to_is_named_in_the_report(server, genuine_run, monkeypatch, tmp_path, capsys):
    """Both servers speak http here, so the rule that wants https is opened for this one test."""
    other = WebServer(genuine_run)
    name = next(genuine_run.glob("best_model_*.pth")).name
    address = f"http://localhost:{other.port}/{name}"
    server.fault = lambda request: (
        server_side.Response(status=302, headers={"Location": address}) if request.path.endswith(name) else None
    )
    shutil.copy(genuine_run / "config.json", tmp_path / "served")
    monkeypatch.setattr(web, "require_same_host", lambda *_: None)
    out = run_cli(capsys, "inspect", f"{server.url}/{name}", "--json")[1]
    other.stop()
    notes = [cause["message"] for cause in json.loads(out)["causes"] if cause["code"] == "redirected"]
    assert notes == [f"{server.url}/{name} was read from localhost, to which its server led"]
