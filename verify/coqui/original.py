"""Compare the speech of the original checkpoint with that of the converted model, bit for bit. For `--prove`."""

import pickle

import numpy as np
import torch
from TTS.tts.models.xtts import Xtts

from verify.audio.clips import Sample
from verify.audio.prompts import Script
from verify.checks import Check
from verify.coqui import model as models
from verify.coqui import speakers, synthesis
from verify.errors import SourceError
from verify.files.location import local_path
from verify.plan import Plan
from verify.progress import Stopwatch

# What Xtts.get_compatible_checkpoint_state_dict (coqui-tts 0.28) does to the keys of a training checkpoint.
PREFIX = "xtts."
TRAINING_ONLY = ("torch_mel_spectrogram_style_encoder.", "torch_mel_spectrogram_dvae.", "dvae.")


def check_original(plan: Plan, script: Script, sample: Sample, device: str, clock: Stopwatch) -> Check:
    """Return the check that the original speaks the converted model's sample, bit for bit.

    The original is loaded by torch, memory-mapped, and computes its own conditioning from the reference.
    """
    with clock.step("prove", "loading the original"):
        original = _original(plan)
        with synthesis.device_faults(original):
            models.prepare_for_speech(original, device)
        voice = speakers.voice_of(original, script, plan)
    steps = synthesis.speaking_steps(original, sample.text, sample.language)
    with clock.step("prove", "letting the original speak", steps, "steps") as progress:
        original_sample = synthesis.speak(
            original, voice, sample.text, sample.language, sample.seed, progress, script.sampling
        )
    return same(sample, original_sample)


def same(converted: Sample, original: Sample) -> Check:
    """Return the check that two samples have the same tokens and the same samples."""
    same_shape = converted.samples.shape == original.samples.shape
    difference = (
        float(np.abs(converted.samples - original.samples).max())
        if same_shape and converted.samples.size
        else 0.0
        if same_shape
        else np.inf
    )
    equal = converted.codes == original.codes and np.array_equal(converted.samples, original.samples)
    return Check(
        name="same as the original",
        ok=equal,
        measured=difference,
        high=0.0,
        unit="of full scale",
        basic=True,
        hint=f"The original says {len(original.codes)} tokens, the converted model {len(converted.codes)}: the conversion is at fault.",
    )


def _original(plan: Plan) -> Xtts:
    """Return the source loaded by torch, with its keys filtered by coqui's own rule.

    Raises:
        SourceError: torch refuses to read it.
    """
    path = local_path(plan.archive.path)
    if path is None:  # the plan refuses it earlier, too
        raise SourceError("cannot-prove", "--prove: torch reads no file at a URL", "Download it first.")
    try:
        saved = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise SourceError(
            "cannot-prove", f"--prove: torch does not read {path.name} with weights_only=True", "Leave --prove away."
        ) from error
    state = saved.get("model", saved)
    weights = {key.removeprefix(PREFIX): value for key, value in state.items() if not key.startswith(TRAINING_ONLY)}
    model = models.build_skeleton(plan.config, plan.vocab)
    model.load_state_dict(weights, strict=True, assign=True)
    return model
