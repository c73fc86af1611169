"""The settings of the sampling: asked for, reported, saved into the output's config, and one model heard under two."""

import json

import pytest

import verify
from tests.support.helpers import run_cli
from verify import ConversionError, Job
from verify.commands import compare


def test_one_model_is_heard_under_two_samplings(converted, capsys):
    vary = "temperature=0.5 top-k=3"
    _, out, err = run_cli(capsys, "compare", converted[0], "--vary", vary, "--no-sample", "--json")
    own, other = json.loads(out)["models"]
    assert (own.get("setting"), other["setting"]) == (None, "temperature 0.5, top-k 3")
    assert own["path"] == other["path"]
    assert "(temperature 0.5, top-k 3)" in err
    asked = compare._asked(Job(source=converted[0], top_p=0.9, vary=vary), [converted[0]])
    own, other = (candidate.script.sampling.to_json() for candidate in compare._candidates(asked))
    assert other == own | {"temperature": 0.5, "top_k": 3}
    assert (own["top_p"], own["speed"]) == (0.9, 1.0)
    assert own["repetition_penalty"] == converted[1].sample.sampling["repetition_penalty"]


def test_the_output_keeps_the_sampling_only_where_that_is_asked_for(make_run, tmp_path, capsys):
    import torch

    options = ("--no-verify", "--temperature", "0.6", "--speed", "1.2")
    assert run_cli(capsys, make_run(), "-o", tmp_path / "a", *options)[0] == 0
    assert run_cli(capsys, make_run(), "-o", tmp_path / "b", *options, "--save-sampling")[0] == 0
    plain, saved = (json.loads((tmp_path / name / "config.json").read_text()) for name in "ab")
    assert plain["temperature"] != 0.6
    assert saved == plain | {"temperature": 0.6}
    assert torch.load(tmp_path / "b" / "model.pth", weights_only=True)["config"] == saved


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"save_sampling": True, "speed": 1.2}, "--save-sampling has nothing to save"),
        ({"vary": "volume=3"}, "--vary 'volume=3' sets nothing of the sampling"),
        ({"vary": "temperature=0"}, "--temperature '0' is no number from 0.01 to 100"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_the_work(converted, options, message):
    call = verify.compare if "vary" in options else verify.inspect
    with pytest.raises(ConversionError, match=message):
        call(converted[0], **options)
