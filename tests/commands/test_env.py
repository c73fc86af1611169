"""`env` looks at the packages alone: versions, imports, and a tiny model that generates."""

import json
import os
import subprocess
import sys

from tests.support.helpers import ROOT, run_cli


def test_env_prints_what_is_installed_and_lets_a_tiny_model_generate(capsys):
    code, out, err = run_cli(capsys, "env", "--json")
    document = json.loads(out)
    assert code == 0, err
    assert document["environment"]["torch"].startswith("2.")
    assert [check["name"] for check in document["checks"]] == ["cached logits"]
    assert {"torch", "coqui-tts", "transformers"} <= {item["name"] for item in document["environment"]["packages"]}
    assert "device: cpu" in err
    assert "verdict: pass of the environment" in err


def test_env_names_the_versions_where_they_do_not_work_together(tmp_path):
    (tmp_path / "torchaudio").mkdir()
    says = "Detected that PyTorch and TorchAudio were compiled with different CUDA versions."
    (tmp_path / "torchaudio" / "__init__.py").write_text(f"raise RuntimeError({says!r})")
    done = subprocess.run(
        [sys.executable, str(ROOT / "convert_and_verify.py"), "env", "--quiet", "--json"],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert "environment, not checkpoint" in said
    assert "torch and torchaudio are built for different CUDA versions" in said
    assert "pip install 'torch==2.11.*'" in said
    assert json.loads(done.stdout)["verdict"] == "fail"


def test_a_package_of_another_version_is_a_warning(monkeypatch, capsys):
    from verify.diagnosis import environment

    wanted = ["torch==1.0.*", "numpy>=1", "no-such-package>=2"]
    monkeypatch.setattr(environment.resources, "requirements", lambda: wanted)
    code, out, err = run_cli(capsys, "env", "--json")
    warnings = [cause["message"] for cause in json.loads(out)["causes"] if cause["severity"] == "warning"]
    assert code == 0
    assert warnings[0].startswith("torch 2.")
    assert warnings[0].endswith("tested with ==1.0.*")
    assert warnings[1] == "no-such-package is not installed: tested with >=2"
    assert "verdict: warn" in err
