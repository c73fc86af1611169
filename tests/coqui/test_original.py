"""`--prove`: the original and the converted model say the same, bit for bit, and a difference would be found."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.support.helpers import assert_fault, run_cli


def test_the_original_and_the_converted_folder_say_the_same(genuine_run, tmp_path, capsys):
    arguments = (genuine_run, "-o", tmp_path / "out", "--text", "so.", "--prove", "--expect", "sound", "--json")
    _, out, err = run_cli(capsys, *arguments)
    proof = next(check for check in json.loads(out)["checks"] if check["name"] == "same as the original")
    assert (proof["ok"], proof["measured"], proof["demanded"]) == (True, 0, True), err


def test_one_other_token_or_sample_is_a_difference():
    from verify.audio.clips import Sample
    from verify.coqui.original import same

    take = Sample(
        samples=np.zeros(100, np.float32), rate_hz=24000, text="so.", language="en", device="cpu", seed=0, tokens=3,
        token_bound=9, stopped=True, synthesis_seconds=1.0, codes=(1, 2, 3),
    )  # fmt: skip
    assert same(take, take).ok
    assert not same(take, replace(take, codes=(1, 2, 4))).ok
    louder = take.samples.copy()
    louder[7] = 1e-6
    assert not same(take, replace(take, samples=louder)).ok
    assert same(take, replace(take, samples=louder)).measured == pytest.approx(1e-6)
    assert not same(take, replace(take, samples=take.samples[:-1])).ok


def test_a_changed_weight_is_heard_by_the_proof(genuine_run, tmp_path, capsys, monkeypatch):
    """Let the conversion be at fault: the proof must find it, whatever the byte comparison says."""
    from verify.coqui import model

    load = model.load_strictly

    def faulty(built, state, report):
        report = load(built, state, report)
        built.gpt.mel_head.weight.data = built.gpt.mel_head.weight.data.flip(0)
        return report

    monkeypatch.setattr(model, "load_strictly", faulty)
    monkeypatch.setattr(model, "prove_identity", lambda *_: model.Identity(tensors=0, bytes=0))
    arguments = (genuine_run, "-o", tmp_path / "out", "--text", "so.", "--prove", "--expect", "sound", "--json")
    code, _, err = run_cli(capsys, *arguments)
    assert code == 1
    assert "check failed: same as the original" in err


def test_what_coqui_cannot_load_is_refused_before_the_long_work(make_run, converted, capsys):
    def bare(state):
        return {key: value for key, value in state.items() if not key.startswith("xtts.mel_stats")}

    options = ("--prove", "--base", converted[0])
    assert_fault(capsys, make_run(bare), 2, "1 of its names had to be mended or filled", options=options)
