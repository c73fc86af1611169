"""Which device is chosen, and what is said where the wanted one is not there."""

import pytest

from verify import ConversionError


def test_a_torch_built_for_the_cpu_alone_is_named_with_the_way_to_the_cuda_build(monkeypatch):
    import torch

    from verify.coqui import devices

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(ConversionError, match="it is a build for the CPU alone") as caught:
        devices.choose_device("cuda")
    assert "https://pytorch.org/get-started/locally" in caught.value.cause.hint
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(ConversionError, match=r"sees no CUDA device$") as caught:
        devices.choose_device("cuda:1")
    assert caught.value.cause.hint == "Pass --device cpu."


def test_load_xtts_takes_the_words_that_the_command_line_takes(converted):
    """`auto` reached torch as it stands, which knows no such device; one that is not there is refused before the weights are read."""
    import torch

    from verify import load_xtts

    for device in ("auto", torch.device("cpu")):
        assert load_xtts(converted[0], device=device).device.type in ("cpu", "cuda")
    with pytest.raises(ConversionError) as caught:
        load_xtts(converted[0], device="cuda:99")
    assert caught.value.cause.code == "no-device"
