"""Load the model strictly, synthesize and judge the samples: the part of a run that needs torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from TTS.tts.models.xtts import Xtts

from verify.audio.clips import Clip
from verify.audio.prompts import Script
from verify.coqui import model as models
from verify.coqui import speakers
from verify.coqui.devices import choose_device, device_name
from verify.coqui.load import load
from verify.coqui.model import StateDict
from verify.coqui.samples import speak_samples
from verify.diagnosis import environment
from verify.errors import CannotSpeakError, Cause, DeviceMemoryError
from verify.progress import Stopwatch
from verify.result import Result

Weights = Path | Mapping[str, np.ndarray]  # the new file, or the tensors as bytes where none was written


def load_and_speak(
    result: Result,
    script: Script | None,
    weights: Weights,
    clock: Stopwatch,
    *,
    folder: Path | None = None,
    voices: Mapping[str, Sequence[Clip]] | None = None,
) -> Result:
    """Return the result with `load`, `identical`, `samples` and `checks` filled in, as far as the run gets.

    Args:
        script: what to speak; None loads without speaking.
        folder: where reference.wav and the samples are written; None writes nothing.
        voices: clips of each named voice to add to the folder's speakers_xtts.pth.
    """
    device = choose_device(result.plan.job.device)
    result = replace(result, environment={**environment.versions(), "device": device_name(device)})
    result, model = load(result, _state(result, weights), clock)
    if model is None:
        return result
    try:
        if script:
            result = _speak(result, script, model, device, folder, clock)
        if folder and voices:
            with clock.step("condition", "hearing the named voices"):
                speakers.write(folder, model, str(model.device) if script else device, voices, result.plan.voices)
    except CannotSpeakError as error:
        result = replace(result, causes=(*result.causes, error.cause))
    finally:
        del model
        if script or voices:  # a model that was only loaded is in no reference cycle, and collecting them takes 0.3 s
            models.release()
    return result


def _state(result: Result, weights: Weights) -> Callable[[], StateDict]:
    if isinstance(weights, Path):
        return partial(models.map_written, weights)
    return partial(models.from_bytes, weights, result.ledger.written)


def _speak(result: Result, script: Script, model: Xtts, device: str, folder: Path | None, clock: Stopwatch) -> Result:
    """Speak on the device; under `auto`, fall back from a GPU that is out of memory to the CPU, with a warning."""
    try:
        return _on(speak_samples(result, script, model, device, folder, clock), device)
    except DeviceMemoryError as error:
        if result.plan.job.device != "auto" or device == "cpu":
            raise
        models.release()
        warning = Cause(code="out-of-memory", severity="warning", message=f"{error}; the CPU spoke instead")
        warned = replace(result, causes=(*result.causes, warning))
        return _on(speak_samples(warned, script, model, "cpu", folder, clock), "cpu")


def _on(result: Result, device: str) -> Result:
    """Return the result with the device that was used."""
    return replace(result, environment={**(result.environment or {}), "device": device_name(device)})


def set_threads(count: int) -> None:
    """Set the number of torch's threads; the samples depend on it."""
    torch.set_num_threads(count)


def cpu_capability() -> str:
    """Return the instruction set that torch uses on this processor, such as AVX2."""
    return torch.backends.cpu.get_cpu_capability()
