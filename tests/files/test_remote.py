"""Checkpoints at a URL: read by ranges from real servers, converted without the optimizer, refused with the true cause."""

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
from aiohttp import web

from tests.attacks.test_no_network import ROOT, forbidden
from tests.support.helpers import member_span, run_cli, save_tiny
from tests.support.servers import CutShort, WebServer, s3_server
from verify import ConversionError, Job, convert, inspect, load_xtts
from verify.checkpoint import zip_directory
from verify.checkpoint.archive import read_archive
from verify.checkpoint.reader import read_tensors
from verify.files.location import parse_location
from verify.files.output import default_output
from verify.files.remote import RemotePath

MIDDLE = 40_000_000  # bytes: of 99 MB that are kept
CONVERT = ("--no-sample", "--expect", "sound")


@pytest.fixture(scope="session")
def served(genuine_run, model_parts, tmp_path_factory):
    """(server, folder that it serves): `run` is the genuine run with its vocab.json, `copy` is free to be changed."""
    root = tmp_path_factory.mktemp("served")
    (root / "run").mkdir()
    for file in genuine_run.glob("*.*"):
        if file.name != "best_model.pth" and file.is_file():
            os.link(file, root / "run" / file.name)
    shutil.copyfile(model_parts[2], root / "run" / "vocab.json")
    server = WebServer(root)
    yield server, root
    server.stop()


@pytest.fixture
def server(served):
    served[0].forget()
    return served[0]


@pytest.fixture
def checkpoint_url(server, genuine_checkpoint):
    return f"{server.url}/run/{genuine_checkpoint.name}"


@pytest.fixture(scope="session")
def bucket(converted):
    """A bucket on an S3 server that holds `run/`: the genuine model, without the optimizer lest moto take its time."""
    with s3_server():
        files = fsspec.filesystem("s3")
        files.mkdir("voices")
        for name, there in (("model.pth", "best_model_2.pth"), ("config.json",) * 2, ("vocab.json",) * 2):
            files.put_file(str(converted[0] / name), f"voices/run/{there}")
        yield files


# --- reading --------------------------------------------------------------------------------------------------------


def test_a_url_is_told_from_a_path(tmp_path):
    assert isinstance(parse_location("s3://bucket/run"), RemotePath)
    assert isinstance(parse_location("HTTPS://host/run/x.pth"), RemotePath)
    assert parse_location("s3://bucket/run/") / "x" == parse_location("s3://bucket/run/x")
    assert parse_location(f"file://{tmp_path}") == tmp_path
    for text in ("run/x.pth", "/run", "C:\\run", "C:/run", "s3:/run"):
        assert parse_location(text) == Path(text)


def test_inspect_of_a_web_servers_checkpoint_reads_its_index_alone(server, checkpoint_url, genuine_checkpoint):
    report = inspect(Job(source=checkpoint_url))
    assert server.sent_bytes < 1_000_000
    assert len(server.requests) <= 12, server.requests
    at_hand = inspect(Job(source=genuine_checkpoint)).to_json()
    found = report.to_json()
    assert found["ledger"] == at_hand["ledger"]
    assert found["architecture"] == at_hand["architecture"]
    assert found["source"]["path"] == checkpoint_url
    assert found["source"]["vocab"] == f"{server.url}/run/vocab.json (beside the checkpoint)"


def test_the_place_of_each_tensor_is_known_without_a_request(server, checkpoint_url, genuine_checkpoint, converted):
    for path, url in ((genuine_checkpoint, checkpoint_url), (converted[0] / "model.pth", None)):
        with path.open("rb") as file:
            directory = zip_directory.read_directory(file, path.stat().st_size)
            for member in directory.members.values():
                assert zip_directory.usual_offset(member) == zip_directory.data_offset(file, member), member.name
        if url:
            pairs = zip(read_archive(path).tensors, read_archive(parse_location(url)).tensors, strict=True)
            assert all(here.storage_start == there.storage_start for here, there in pairs)


def test_a_web_servers_run_folder_becomes_the_same_model_without_its_optimizer(
    server, genuine_checkpoint, converted, tmp_path, capsys
):
    code, out, err = run_cli(capsys, f"{server.url}/run/", "-o", tmp_path / "out", "--json", *CONVERT)
    assert code == 0, err
    report = json.loads(out)
    ours = {file.name: file.sha256 for file in converted[1].files}
    for file in report["output"]["files"]:
        assert file["name"] in ("README.md", "report.html", "vocab.json") or file["sha256"] == ours[file["name"]]
    kept = sum(group["bytes"] for group in report["ledger"]["groups"] if group["fate"] == "kept")
    assert kept < server.sent_bytes < kept + 1_500_000
    assert server.sent_bytes < genuine_checkpoint.stat().st_size / 3
    assert report["load"]["strict"]
    assert report["identical"]["ok"]
    assert report["source"]["fingerprint"] == read_archive(genuine_checkpoint).fingerprint
    assert report["source"]["sha256"] is None
    assert report["causes"] == []
    code, out, _ = run_cli(
        capsys, f"{server.url}/run/", "-o", tmp_path / "asked", "--json", "--no-verify", "--hash-source"
    )
    assert code == 0
    assert "source-not-hashed" in [cause["code"] for cause in json.loads(out)["causes"]]


def test_a_file_system_without_ranges_of_its_own_is_read_through_its_files(tmp_path):
    path = save_tiny(tmp_path / "x.pth")
    fsspec.filesystem("memory").pipe_file("/voices/x.pth", path.read_bytes())
    there = read_archive(parse_location("memory://voices/x.pth")).tensors
    assert [record.storage_start for record in there] == [record.storage_start for record in read_archive(path).tensors]
    assert read_tensors({record.key: record for record in there}, lambda _: None)[1].bytes > 100_000


def test_load_xtts_takes_a_url(checkpoint_url, converted):
    model = load_xtts(checkpoint_url)
    names = model.state_dict()
    assert len(names) > 100
    assert not any(value.is_meta for value in names.values())


def test_without_an_output_the_result_goes_into_the_current_folder(server, checkpoint_url, genuine_checkpoint):
    assert default_output(parse_location(f"{server.url}/run/")) == Path("run-inference")
    assert default_output(parse_location(checkpoint_url)) == Path(f"{genuine_checkpoint.stem}-inference")


def test_a_server_that_lists_nothing_is_asked_for_the_usual_names(served, server, genuine_checkpoint):
    copy = served[1] / "unlisted"
    copy.mkdir()
    os.link(genuine_checkpoint, copy / "model.pth")
    server.fault = lambda request: web.Response(status=403) if request.path.endswith("/") else None
    assert inspect(Job(source=f"{server.url}/unlisted/")).archive.path.name == "model.pth"


def test_a_header_that_lies_is_found_when_the_tensor_is_read(served, server, genuine_checkpoint, tmp_path):
    copy = served[1] / "liar.pth"
    shutil.copyfile(genuine_checkpoint, copy)
    start, _ = member_span(copy, "/data/3")
    with copy.open("r+b") as file:
        file.seek(start - 64 * 2)
        at = file.read(64 * 2).rfind(struct.pack("<I", zip_directory.LOCAL_SIGNATURE))
        file.seek(start - 64 * 2 + at + 28)
        file.write(struct.pack("<H", 7))  # the length of its extra field
    job = Job(
        source=f"{server.url}/liar.pth",
        config=served[1] / "run" / "config.json",
        vocab=served[1] / "run" / "vocab.json",
    )
    assert inspect(job).verdict == "pass"
    with pytest.raises(ConversionError) as caught:
        convert(job, output=tmp_path / "out", verify=False)
    assert caught.value.cause.code == "bad-container"
    assert list(tmp_path.iterdir()) == []


# --- what goes wrong --------------------------------------------------------------------------------------------------


def refusal(capsys, tmp_path, *arguments):
    """Run the main job, which must refuse and leave nothing; return (code of the cause, message, hint)."""
    code, out, err = run_cli(capsys, *arguments, "-o", tmp_path / "out", "--json", *CONVERT)
    assert code == 2, err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
    cause = json.loads(out)["causes"][0]
    return cause["code"], cause["message"], cause["hint"]


def after(limit_bytes, url, fault):
    """Return a fault that begins when so many bytes of the URL were asked for: in the middle of the tensors."""
    asked = [0]

    def judge(request):
        if not url.endswith(request.path):
            return None
        first, last = request.headers["Range"].removeprefix("bytes=").split("-")
        asked[0] += int(last) - int(first) + 1
        return fault(request) if asked[0] > limit_bytes else None

    return judge


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        ("/run/best_model_99.pth", "missing", "best_model_99.pth is not there"),
        ("/refused.pth", "remote-refused", "access refused (HTTP status 403)"),
        ("/broken.pth", "remote-unreachable", "cannot be read: HTTP status 500"),
        ("/whole.pth", "no-ranges", "sends no parts of files"),
        ("/page.pth", "html-page", "is a web page"),
        ("/run/none/", "no-checkpoint", "holds no checkpoint"),
    ],
)
def test_what_a_web_server_answers_is_said(server, tmp_path, capsys, path, code, says):
    answers = {
        "/refused.pth": lambda: web.Response(status=403),
        "/broken.pth": lambda: web.Response(status=500),
        "/whole.pth": lambda: web.Response(body=b"PK\x03\x04" + bytes(3000)),
        "/page.pth": lambda: web.Response(text="<html>Sign in</html>", content_type="text/html"),
    }
    server.fault = lambda request: answers[request.path]() if request.path in answers else None
    found = refusal(capsys, tmp_path, f"{server.url}{path}")
    assert found[0] == code
    assert says in found[1]
    assert found[2]


def test_no_such_host_and_no_such_kind_of_url(tmp_path, capsys):
    code, message, hint = refusal(capsys, tmp_path, "http://127.0.0.1:9/run/best_model_3.pth")
    assert (code, "127.0.0.1:9" in message) == ("remote-unreachable", True)
    assert "connection" in hint
    assert refusal(capsys, tmp_path, "http://nowhere.invalid/x.pth")[0] == "remote-unreachable"
    assert refusal(capsys, tmp_path, "gopher://host/x.pth")[0] == "bad-url"


def test_a_connection_that_breaks_once_is_made_again(server, checkpoint_url, converted, tmp_path):
    left = [1]

    def cut(request):
        return CutShort() if left and left.pop() else None

    server.fault = after(MIDDLE, checkpoint_url, cut)
    report = convert(Job(source=checkpoint_url, output=tmp_path / "out", verify=False))
    assert left == []
    assert [file.sha256 for file in report.files if file.name == "model.pth"] == [
        file.sha256 for file in converted[1].files if file.name == "model.pth"
    ]


def test_a_connection_that_keeps_breaking_leaves_nothing(server, checkpoint_url, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("verify.files.protocols.PAUSES_SECONDS", (0.0, 0.0))
    server.fault = after(MIDDLE, checkpoint_url, lambda request: CutShort())
    code, message, _ = refusal(capsys, tmp_path, checkpoint_url)
    assert code == "remote-unreachable"
    assert "cannot be read" in message


def test_a_checkpoint_that_is_saved_anew_meanwhile_is_refused(served, server, genuine_checkpoint, tmp_path, capsys):
    copy = served[1] / "growing.pth"
    shutil.copyfile(genuine_checkpoint, copy)

    url = f"{server.url}/growing.pth"
    server.fault = after(MIDDLE, url, lambda request: os.utime(copy, ns=(1, 1)))
    options = ("--config", f"{server.url}/run/config.json", "--vocab", f"{server.url}/run/vocab.json")
    code, message, _ = refusal(capsys, tmp_path, url, *options)
    assert (code, message) == ("source-changed", f"{url} changed while it was read")


def test_a_flipped_bit_in_a_remote_checkpoint_is_found(served, server, genuine_checkpoint, tmp_path, capsys):
    copy = served[1] / "flipped.pth"
    shutil.copyfile(genuine_checkpoint, copy)
    start, size = member_span(copy, "/data/5")
    with copy.open("r+b") as file:
        file.seek(start + size // 2)
        byte = file.read(1)[0]
        file.seek(start + size // 2)
        file.write(bytes([byte ^ 1]))
    options = ("--config", served[1] / "run" / "config.json", "--vocab", served[1] / "run" / "vocab.json")
    assert refusal(capsys, tmp_path, f"{server.url}/flipped.pth", *options)[0] == "crc-mismatch"


def test_a_missing_package_is_named_with_its_pip_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    code, _, hint = refusal(capsys, tmp_path, "gs://bucket/x.pth")
    assert (code, hint) == ("missing-package", 'pip install "xtts-verify[gs]"')


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_no_secret_of_a_url_is_written_or_printed(server, genuine_checkpoint, tmp_path, capsys):
    server.fault = lambda request: None if "HUSH" in request.query.get("sig", "") else web.Response(status=403)
    address = server.url.replace("http://", "http://me:QUIET@")
    url = f"{address}/run/{genuine_checkpoint.name}?sig=HUSH%2FHUSH"
    code, out, err = run_cli(capsys, url, "-o", tmp_path / "out", *CONVERT)
    assert code == 0, err
    bad, refused = (
        run_cli(capsys, "inspect", url.replace("best", "worst")),
        run_cli(capsys, "inspect", url.replace("HUSH", "SHH")),
    )
    assert (bad[0], refused[0]) == (2, 2)
    written = "".join((tmp_path / "out" / name).read_text() for name in ("report.json", "report.html", "config.json"))
    everything = "".join([out, err, *bad[1:], *refused[1:], written])
    assert not [word for word in ("HUSH", "QUIET", "SHH") if word in everything]
    assert f"//***@127.0.0.1:{server.port}/run/{genuine_checkpoint.name}?***" in written


# --- S3, and output at a URL ------------------------------------------------------------------------------------------


def test_a_run_folder_on_s3_becomes_a_model_folder_on_s3(bucket, served, converted, tmp_path, capsys):
    code, out, err = run_cli(capsys, "s3://voices/run", "-o", "s3://voices/models/mine", *CONVERT)
    assert code == 0, err
    assert out.strip() == "s3://voices/models/mine"
    names = {path.rpartition("/")[2] for path in bucket.ls("voices/models/mine", detail=False, refresh=True)}
    assert names == {"model.pth", "config.json", "vocab.json", "README.md", "report.json", "report.html"}
    report = json.loads(bucket.cat_file("voices/models/mine/report.json"))
    assert report["output"]["directory"] == "s3://voices/models/mine"
    assert report["source"]["path"].startswith("s3://voices/run/best_model_")
    bucket.get("voices/models/mine/model.pth", str(tmp_path / "model.pth"))
    assert (tmp_path / "model.pth").read_bytes() == (converted[0] / "model.pth").read_bytes()
    arguments = (served[1] / "run", "-o", "s3://voices/models/mine")
    code, _, err = run_cli(capsys, *arguments)
    assert (code, "exists already" in err) == (2, True)
    bucket.pipe_file("voices/models/mine/letter.txt", b"x")
    code, _, err = run_cli(capsys, *arguments, "--force")
    assert (code, "letter.txt" in err) == (2, True)
    bucket.rm_file("voices/models/mine/letter.txt")
    bucket.pipe_file("voices/models/mine/sample.wav", b"of the last run")
    code, _, err = run_cli(capsys, *arguments, "--force", "--no-verify")
    assert code == 0, err
    names = {path.rpartition("/")[2] for path in bucket.ls("voices/models/mine", detail=False, refresh=True)}
    assert names == {"model.pth", "config.json", "vocab.json", "README.md", "report.json"}


def test_inspect_on_s3_reads_the_index_alone(bucket, monkeypatch):
    from s3fs import S3FileSystem

    read, real = [], S3FileSystem._cat_file

    async def count(self, path, **options):
        data = await real(self, path, **options)
        read.append(len(data))
        return data

    monkeypatch.setattr(S3FileSystem, "_cat_file", count)
    report = inspect(Job(source="s3://voices/run/best_model_2.pth"))
    assert report.verdict == "pass"
    assert sum(read) < 1_000_000
    assert len(read) <= 6


def test_what_s3_answers_is_said(bucket, tmp_path, capsys, monkeypatch):
    assert refusal(capsys, tmp_path, "s3://voices/run/none.pth")[0] == "missing"
    assert refusal(capsys, tmp_path, "s3://nobucket/run/none.pth")[0] == "missing"
    code, message, hint = refusal(capsys, tmp_path, "s3://voices/")
    assert (code, "there is" in message) == ("no-checkpoint", True)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    type(bucket).clear_instance_cache()
    code, message, hint = refusal(capsys, tmp_path, "s3://voices/run/none.pth")
    assert (code, "AWS_ACCESS_KEY_ID" in hint) == ("remote-refused", True)
    type(bucket).clear_instance_cache()


def test_an_upload_that_fails_leaves_nothing_there(genuine_run, bucket, served, capsys, monkeypatch):
    from s3fs import S3FileSystem

    real = S3FileSystem._put_file

    async def full(self, lpath, rpath, **options):
        if rpath.endswith("vocab.json"):
            raise PermissionError("Access Denied")
        await real(self, lpath, rpath, **options)

    monkeypatch.setattr(S3FileSystem, "_put_file", full)
    code, _, err = run_cli(capsys, served[1] / "run", "-o", "s3://voices/models/other", "--no-verify")
    assert code == 2
    assert "s3://voices/models/other could not be written" in err
    assert not bucket.exists("voices/models/other/model.pth")


def test_an_output_at_a_web_server_or_at_the_source_is_refused(bucket, served, capsys):
    code, _, err = run_cli(capsys, served[1] / "run", "-o", "http://127.0.0.1:9/out")
    assert (code, "a web server takes no folders" in err) == (2, True)
    code, _, err = run_cli(capsys, "s3://voices/run", "-o", "s3://voices/run", "--force")
    assert (code, "is the input" in err) == (2, True)


# --- the network is left alone ----------------------------------------------------------------------------------------


def test_a_url_asks_that_host_alone():
    calls = forbidden(["inspect", "http://127.0.0.1:9/model.pth"])
    assert calls["codes"] == [2]
    assert calls["asked"]
    assert all("127.0.0.1" in arguments or event == "socket.__new__" for event, arguments in calls["asked"])


def test_nothing_of_the_network_is_loaded_for_files_of_this_machine(tmp_path):
    source = save_tiny(tmp_path / "run" / "best_model_3.pth")
    code = f"import sys\nfrom verify.cli import main as cli\ncli.main(['inspect', {str(source)!r}])\nprint({{'fsspec', 'aiohttp', 'asyncio'}} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"
