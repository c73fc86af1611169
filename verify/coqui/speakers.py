"""Condition the model on clips, and write the voices as the `speakers_xtts.pth` that coqui reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from TTS.tts.models.xtts import Xtts

from verify.audio.clips import Clip
from verify.checkpoint import archive
from verify.conversion import writer
from verify.coqui import model as models
from verify.coqui import synthesis
from verify.plan import Voices
from verify.profiles.profile import VOICE_PARTS

FILE = "speakers_xtts.pth"


@torch.inference_mode()
def write(folder: Path, model: Xtts, device: str, clips_of: Mapping[str, Sequence[Clip]], existing: Voices) -> None:
    """Rewrite the speakers file of the folder with the existing voices and those of the clips.

    The parts of a voice are in the order in which coqui reads them, by position: latents `(1, 32, channels)` and
    embedding `(1, 512, 1)`, both float32. A new voice replaces an existing one of the same name.

    Raises:
        ConversionError: the device is out of memory, or the disk is full.
    """
    new_voices = {}
    with synthesis.device_faults(model):
        models.prepare_for_speech(model, device)
        for name, clips in clips_of.items():
            voice = synthesis.condition(model, clips)
            parts = zip(VOICE_PARTS, (voice.latents, voice.embedding), strict=True)
            new_voices[name] = {part: value.float().cpu().contiguous().clone() for part, value in parts}
    saved = folder / f"{FILE}.new"
    torch.save(new_voices, saved)
    (folder / FILE).unlink(missing_ok=True)
    writer.write_voices(folder / FILE, {**existing, **archive.read_voices(saved)})
    saved.unlink()
