"""Condition the model on clips or take a named voice, and write the voices as the `speakers_xtts.pth` that coqui reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from TTS.tts.models.xtts import Xtts

from verify.audio.clips import Clip
from verify.audio.prompts import Script
from verify.audio.references import PARTS
from verify.checkpoint import archive, reader
from verify.conversion import writer
from verify.coqui import model as models
from verify.coqui import synthesis
from verify.coqui.synthesis import Voice
from verify.plan import Plan, Voices

FILE = "speakers_xtts.pth"


def voice_of(model: Xtts, script: Script, plan: Plan) -> Voice:
    """Return the voice to speak in: the named one of the speakers file, else what the model hears in the clips.

    Raises:
        ArchiveError: the speakers file is damaged.
        ConversionError: the device is out of memory, or the environment is broken.
    """
    if script.voice is None:
        with synthesis.device_faults(model):
            return synthesis.condition(model, script.clips)
    parts = plan.voices[script.voice]
    data, _ = reader.read_tensors(parts, lambda _: None)
    tensors = models.from_bytes(data, parts)
    latents, embedding = (tensors[part].float().to(model.device) for part in PARTS)
    return Voice(latents=latents, embedding=embedding)


@torch.inference_mode()
def write(
    folder: Path,
    model: Xtts,
    device: str,
    clips_of: Mapping[str, Sequence[Clip]],
    existing: Voices,
    heard: tuple[Sequence[Clip], Voice] | None,
) -> None:
    """Rewrite the speakers file of the folder with the existing voices and those of the clips.

    The parts of a voice are in the order in which coqui reads them, by position: latents `(1, 32, channels)` and
    embedding `(1, 512, 1)`, both float32. A new voice replaces an existing one of the same name.

    Args:
        heard: the clips that have spoken, and what they were heard as.

    Raises:
        ConversionError: the device is out of memory, or the disk is full.
    """
    new_voices = {}
    with synthesis.device_faults(model):
        if heard is None:  # else it has spoken, and is ready
            models.prepare_for_speech(model, device)
        for name, clips in clips_of.items():
            voice = heard[1] if heard and clips is heard[0] else synthesis.condition(model, clips)
            parts = zip(PARTS, (voice.latents, voice.embedding), strict=True)
            new_voices[name] = {part: value.float().cpu().contiguous().clone() for part, value in parts}
    saved = folder / f"{FILE}.new"
    torch.save(new_voices, saved)
    (folder / FILE).unlink(missing_ok=True)
    writer.write_voices(folder / FILE, {**existing, **archive.read_voices(saved)})
    saved.unlink()
