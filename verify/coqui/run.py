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
from verify.coqui import devices, speakers
from verify.coqui import model as models
from verify.coqui.load import load
from verify.coqui.model import StateDict
from verify.coqui.samples import speak_samples
from verify.coqui.synthesis import Voice
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
        voices: clips of each voice to add to the folder's speakers_xtts.pth; those of the script are heard once.
    """
    used = devices.choose_devices(result.plan.job.device)
    result = replace(result, environment={**environment.versions(), "device": _named(used)})
    result, model = load(result, _state(result, weights), clock)
    if model is None:
        return result
    try:
        heard = None
        if script:
            result, voice = _speak(result, script, model, used, folder, clock)
            heard = (script.clips, voice) if script.voice is None else None
        if folder and voices:
            with clock.step("condition", "hearing the named voices"):
                speakers.write(
                    folder, model, str(model.device) if script else used[0], voices, result.plan.voices, heard
                )
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


def _speak(
    result: Result, script: Script, model: Xtts, used: Sequence[str], folder: Path | None, clock: Stopwatch
) -> tuple[Result, Voice]:
    """Speak on the devices; under `auto`, fall back from a GPU that is out of memory to the CPU, with a warning.

    Returns the voice in which it spoke, too.
    """
    try:
        result, voice = speak_samples(result, script, model, used, folder, clock)
        return _on(result, used), voice
    except DeviceMemoryError as error:
        if result.plan.job.device != "auto" or used == ("cpu",):
            raise
        models.release()
        warning = Cause(code="out-of-memory", severity="warning", message=f"{error}; the CPU spoke instead")
        warned = replace(result, causes=(*result.causes, warning))
        result, voice = speak_samples(warned, script, model, ("cpu",), folder, clock)
        return _on(result, ("cpu",)), voice


def _on(result: Result, used: Sequence[str]) -> Result:
    """Return the result with the devices that were used."""
    return replace(result, environment={**(result.environment or {}), "device": _named(used)})


def _named(used: Sequence[str]) -> str:
    return " and ".join(map(devices.device_name, used))


def set_threads(count: int) -> None:
    """Set the number of torch's threads; the samples depend on it."""
    torch.set_num_threads(count)


def cpu_capability() -> str:
    """Return the instruction set that torch uses on this processor, such as AVX2."""
    return torch.backends.cpu.get_cpu_capability()
