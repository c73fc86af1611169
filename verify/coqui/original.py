"""Let the original speak beside the converted model: same tokens, same samples, bit for bit. For `--prove`."""

import pickle

import numpy as np
import torch
from TTS.tts.models.xtts import Xtts

from verify.audio.clips import Sample
from verify.audio.prompts import Script
from verify.checks import Check
from verify.coqui import model as models
from verify.coqui import synthesis
from verify.errors import SourceError
from verify.files.location import local_path
from verify.plan import Plan
from verify.progress import Stopwatch

# What Xtts.get_compatible_checkpoint_state_dict (coqui-tts 0.28) does to a training checkpoint, in its own terms.
PREFIX = "xtts."
TRAINING_ONLY = ("torch_mel_spectrogram_style_encoder.", "torch_mel_spectrogram_dvae.", "dvae.")


def check_original(plan: Plan, script: Script, sample: Sample, device: str, clock: Stopwatch) -> Check:
    """Return whether the original says the same as the converted model's sample, bit for bit.

    The original is read by torch, mapped from the disk, and conditioned on the reference by itself.
    """
    with clock.step("prove", "loading the original"):
        original = _original(plan)
        with synthesis.device_faults(original):
            models.prepare_for_speech(original, device)
            voice = synthesis.condition(original, script.clips)
    with clock.step("prove", "letting the original speak", sample.tokens + 2, "tokens") as progress:
        theirs = synthesis.speak(original, voice, sample.text, sample.language, sample.seed, progress)
    return same(sample, theirs)


def same(ours: Sample, theirs: Sample) -> Check:
    """Return the check that two samples have the same tokens and the same samples."""
    alike = ours.samples.shape == theirs.samples.shape
    off = (
        float(np.abs(ours.samples - theirs.samples).max()) if alike and ours.samples.size else 0.0 if alike else np.inf
    )
    equal = ours.codes == theirs.codes and np.array_equal(ours.samples, theirs.samples)
    return Check(
        name="same as the original",
        ok=equal,
        measured=off,
        high=0.0,
        unit="of full scale",
        basic=True,
        hint=f"The original says {len(theirs.codes)} tokens, the converted model {len(ours.codes)}: the conversion is at fault.",
    )


def _original(plan: Plan) -> Xtts:
    """Return the model that torch and coqui's own rule make of the source.

    Raises:
        SourceError: torch refuses to read it.
    """
    path = local_path(plan.archive.path)
    if path is None:  # refused before the long work, too
        raise SourceError("cannot-prove", "--prove: torch reads no file at a URL", "Download it first.")
    try:
        saved = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise SourceError(
            "cannot-prove", f"--prove: torch does not read {path.name} with weights_only=True", "Leave --prove away."
        ) from error
    state = saved.get("model", saved)
    kept = {key.removeprefix(PREFIX): value for key, value in state.items() if not key.startswith(TRAINING_ONLY)}
    model = models.build_skeleton(plan.config, plan.vocab)
    model.load_state_dict(kept, strict=True, assign=True)
    return model
