"""Options, declared once: what the library and the command line refuse, in the same words, and what the pages say of them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import fields
from typing import get_type_hints

import pytest

import verify
from tests.support import option_tables
from tests.test_house import ROOT
from verify import ConversionError, Job
from verify.cli import main, parser
from verify.files.remote import RemotePath
from verify.options import HOLDERS, AnyPath, JudgeOptions, Options, SourceOptions
from verify.options.option import options_of

WRONG = [
    ("format", "onnx", "--format 'onnx' is none of pth, safetensors", ""),
    ("dtype", "fp16", "--dtype 'fp16' is none of keep, float32, float16, bfloat16", "Did you mean float16?"),
    ("dtype", "bfloat", "--dtype 'bfloat' is none of keep, float32, float16, bfloat16", "Did you mean bfloat16?"),
    ("seeds", 0, "--seeds '0' is no whole number from 1 to 1000", ""),
    ("temperature", 0, "--temperature '0' is no number from 0.01 to 100", ""),
    ("top_p", "nan", "--top-p 'nan' is no number from 0.0001 to 1", ""),
    ("seed", -1, "--seed '-1' is no whole number from 0 to 9223372036854775807", ""),
    ("expect", "noise", "--expect 'noise' is none of speech, sound", ""),
    ("device", "gpu", "--device 'gpu' is no device: pass auto, cpu, cuda, cuda:N or mps", "Did you mean cuda?"),
    ("device", "cdua", "--device 'cdua' is no device: pass auto, cpu, cuda, cuda:N or mps", "Did you mean cuda?"),
]


@pytest.mark.parametrize(("name", "value", "message", "hint"), WRONG)
def test_a_wrong_value_is_refused_in_the_same_words_by_library_and_command_line(name, value, message, hint, capsys):
    with pytest.raises(ConversionError) as caught:
        verify.convert("run", **{name: value})
    assert (caught.value.cause.code, caught.value.cause.message, caught.value.cause.hint) == (
        "bad-option",
        message,
        hint,
    )
    assert main.main(["run", f"--{name.replace('_', '-')}", str(value)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert said == f"error: {message} [bad-option]{f' → {hint}' if hint else ''}"


@pytest.mark.parametrize("call", ["convert", "verify", "sweep", "load_xtts", "inspect"])
def test_a_wrong_option_is_refused_before_torch_is_imported(call):
    code = (
        f"import sys, verify\ntry:\n    verify.{call}('run', dtype='fp16')\n"
        "except verify.ConversionError as error:\n    print(error.cause.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ["bad-option", "False"], done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"force": "no"}, "--force 'no' is neither True nor False"),
        ({"sample": 0}, "--no-sample '0' is neither True nor False"),
        ({"vocab": 7}, "--vocab '7' is no path"),
        ({"texts": [None]}, "--text 'None' is no text"),
        ({"seeds": 2.0}, "--seeds '2.0' is no whole number from 1 to 1000"),
        ({"seed": None}, "--seed 'None' is no whole number from 0 to 9223372036854775807"),
    ],
)
def test_the_library_refuses_what_a_command_line_cannot_hold(options, message):
    with pytest.raises(ConversionError) as caught:
        verify.inspect("run", **options)
    assert str(caught.value) == message


def test_options_of_the_other_functions_are_checked_too():
    for wrong in (
        lambda: verify.sweep("run", jobs=0),
        lambda: verify.sweep(),
        lambda: verify.judge("a.wav", expect="noise"),
        lambda: verify.compare("run"),
        lambda: verify.inspect(Job(source="run"), seed="x"),
        lambda: verify.inspect(Job(source="run"), sead=1),
        lambda: verify.export_best(dtype="fp16"),
    ):
        with pytest.raises(ConversionError) as caught:
            wrong()
        assert caught.value.cause.code == "bad-option"


def test_an_unknown_keyword_names_the_nearest():
    with pytest.raises(ConversionError) as caught:
        verify.convert("run", speaker_wav="me.wav")
    assert (str(caught.value), caught.value.cause.hint) == (
        "there is no option 'speaker_wav'",
        "Did you mean speaker_wavs?",
    )


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["run", "--speker-wav", "a"], "there is no option '--speker-wav'", "Did you mean --speaker-wav?"),
        (["judge", "a.wav", "--seeds=3"], "there is no option '--seeds'", "It is an option of compare, convert"),
        (["run", "--frobnicate"], "there is no option '--frobnicate'", "convert --help"),
        (["insepct", "run"], "there is no place for 'run'", "inspect ...?"),
        (["run", "--text"], "argument --text: expected one argument", "convert --help"),
        ([], "the following arguments are required: COMMAND", "--help"),
        (["compare", "a"], "compare takes 2 to 26 models, not 1", ""),
        (["compare", *"abcdefghijklmnopqrstuvwxyz1"], "compare takes 2 to 26 models, not 27", ""),
        (["run", "--\x1b[31mred"], r"there is no option '--\x1b[31mred'", ""),
        (["run", "\x1b[2J"], r"there is no place for '\x1b[2J'", ""),
        (["run", "--te\x1b"], r"there is no option '--te\x1b'", ""),
        (["run", "--json=\x1b"], r"argument --json: ignored explicit argument '\x1b'", ""),
        (["run", "--device", "\x1b[2J"], r"--device '\x1b[2J' is no device", ""),
    ],
)
def test_a_mistake_on_the_command_line_takes_a_line_and_names_the_way_out(words, message, hint, capsys):
    assert main.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert hint in " ".join(err.split())
    assert "usage" not in err
    assert "\x1b" not in err


def test_a_mistake_is_a_document_where_one_was_asked_for(capsys):
    assert main.main(["run", "--json", "--sead", "1"]) == 2
    assert '"bad-option"' in capsys.readouterr().out


def test_without_its_packages_the_program_says_how_to_install_them():
    done = subprocess.run([sys.executable, "-S", "convert_and_verify.py", "inspect", "run"], capture_output=True, text=True, cwd=ROOT)  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error: the package \w+ is not installed\n  -> .*: python -m pip install .*\n", done.stderr)


def test_the_spelling_of_coqui_is_understood():
    args = parser.parse(["run", "--speaker_wav", "me_too.wav", "--text=a_b", "--config_from_weights"])
    assert (args.speaker_wavs, args.texts, args.config_from_weights) == (["me_too.wav"], ["a_b"], True)
    assert parser.parse(["--", "--a_b.pth"]).source == "--a_b.pth"


def test_the_signature_that_editors_see_is_that_of_a_job():
    seen, true = get_type_hints(Options), get_type_hints(Job)
    true.pop("source")
    assert seen.keys() == true.keys()
    assert SourceOptions.__annotations__.keys() < seen.keys()
    for name, kind in true.items():
        text = str(kind).replace(str(RemotePath), "").replace("pathlib.Path | verify.files.remote.RemotePath", "PATH")
        if name in ("texts", "speakers", "vary"):
            assert seen[name] == str | Iterable[str]
        elif name in ("speaker_wavs", "pythons"):
            assert seen[name] == AnyPath | Iterable[AnyPath]
        elif "PATH" in text:
            assert seen[name] == AnyPath | None
        else:
            assert seen[name] == kind, name


def test_every_option_of_a_command_is_one_that_is_declared():
    declared = {(field.name, command) for holder in HOLDERS for field, option in options_of(holder) for command in option.commands}  # fmt: skip
    commands = parser.parser()._subparsers._group_actions[0].choices
    for name, command in commands.items():
        taken = {(action.dest, name) for action in command._actions if action.option_strings} - {("help", name)}
        assert taken == {pair for pair in declared if pair[1] == name}


def test_the_defaults_of_the_command_line_are_those_of_the_library():
    assert main._job(parser.parse(["run"])) == Job(source="run")
    judged = parser.parse(["judge", "a.wav"])
    assert JudgeOptions(text=judged.text, language=judged.language, expect=judged.expect) == JudgeOptions()
    assert {field.name for field in fields(Job)} >= {"source", "output"}


def test_the_tables_of_the_pages_are_what_is_declared():
    """`XTTS_VERIFY_WRITE_DOCS=1 python -m pytest tests/cli/test_options.py` writes them anew."""
    if os.environ.get("XTTS_VERIFY_WRITE_DOCS"):
        option_tables.write()
    for page, table in option_tables.tables().items():
        assert option_tables.of_page(page.read_text(encoding="utf-8")) == table, (
            f"{page.name}: see this test's first line"
        )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_sentences_are_read_in_every_encoding_that_a_shell_writes(encoding, tmp_path, monkeypatch):
    monkeypatch.setattr("verify.files.text.code_page", lambda: "cp1252")
    path = tmp_path / "lines.txt"
    path.write_bytes("Grüß Gott.\r\nÉtudes, voilà.\r\n".encode(encoding))
    job = main._job(parser.parse(["run", "--texts", str(path), "--text", "First."]))
    assert job.texts == ("First.", "Grüß Gott.", "Études, voilà.")


def test_an_error_pasted_from_an_old_console_is_read_in_its_code_page(monkeypatch):
    from verify.diagnosis.pasted_text import decode

    monkeypatch.setattr("verify.files.text.code_page", lambda: "cp850")
    assert decode("Fehler für size mismatch".encode("cp850")) == "Fehler für size mismatch"
    monkeypatch.setattr("verify.files.text.code_page", lambda: "utf-8")
    assert "size mismatch" in decode("Fehler für size mismatch".encode("cp850"))


def test_a_command_without_torch_is_a_function_too(capsys):
    assert [profile.name for profile in verify.list_profiles()] == sorted(path.stem for path in (ROOT / "configs" / "profiles").glob("*.toml"))  # fmt: skip
    text = 'Error(s) in loading state_dict for Xtts:\n\tMissing key(s) in state_dict: "gpt.gpt.wte.weight".'
    assert verify.explain(text).causes == verify.explain(text.encode()).causes
    clip = verify.read_clip(verify.DEFAULT_REFERENCE)
    assert clip.seconds > 1
