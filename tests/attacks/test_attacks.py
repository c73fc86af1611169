"""Inputs that a reviewer made to break the tool, each of which once did. Files are made of literal bytes."""

import json
import os
import resource
import signal
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.helpers import ROOT, assert_fault, fingerprint, run_cli, save_tiny, tiny_state
from verify.files import staging

SCRIPT = str(ROOT / "convert_and_verify.py")
KEY = "xtts.gpt.final_norm.weight"


def text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value: int) -> bytes:
    return b"\x8a\x10" + value.to_bytes(16, "little", signed=True)


def tensor(member="0", elements=1, shape=(1,), stride=(1,)) -> bytes:
    pid = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(member) + text("cpu") + integer(elements) + b"tQ"
    sizes = b"(" + b"".join(map(integer, shape)) + b"t(" + b"".join(map(integer, stride)) + b"t"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + integer(0) + sizes + b"\x89ccollections\nOrderedDict\n)RtR"


def write(path: Path, pickled: bytes, members=None, extra=()) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", pickled)
        for name, data in ({"0": b"\0" * 4} if members is None else members).items():
            archive.writestr(f"m/data/{name}", data)
        for name, data in extra:
            archive.writestr(name, data)
    return path


def root(state=None, extra=b"") -> bytes:
    body = b"".join(text(key) + value for key, value in state or [(KEY, tensor())])
    return b"\x80\x02}(" + text("model") + b"}(" + body + b"u" + text("config") + b"}" + extra + b"u."


def bounded(*arguments, seconds=20, memory=1_500_000_000):
    """Run the command in a process that may not take more; return it finished."""

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, preexec_fn=limit, check=False)


# --- the reader ---------------------------------------------------------------------------------------------------


def shared_nesting() -> bytes:
    body = b"\x80\x02]q\x000"
    for number in range(40):
        body += b"h%ch%c\x86q%c0" % (number, number, number + 1)
    return body + b"h\x28."


@pytest.mark.parametrize(
    ("pickled", "says"),
    [
        (b"\x80\x02" + b"".join(b"c%x\na\n0" % number for number in range(300_000)) + b"N.", "asks Python to import"),
        (
            b"\x80\x02c_codecs\nencode\nq\x00"
            + text("a" * 8_000_000)
            + b"q\x01"
            + text("latin1")
            + b"q\x02]q\x03("
            + b"h\x00h\x01h\x02\x86R" * 300_000
            + b"e.",
            "unusual way",
        ),
        (
            b"\x80\x02ccollections\nOrderedDict\nq\x00("
            + b"N" * 200_000
            + b"lq\x01]q\x03("
            + b"h\x00h\x01\x85R" * 200_000
            + b"e.",
            "made of a list",
        ),
        (
            b"\x80\x02cbuiltins\nset\nq\x00("
            + b"N" * 200_000
            + b"lq\x01]q\x03("
            + b"h\x00h\x01\x85R" * 200_000
            + b"e.",
            "more than 1,000,000 opcodes",
        ),
        (shared_nesting(), "in place of a state dict"),
    ],
    ids=["many names", "encode bomb", "dict copies", "list copies", "shared nesting"],
)
@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_bombs_end_at_once_and_cost_little(tmp_path, pickled, says):
    done = bounded("inspect", write(tmp_path / "x.pth", pickled))
    assert done.returncode == 2, done.stderr
    assert says in " ".join(done.stderr.split())


def test_shared_nesting_in_a_truncated_file_does_not_hang(tmp_path):
    path = write(tmp_path / "x.pth", shared_nesting())
    os.truncate(path, len(shared_nesting()) + 60)
    assert "truncated" in bounded("inspect", path).stderr


def test_a_diverged_loss_is_said_and_the_report_stays_json(tmp_path, capsys):
    loss = text("model_loss") + b"}" + text("train_loss") + b"G" + struct.pack(">d", float("nan")) + b"s"
    _, out, err = run_cli(capsys, "inspect", write(tmp_path / "x.pth", root(extra=loss)), "--json")
    assert json.loads(out)["source"]["loss"] == {"train_loss": "nan"}
    assert "train loss nan" in err


@pytest.mark.parametrize("date", ["x[/b]", "x\x1b[31mRED\x1b[2J"])
def test_text_of_a_file_is_neither_markup_nor_terminal_control(tmp_path, capsys, date):
    path = write(tmp_path / "a[/b]c" / "x.pth", root(extra=text("date") + text(date)))
    code, _, err = run_cli(capsys, "inspect", path)
    assert code in (0, 1)
    assert "\x1b" not in err
    assert "a[/b]c" in err.replace(" ", "")


@pytest.mark.parametrize("where", ["date", "key"])
def test_text_that_is_no_unicode_is_damage(tmp_path, capsys, where):
    body = root(extra=text("date") + text("x\udc80")) if where == "date" else root([("x\udc80", tensor())])
    assert_fault(capsys, write(tmp_path / "x.pth", body), 2, "data.pkl is damaged")


def test_numbers_and_shapes_of_any_size(tmp_path, capsys):
    huge = root([(KEY, tensor()), ("xtts.gpt.final_norm.bias", tensor("1", 0, (0, 2**100), (2**100, 1)))])
    assert_fault(
        capsys,
        write(tmp_path / "a" / "x.pth", huge, {"0": b"\0" * 4, "1": b""}),
        2,
        "no valid offset, shape and stride",
    )
    for digits, status, says in ((400, 1, "to no XTTS"), (5000, 2, "[key-limit]")):
        for name, key in (
            ("layer", f"xtts.gpt.gpt.h.{'9' * digits}.ln_1.weight"),
            ("other", f"foo.{'9' * digits}.bar"),
        ):
            path = write(tmp_path / f"{name}-{digits}" / "x.pth", root([(KEY, tensor()), (key, tensor())]))
            code, _, err = run_cli(capsys, "inspect", path)
            assert code == status
            assert says in err


@pytest.mark.parametrize("dtype", [["F32"], {}, 3, None])
def test_safetensors_dtypes_of_any_type(tmp_path, capsys, dtype):
    header = json.dumps({"a": {"dtype": dtype, "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
    assert_fault(capsys, tmp_path / "x.safetensors", 2, "has dtype")


def test_safetensors_names_that_cannot_be_written(tmp_path, capsys):
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    header = json.dumps({"\ud800": entry}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
    assert_fault(capsys, tmp_path / "x.safetensors", 2, "has the name")


def test_members_in_two_folders_and_junk_alignment_are_refused(tmp_path, capsys):
    assert_fault(
        capsys, write(tmp_path / "x.pth", root(), extra=[("other/data.pkl", b"N.")]), 2, "in several folders (m, other)"
    )
    assert_fault(
        capsys, write(tmp_path / "x.pth", root(), extra=[("m/.storage_alignment", b"junk")]), 2, ".storage_alignment"
    )


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda torch: torch.quantize_per_tensor(torch.rand(3), 0.1, 0, torch.qint8), "quantized"),
        (lambda torch: torch.zeros(3, dtype=torch.uint16), "uint16"),
        (lambda torch: torch.zeros(3, dtype=torch.complex64), "ComplexFloat"),
        (lambda torch: torch.zeros(3).to(torch.float8_e4m3fn), "float8_e4m3fn"),
        (lambda torch: torch.zeros(3, dtype=torch.complex64).conj().imag, "conjugate or negated"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_c4_tensors_of_unusual_kinds_are_named_with_their_key(tmp_path, capsys, make, kind):
    import torch

    path = save_tiny(tmp_path / "x.pth", {**tiny_state(), KEY: make(torch)})
    document = assert_fault(capsys, path, 2, KEY, kind)
    assert document["causes"][0]["code"] == "tensor-kind"


def smuggled(path: Path) -> None:
    """A zip whose directory lists an evil index first, behind a benign one at a lower offset."""
    benign = b"\x80\x02}" + text("voice") + b"}s."
    evil = b"\x80\x02cposix\nsystem\n" + text(f"touch {path.parent / 'pwned'}") + b"\x85R."
    body, headers = b"", []
    for name, data in (("b/x/data.pkl", benign), ("b/data.pkl", evil), ("b/version", b"3\n")):
        raw, crc = name.encode(), zlib.crc32(data)
        headers.append(
            struct.pack(
                "<IHHHHHHIIIHHHHHII",
                0x02014B50,
                0,
                0,
                0,
                0,
                0,
                0,
                crc,
                len(data),
                len(data),
                len(raw),
                0,
                0,
                0,
                0,
                0,
                len(body),
            )
            + raw
        )
        body += (
            struct.pack("<IHHHHHIIIHH", 0x04034B50, 0, 0, 0, 0, 0, crc, len(data), len(data), len(raw), 0) + raw + data
        )
    directory = headers[1] + headers[0] + headers[2]
    path.write_bytes(body + directory + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 3, 3, len(directory), len(body), 0))


def test_e11_speakers_are_written_anew_and_code_in_them_is_not(make_run, tmp_path, capsys):
    import torch

    run = make_run()
    voices = {"Ana": {"gpt_cond_latent": torch.rand(1, 32, 128), "speaker_embedding": torch.rand(1, 512, 1)}}
    torch.save(voices, run / "speakers_xtts.pth")
    code, _, err = run_cli(capsys, run, "-o", tmp_path / "good", "--no-verify")
    assert code == 0, err
    written = torch.load(tmp_path / "good" / "speakers_xtts.pth", weights_only=True)
    assert list(written["Ana"]) == ["gpt_cond_latent", "speaker_embedding"]
    assert all(torch.equal(written["Ana"][part], value) for part, value in voices["Ana"].items())
    smuggled(run / "speakers_xtts.pth")
    code, _, err = run_cli(capsys, run, "-o", tmp_path / "bad", "--no-verify")
    assert "was left out" in err
    assert not (tmp_path / "bad" / "speakers_xtts.pth").exists()


# --- configs, vocabularies, clips, texts --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "code", "says"),
    [
        ("gpt_n_heads", 5, 1, "gpt_n_heads is 5, which does not divide the width 128"),
        ("gpt_n_model_channels", 129, 1, "gpt_n_model_channels is 129, the weights call for 128"),
        ("gpt_n_model_channels", 16384, 1, "the weights call for 128"),
        ("gpt_stop_audio_token", 999999, 1, "gpt_stop_audio_token is 999999, the weights call for 1025"),
        (
            "gpt_start_audio_token",
            None,
            1,
            "gpt_start_audio_token is 8192 (the default), the weights call for 1024",
        ),
        ("output_hop_length", 1, 2, "output_hop_length is 1; expected integer from 128"),
        ("gpt_batch_size", 2, 1, "the model loads but cannot speak"),
    ],
)
def test_configs_that_contradict_the_weights_or_themselves(make_run, capsys, field, value, code, says):
    def change(config):
        config["model_args"][field] = value

    assert_fault(capsys, make_run(change_config=change), code, says, options=["--text", "Hi."])


@pytest.mark.parametrize(("field", "value"), [("temperature", 0), ("repetition_penalty", 0), ("top_p", 0)])
def test_sampling_that_transformers_refuses_is_refused_at_once(make_run, capsys, field, value):
    assert_fault(
        capsys,
        make_run(change_config=lambda config: config.update({field: value})),
        2,
        f"{field} is {value}; expected number",
    )


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_whole_numbers_in_place_of_weights(make_run, capsys, dtype):
    import torch

    def change(state):
        state[KEY] = state[KEY].to(getattr(torch, dtype))

    document = assert_fault(capsys, make_run(change), 1, "gpt.final_norm.weight holds", "float32 in the model")
    assert document["causes"][0]["code"] == "dtype-mismatch"


def test_d12_a_vocabulary_without_the_language(make_run, capsys):
    run = make_run()
    content = (run / "vocab.json").read_text().replace("[en]", "[qq]")
    (run / "vocab.json").write_text(content)
    assert_fault(capsys, run, 2, "vocab.json has no [en] token", "pass one of them with --language")


def test_d12_holes_and_shared_ids_are_a_warning(make_run, capsys, tmp_path):
    run = make_run()
    vocab = json.loads((run / "vocab.json").read_text())
    vocab["model"]["vocab"]["a"] = vocab["model"]["vocab"]["b"]
    (run / "vocab.json").write_text(json.dumps(vocab))
    code, out, err = run_cli(capsys, run, "-o", tmp_path / "out", "--no-sample", "--json")
    assert code == 0, err
    assert json.loads(out)["causes"][0]["code"] == "vocab-ids"


def test_a_language_that_xtts_has_not_is_said(make_run, tmp_path, capsys):
    run = make_run(change_config=lambda config: config.update(datasets=[{"language": "vi"}]))
    code, _, err = run_cli(capsys, run, "-o", tmp_path / "out", "--expect", "sound", "--text", "Hi.")
    assert code == 0, err
    assert "the run's language 'vi' is not one of this model's; 'en' is spoken instead" in err


def test_e14_a_clip_whose_rate_has_no_small_ratio(make_run, tmp_path, capsys):
    """torchaudio alone would take 12 GB for it."""
    rate = 44101
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, rate * 4)
    soundfile.write(tmp_path / "odd.wav", noise, rate)
    code, _, err = run_cli(
        capsys,
        make_run(),
        "-o",
        tmp_path / "out",
        "--expect",
        "sound",
        "--text",
        "Hi.",
        "--speaker-wav",
        tmp_path / "odd.wav",
    )
    assert code == 0, err


@pytest.mark.parametrize("spoken", ["9" * 350, "hello \udcff"])
def test_e15_texts_that_coqui_cannot_read(make_run, capsys, spoken):
    assert_fault(capsys, make_run(), 2, "text", options=["--text", spoken])


@pytest.mark.parametrize("device", ["cpu:7", "cpu:abc", "cuda:x", "tpu", ""])
def test_e16_devices_that_are_none_are_refused_at_once(capsys, device):
    code, out, err = run_cli(capsys, "x.pth", "--device", device)
    assert (code, out) == (2, "")
    assert "is no device" in err


def test_seeds_are_bounded(capsys):
    for seed in ("99999999999999999999", "-1", "x"):
        code, out, err = run_cli(capsys, "x.pth", "--seed", seed)
        assert (code, out) == (2, "")
        assert "is no whole number" in err


# --- paths, moments, streams --------------------------------------------------------------------------------------


def test_paths_of_a_config_that_cannot_be_read_are_passed_over(make_run, tmp_path, capsys):
    long = "/" + "x" * 5000

    def change(config):
        config["model_args"]["tokenizer_file"] = long
        config["datasets"] = [{"path": long}, {"path": "\0"}, {"path": "/proc/1/root/secret"}]
        config["test_sentences"] = [{"speaker_wav": long}, {"speaker_wav": "\0"}]

    code, _, err = run_cli(capsys, make_run(change_config=change), "-o", tmp_path / "out", "--no-verify")
    assert code == 0, err


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes")
def test_e13_names_that_are_no_unicode(make_run, tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.rename(make_run(), folder)
    command = [sys.executable, SCRIPT, os.fsdecode(folder), "--no-verify"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == folder + b"/inference\n"
    json.loads((Path(os.fsdecode(folder)) / "inference" / "report.json").read_text())


def test_e13_an_output_name_as_long_as_the_system_takes(make_run, tmp_path, capsys):
    code, _, err = run_cli(capsys, make_run(), "-o", tmp_path / ("界" * 80), "--no-verify")
    assert code == 0, err


def test_e1_named_files_inside_the_target_are_inputs_too(converted, genuine_run, tmp_path, capsys):
    import shutil

    target = shutil.copytree(converted[0], tmp_path / "both")
    before = fingerprint(target)
    code, _, err = run_cli(
        capsys, genuine_run, "-o", target, "--force", "--vocab", target / "vocab.json", "--no-verify"
    )
    assert code == 2
    assert "is the input" in err
    assert fingerprint(target) == before
    (target / "model.pth").unlink()
    (target / "model.pth").symlink_to(next(genuine_run.glob("best_model_*.pth")))
    code, _, err = run_cli(capsys, target / "model.pth", "-o", target, "--force", "--no-verify")
    assert code == 2
    assert (target / "model.pth").is_symlink()


def test_e6_a_folder_of_somebody_else_with_a_similar_name_stays(make_run, tmp_path, capsys):
    for name in (".out.staging-backup", ".out.staging-01234567"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text("mine")
    code, _, err = run_cli(capsys, make_run(), "-o", tmp_path / "out", "--no-verify")
    assert code == 0, err
    assert (tmp_path / ".out.staging-backup" / "notes.txt").exists()
    assert (tmp_path / ".out.staging-01234567" / "notes.txt").exists()


def test_e6_an_output_that_gets_its_name_back_is_refused_at_the_start(make_run, tmp_path, capsys):
    left = tmp_path / ".out.staging-0123abcd" / "replaced"
    left.mkdir(parents=True)
    (left / "model.pth").write_text("old")
    code, _, err = run_cli(capsys, make_run(), "-o", tmp_path / "out", "--no-verify")
    assert code == 2
    assert "exists already" in err
    assert (tmp_path / "out" / "model.pth").read_text() == "old"


def test_e9_the_lock_does_not_depend_on_the_temporary_folder(make_run, tmp_path, capsys, monkeypatch):
    with staging.staging(tmp_path / "out"):
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        code, _, err = run_cli(capsys, make_run(), "-o", tmp_path / "out", "--no-verify")
    assert code == 2
    assert "another run is writing" in err


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("moment", [0.06, 0.2, 4.0])
def test_e7_ctrl_c_in_the_demo_leaves_nothing(tmp_path, moment):
    process = subprocess.Popen(
        [sys.executable, SCRIPT, "demo", "-o", str(tmp_path / "demo")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        out, err = process.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    if moment > 0.15:  # before that Python itself may still be starting
        assert process.returncode == 130, err
        assert "Traceback" not in err
    assert out == ""
    assert not (tmp_path / "demo").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
@pytest.mark.parametrize(
    ("redirect", "code"), [("| true", 0), (">/dev/full", 2), (">&-", 0), ("2>&-", 0), ("2>/dev/full", 0)]
)
def test_streams_that_are_closed_or_full(converted, redirect, code):
    shell = f"set -o pipefail; {sys.executable} {SCRIPT} inspect {converted[0]} --json {redirect}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_dry_run_refuses_what_the_run_would(make_run, tmp_path, capsys):
    run = make_run()
    (tmp_path / "there").mkdir()
    for options, says in (
        (["-o", tmp_path / "there"], "exists already"),
        (["-o", tmp_path / "no" / "out"], "is not there"),
        (["--language", "xx"], "bad-language"),
        (["--text", ""], "nothing to say"),
        (["--speaker-wav", SCRIPT], "is not audio"),
    ):
        code, _, err = run_cli(capsys, run, "--dry-run", *options)
        assert code == 2, err
        assert says in err


def test_keep_failed_with_something_in_the_way_is_refused_at_the_start(make_run, tmp_path, capsys):
    (tmp_path / "out.failed").mkdir()
    (tmp_path / "out.failed" / "thesis.txt").write_text("mine")
    code, _, err = run_cli(capsys, make_run(), "-o", tmp_path / "out", "--keep-failed")
    assert code == 2
    assert "thesis.txt" in err
    assert not (tmp_path / "out").exists()


def test_quiet_still_says_what_failed(make_run, tmp_path, capsys):
    code, out, err = run_cli(capsys, make_run(), "-o", tmp_path / "out", "--quiet", "--text", "Hi.")
    assert code == 1
    assert "stop token" in err
    assert "[sound-" in err
    assert "listen to" in err
    assert out.strip() == str(tmp_path / "out")


def test_verify_does_not_publish_a_model_that_does_not_load(make_run, tmp_path, capsys):
    run = make_run(lambda state: {key: value for key, value in state.items() if "final_norm" not in key})
    code, _, _ = run_cli(capsys, "verify", run, "-o", tmp_path / "heard")
    assert code == 1
    assert not (tmp_path / "heard").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a mapped file cannot be cut there")
def test_e8_verify_survives_a_file_that_is_cut_while_it_is_used(converted, tmp_path, capsys, monkeypatch):
    """A mapped file would kill the process with SIGBUS; here it is cut just after it was read."""
    import shutil

    from verify.coqui import model

    copy = shutil.copytree(converted[0], tmp_path / "model")
    real = model.build_skeleton

    def cut(*arguments):
        os.truncate(copy / "model.pth", 1000)
        return real(*arguments)

    monkeypatch.setattr(model, "build_skeleton", cut)
    code, _, err = run_cli(capsys, "verify", copy, "--text", "Hi.")
    assert code == 2
    assert "changed" in err or "ended at byte" in err


def test_e7_an_error_that_ctrl_c_left_behind_is_an_interruption(make_run, tmp_path, monkeypatch):
    """torch.save, cut short by Ctrl-C, raises a RuntimeError in its place."""
    from verify.cli import main
    from verify.commands import convert

    def cut_short(*_):
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("unexpected pos")

    monkeypatch.setattr(convert, "convert", cut_short)
    with pytest.raises(KeyboardInterrupt):
        main.main([str(make_run()), "-o", str(tmp_path / "out")])
