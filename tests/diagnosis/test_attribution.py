"""Each key that does not fit belongs to exactly one cause, and folded lists hide no gap."""

from verify.diagnosis.attribution import explain, fold, summary
from verify.errors import Cause


def test_folding_hides_no_gap():
    keys = [f"gpt.gpt.h.{n}.ln_1.weight" for n in (*range(10), 12)] + ["mel_stats", "gpt.gpt.h.3.ln_2.bias"]
    assert fold(keys) == ["gpt.gpt.h.{0-9,12}.ln_1.weight", "mel_stats", "gpt.gpt.h.3.ln_2.bias"]
    assert summary([f"key{n}" for n in range(14)]).endswith("key9, and 4 more groups")


def test_every_key_belongs_to_exactly_one_cause():
    known = [Cause(code="vocab-rows", severity="error", message="", prefixes=("gpt.text_",))]
    causes = explain(
        known, ["gpt.a", "gpt.text_head.bias"], ["b"], {"gpt.text_embedding.weight": ((1,), (2,)), "c": ((1,), (2,))}
    )
    assert [cause.code for cause in causes] == ["vocab-rows", "missing-keys", "unexpected-keys", "shape-mismatch"]
    assert sorted(key for cause in causes for key in cause.keys) == [
        "b",
        "c",
        "gpt.a",
        "gpt.text_embedding.weight",
        "gpt.text_head.bias",
    ]
