"""A language beyond the 17 whose row of the text embedding was never trained."""

import json

from tests.support.helpers import TINY_CONFIG, save_tiny, tiny_state
from verify import inspect
from verify.coqui import selftest


def causes_of(folder, row, moments=None):
    """Return the messages about a run of a few tensors whose vocabulary has [vi] as its last token."""
    import torch

    selftest.write_vocab(folder / "vocab.json")
    vocab = json.loads((folder / "vocab.json").read_text())
    number = max(vocab["model"]["vocab"].values()) + 1
    vocab["model"]["vocab"]["[vi]"] = number
    (folder / "vocab.json").write_text(json.dumps(vocab))
    state = tiny_state()
    embedding = torch.randn(number + 1, 4)
    embedding[number] = row if torch.is_tensor(row) else embedding[row]
    state["xtts.gpt.text_embedding.weight"] = embedding
    head, seen = torch.ones(number + 1, 4), torch.ones(number + 1, 4)
    seen[number] = 0 if moments == "zero" else 1
    steps = {n: {"step": 3, "exp_avg_sq": value} for n, value in enumerate((torch.ones(4), head, seen))}
    save_tiny(folder / "best_model_3.pth", state, config=TINY_CONFIG, optimizer=[{"state": steps}])
    found = inspect(folder).causes
    return [cause.message for cause in found if cause.code == "language-untrained"]


def test_a_row_that_was_never_trained_is_told_by_its_bytes_or_by_adams_moments(tmp_path):
    import torch

    assert "it is all zero" in causes_of(tmp_path, torch.zeros(4))[0]
    assert "equals that of [UNK] (1), byte for byte" in causes_of(tmp_path, 1)[0]
    assert "no batch held the token" in causes_of(tmp_path, torch.rand(4), moments="zero")[0]
    assert causes_of(tmp_path, torch.rand(4)) == []
