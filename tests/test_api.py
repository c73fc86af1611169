"""The library: the page about it runs as it stands, its types are the code's, and the example speaks a dialogue."""

import contextlib
import gc
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

import verify
from tests.support.helpers import ROOT, fingerprint
from tests.test_docs import blocks
from verify import Job, resources
from verify.options import job_of

PAGE = ROOT / "docs" / "library.md"


@pytest.fixture(scope="module")
def place(genuine_run, converted, tmp_path_factory):
    """The folder that the page speaks of."""
    folder = tmp_path_factory.mktemp("place")
    run = folder / "runs" / "XTTS_FT-November-23"
    run.mkdir(parents=True)
    for path in (next(genuine_run.glob("best_model_*.pth")), genuine_run / "config.json"):
        (run / path.name).symlink_to(path)
    shutil.copyfile(converted[0] / "vocab.json", folder / "vocab.json")
    shutil.copyfile(resources.DEFAULT_REFERENCE, folder / "me.wav")
    return folder


def test_every_block_of_the_page_runs(place, monkeypatch):
    monkeypatch.chdir(place)
    names, printed = {}, io.StringIO()
    for block in blocks(PAGE, "python"):
        if sys.platform == "win32" and "import resource" in block:
            continue
        with contextlib.redirect_stdout(printed):
            exec(compile(block, str(PAGE), "exec"), names)
    output = printed.getvalue()
    assert "missing runs/XTTS_FT-November-24 is not there" in output
    assert soundfile.info("hello.wav").duration > 0.5
    assert names["report"].verdict == "pass"  # of the comparison, the last of the reports
    assert f"{len(names['explanation'].second_names)} names are bogus; [" in output
    assert len(names["explanation"].second_names) > 30  # the second names of two layers


def test_every_name_of_the_package_is_there_and_importing_one_imports_no_torch():
    names = [*verify.__all__]
    code = f"import sys\nfrom verify import {', '.join(names)}\nprint(sorted({{'torch', 'TTS'}} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_text_serves_for_a_path_and_one_for_several():
    made = job_of("run", vocab="v.json", speaker_wavs="me.wav", texts="Hello.", output="out")
    source = {"source": Path("run"), "vocab": Path("v.json"), "speaker_wavs": (Path("me.wav"),)}
    assert made == Job(**source, texts=("Hello.",), output=Path("out"))


def test_a_job_and_further_options_go_together(place):
    job = Job(source=place / "runs" / "XTTS_FT-November-23", expect="sound")
    assert verify.inspect(job, seeds=2).verdict in ("pass", "warn")


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of the memory is read from /proc")
def test_load_xtts_copies_no_weights_and_writes_no_file(place):
    """At its highest, loading takes little more memory than the weights have bytes."""

    def memory(name: str) -> int:
        text = Path("/proc/self/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) * 1024

    before = fingerprint(place)
    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    except OSError:
        pytest.skip("the peak of the memory cannot be reset here")
    resident = memory("VmRSS")
    model = verify.load_xtts(place / "runs" / "XTTS_FT-November-23", vocab=place / "vocab.json")
    grown = memory("VmHWM") - resident
    state = {tensor.data_ptr(): tensor.numel() * tensor.element_size() for tensor in model.state_dict().values()}
    weights = sum(state.values())
    assert weights > 80e6
    assert grown < 1.5 * weights, f"{grown:,} bytes more for {weights:,} bytes of weights"
    assert fingerprint(place) == before


# --- examples -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dialogue():
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        import dialogue
    finally:
        sys.path.pop(0)
    return dialogue


def test_the_example_speaks_questions_and_answers_and_goes_on_where_it_was(dialogue, place, tmp_path, capsys):
    text = tmp_path / "dialogue.txt"
    text.write_text("Q: Yes?\nA: No.\n", encoding="utf-8")
    arguments = [str(place / "runs" / "XTTS_FT-November-23"), str(text), "-o", str(tmp_path / "clips")]
    arguments += ["--answer-voice", str(place / "me.wav"), "--expect", "sound", "--vocab", str(place / "vocab.json")]
    assert dialogue.main(arguments) == 0
    names = ["001-answer.wav", "001-question.wav"]
    assert sorted(path.name for path in (tmp_path / "clips").iterdir()) == names
    for name in names:
        info = soundfile.info(tmp_path / "clips" / name)
        assert (info.samplerate, info.channels, info.subtype) == (24000, 1, "PCM_16")
        assert info.duration > 0.3
    (tmp_path / "clips" / "001-answer.wav").unlink()
    kept = fingerprint(tmp_path / "clips")
    capsys.readouterr()
    assert dialogue.main(arguments) == 0
    assert capsys.readouterr().out.count("kept") == 1
    assert kept.items() <= fingerprint(tmp_path / "clips").items()


@pytest.mark.parametrize("text", ["Q: One?\nTwo.\n", "A: No.\n", "Q: One?\nA: Two.\nA: Three.\n"])
def test_the_example_names_the_line_that_is_neither(dialogue, text, tmp_path, capsys):
    (tmp_path / "dialogue.txt").write_text(text, encoding="utf-8")
    assert dialogue.main(["no-such-run", str(tmp_path / "dialogue.txt")]) == 2
    assert f"error: line {len(text.splitlines())}: " in capsys.readouterr().err


def test_speak_refuses_a_setting_that_is_none_before_torch_is_imported():
    for sampling in ({"tempereture": 0.7}, {"temperature": -1}):
        with pytest.raises(verify.ConversionError) as refused:
            verify.speak(None, None, "Hello.", **sampling)
        assert refused.value.cause.code == "bad-option"
