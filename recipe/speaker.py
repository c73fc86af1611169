"""Set the batch norm statistics of the speaker encoder from real voices; its weights keep their seeded values."""

from collections.abc import Sequence

import torch
import torchaudio
from torch import nn
from TTS.tts.models.xtts import Xtts

from verify.audio.clips import Clip

PIECE_SECONDS = 1.5


@torch.no_grad()
def measure(model: Xtts, clips: Sequence[Clip]) -> None:
    """Measure mean and variance of each batch norm over a piece of each clip; nothing is trained."""
    encoder = model.hifigan_decoder.speaker_encoder
    length = int(PIECE_SECONDS * 16000)
    audios = [torchaudio.functional.resample(torch.from_numpy(clip.samples), clip.rate_hz, 16000) for clip in clips]
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = None  # the average of all that it sees
    encoder.train()
    encoder(torch.stack([nn.functional.pad(audio[:length], (0, max(0, length - len(audio)))) for audio in audios]))
    encoder.eval()
