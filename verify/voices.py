"""Let the model listen to clips, and write the voices that it hears as the `speakers_xtts.pth` that coqui reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from verify import model as models
from verify.checkpoint.profiles import VOICE_PARTS
from verify.listening import speech
from verify.listening.audio import Clip

FILE = "speakers_xtts.pth"


@torch.inference_mode()
def write(folder: Path, model: Any, device: str, wanted: Mapping[str, Sequence[Clip]]) -> None:
    """Add the voices to the speakers file of the folder, in the order in which coqui reads their parts, by position.

    Latents are `(1, 32, channels)`, embeddings `(1, 512, 1)`, both float32. A voice of a name that is there is replaced.

    Raises:
        ConversionError: the device has no room.
    """
    path = folder / FILE
    voices = torch.load(path, map_location="cpu", weights_only=True) if path.exists() else {}
    with speech.device_faults(model):
        models.prepare_for_speech(model, device)
        for name, clips in wanted.items():
            heard = speech.condition(model, clips)
            parts = (heard.latents, heard.embedding)
            voices[name] = {
                part: value.float().cpu().contiguous().clone() for part, value in zip(VOICE_PARTS, parts, strict=True)
            }
    torch.save(voices, path)
