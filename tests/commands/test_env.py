"""`env` looks at the packages alone: versions, imports, and a tiny model that generates."""

import json
import os
import subprocess
import sys
from importlib import metadata

import pytest

from tests.support.helpers import ROOT, run_cli
from verify.diagnosis import environment, packages


def test_env_prints_what_is_installed_and_lets_a_tiny_model_generate(capsys, monkeypatch):
    from verify.coqui import selftest

    monkeypatch.setattr(selftest, "cuda_version", lambda: None)  # as the torch that pip installs on Windows
    monkeypatch.setattr(selftest, "has_gpu", lambda: False)
    code, out, err = run_cli(capsys, "env", "--json")
    document = json.loads(out)
    assert code == 0, err
    assert document["environment"]["torch"].startswith("2.")
    assert [check["name"] for check in document["checks"]] == ["cached logits"]
    assert {"torch", "coqui-tts", "transformers"} <= {item["name"] for item in document["environment"]["packages"]}
    assert "device: cpu" in err
    assert "is a build for the CPU: it sees no GPU" in " ".join(err.split())
    assert "verdict: pass, for the environment" in err


def test_env_names_the_versions_where_they_do_not_work_together(tmp_path):
    (tmp_path / "torchaudio").mkdir()
    says = "Detected that PyTorch and TorchAudio were compiled with different CUDA versions."
    (tmp_path / "torchaudio" / "__init__.py").write_text(f"raise RuntimeError({says!r})")
    done = subprocess.run(
        [sys.executable, str(ROOT / "convert_and_verify.py"), "env", "--quiet", "--json"],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    message = " ".join(done.stderr.split())
    assert "environment, not checkpoint" in message
    assert "torch and torchaudio are built for different CUDA versions" in message
    assert 'pip install "torch==2.11.' in message
    assert "'" not in message[message.index("pip install") :]
    assert json.loads(done.stdout)["verdict"] == "fail"


EXAMPLE = """
# the form of constraints.txt
    --hash=sha256:0
torch==1.9.0
torchaudio==1.9.0 ; python_version >= '3'
torchcodec==0.1.0
coqui-tts==0.27.0
transformers==9.0.0 ; python_version < '3'
transformers==4.50.0 ; python_version >= '3'
numpy==99.0
"""


@pytest.fixture
def tested_set(monkeypatch):
    """Let the tested set be the one of EXAMPLE, in which everything that is installed here is newer."""
    packages.tested.cache_clear()
    monkeypatch.setattr(packages.resources, "constraints", lambda: EXAMPLE)
    yield
    packages.tested.cache_clear()


def installed_as(monkeypatch, **versions):
    """Let packages be of these versions; the others are as tested."""
    there = {**packages.tested(), **{name.replace("_", "-"): version for name, version in versions.items()}}
    monkeypatch.setattr(packages, "installed", there.get)
    monkeypatch.setattr(environment, "installed", there.get)
    wanted = ["torch>=1.8", "torchaudio>=1.8", "torchcodec", "coqui-tts>=0.26,<0.29", "transformers>=4.40", "numpy>=1"]
    monkeypatch.setattr(packages.resources, "requirements", lambda: wanted)
    return {package.name: package for package in packages.compared()}


def test_markers_choose_the_tested_version(tested_set):
    assert packages.tested()["transformers"] == "4.50.0"
    assert packages.tested()["torchaudio"] == "1.9.0"


@pytest.mark.parametrize(
    ("name", "version", "problem"),
    [
        ("transformers", "5.24.0", "transformers 5.24.0 is newer than 4.50.0, the newest this was tested with"),
        ("transformers", "4.30.0", "transformers 4.30.0 is older than what this was tested with (>=4.40)"),
        ("coqui_tts", "0.22.0", "coqui-tts 0.22.0 is older than what this was tested with (<0.29,>=0.26)"),
        ("torchaudio", None, "torchaudio is not installed: tested with 1.9.0"),
        ("torch", "1.9.0a0+git123", "torch 1.9.0a0+git123 was built by hand or is a pre-release"),
        ("torch", "not a version", "torch not a version was built by hand or is a pre-release"),
    ],
)
def test_what_is_not_as_tested_is_named_with_what_was_tested(monkeypatch, tested_set, name, version, problem):
    package = installed_as(monkeypatch, **{name: version})[name.replace("_", "-")]
    assert package.problem.startswith(problem)
    assert not package.fits


@pytest.mark.parametrize("version", ["1.9.0", "1.9.0+cpu", "1.9.0+cu130", "1.8.5"])
def test_a_build_of_pytorchs_own_and_an_older_version_in_the_range_fit(monkeypatch, tested_set, version):
    assert installed_as(monkeypatch, torch=version)["torch"].fits


@pytest.mark.parametrize(
    ("torch", "problem"), [("2.8.0", ""), ("2.9.1", "torchcodec is not installed: tested with 0.1.0")]
)
def test_torchcodec_may_be_missing_where_coqui_does_not_ask_for_it(monkeypatch, tested_set, torch, problem):
    versions = {"torch": torch, "torchcodec": None}
    monkeypatch.setattr(packages, "installed", versions.get)
    monkeypatch.setattr(packages.resources, "requirements", lambda: ["torch>=2.8", "torchcodec>=0.7"])
    assert [package.problem for package in packages.compared() if package.name == "torchcodec"] == [problem]


def test_a_fault_that_nobody_has_seen_names_the_newer_package_and_the_line_to_paste(monkeypatch, tested_set):
    """The circle of today ends: no "install what is pinned" while the version that breaks it has a tick."""
    installed_as(monkeypatch, transformers="5.99.0")
    fault = environment.fault("cached generation is off by 0.3 of the largest logit")
    assert "transformers 5.99.0 is newer than 4.50.0, the newest this was tested with" in fault.cause.message
    assert 'pip install "transformers==4.50.0"' in fault.cause.hint


def test_what_must_be_of_one_build_is_installed_in_one_line(monkeypatch, tested_set):
    installed_as(monkeypatch, torch="2.0.0")
    hint = environment.fault("coqui-tts cannot be imported").cause.hint
    assert 'pip install "torch==1.9.0" "torchaudio==1.9.0" "torchcodec==0.1.0"' in hint


def test_a_known_fault_says_what_it_means_and_installs_what_its_row_names(monkeypatch, tested_set):
    installed_as(monkeypatch)
    error = AttributeError("'NoneType' object has no attribute 'get_seq_length'")
    cause = environment.fault("coqui-tts and transformers do not fit together", error).cause
    assert "transformers 5.24 and later hand the cache over by another name" in cause.message
    assert 'pip install "transformers==4.50.0"' in cause.hint


def test_versions_that_are_known_to_break_are_told_without_any_error(monkeypatch, tested_set):
    found = installed_as(monkeypatch, transformers="5.24.0", coqui_tts="0.28.0")
    causes = environment.package_causes(tuple(found.values()), works=False)
    assert causes[0].code == "environment"
    assert "5.24 and later" in causes[0].message
    assert {cause.severity for cause in environment.package_causes(tuple(found.values()), works=True)} == {"note"}


def test_an_error_of_speaking_is_told_by_its_symptom(monkeypatch, tested_set):
    installed_as(monkeypatch)
    fault = environment.speaking_fault(RuntimeError("probability tensor contains either `inf`, `nan` or element < 0"))
    assert (type(fault).__name__, fault.cause.code) == ("CannotSpeakError", "not-finite-while-speaking")
    unknown = environment.speaking_fault(RuntimeError("gremlins in https://me:secret@host/x"))
    assert unknown.cause.code == "cannot-speak"
    assert "secret" not in unknown.cause.message


def test_a_package_of_another_version_is_a_warning(monkeypatch, capsys):
    wanted = ["torch==1.0.*", "numpy>=1", "no-such-package>=2"]
    monkeypatch.setattr(packages.resources, "requirements", lambda: wanted)
    code, out, err = run_cli(capsys, "env", "--json")
    warnings = [cause["message"] for cause in json.loads(out)["causes"] if cause["severity"] == "warning"]
    assert code == 0
    assert warnings[0].startswith("torch 2.")
    assert "than what this was tested with (==1.0.*)" in warnings[0]
    assert warnings[1] == "no-such-package is not installed: tested with >=2"
    assert "verdict: warn" in err


def test_the_installed_packages_are_listed_once_while_coqui_tts_is_imported():
    listed = metadata.packages_distributions
    with environment._packages_listed_once():
        assert metadata.packages_distributions() is metadata.packages_distributions()
    assert metadata.packages_distributions is listed
