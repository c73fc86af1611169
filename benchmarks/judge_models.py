"""Samples of broken models: the demo model unchanged, with shuffled layers, and with a damaged vocoder."""

import shutil
import tempfile
from pathlib import Path

import soundfile
import torch

from verify import Job, convert
from verify.demo.demo import demo
from verify.progress import Silent

TEXTS = ("The quick brown fox jumps over the lazy dog.", "There is no need to hurry, we have the whole day.")


def _as_it_is(state):
    return state


def _layers_shuffled(state):
    """Swap the two GPT layers, and the residual blocks of the vocoder with one another."""
    swap = {"gpt.gpt.h.0.": "gpt.gpt.h.1.", "gpt.gpt.h.1.": "gpt.gpt.h.0."}
    named = {}
    for key, tensor in state.items():
        old = next((prefix for prefix in swap if prefix in key), None)
        named[key.replace(old, swap[old]) if old else key] = tensor
    return named


def _vocoder(change):
    def changed(state):
        return {
            key: change(tensor) if "waveform_decoder" in key and tensor.is_floating_point() else tensor
            for key, tensor in state.items()
        }

    return changed


CHANGES = {
    "as it is": _as_it_is,
    "GPT layers shuffled": _layers_shuffled,
    "vocoder zeroed": _vocoder(torch.zeros_like),
    "vocoder doubled": _vocoder(lambda tensor: tensor * 2),
    "vocoder noisy": _vocoder(lambda tensor: tensor + 0.05 * torch.randn_like(tensor)),
}


def outputs():
    """Yield strength, samples, rate in Hz and text of each sample of a changed demo model."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "demo"
        demo(folder, False, Silent())
        source = next((folder / "training").rglob("*.pth"))
        for strength, change in CHANGES.items():
            run = Path(name) / "changed"
            shutil.copytree(folder / "training", run)
            checkpoint = torch.load(source, map_location="cpu", weights_only=True)
            checkpoint["model"] = change(checkpoint["model"])
            torch.save(checkpoint, run / source.relative_to(folder / "training"))
            for seed, text in enumerate(TEXTS):
                job = Job(source=run, output=Path(name) / f"out{seed}", expect="sound", texts=(text,), seed=seed)  # fmt: skip
                report = convert(job)
                if report.sample:
                    samples, rate_hz = soundfile.read(Path(report.output) / "sample.wav", dtype="float32")
                    yield strength, samples, rate_hz, text
                shutil.rmtree(job.output, ignore_errors=True)
            shutil.rmtree(run)
