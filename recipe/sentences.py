"""The sentences that the model learns by heart, and the clips that say them."""

import math
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
import soundfile

from verify import resources
from verify.demo import weights

RATE_HZ = 24000
HOP = 256  # samples of the vocoder's output for a frame of its input
_EDGES_SECONDS = 0.06, 0.15  # DNSMOS rates the same clip 0.4 lower where it is cut tighter


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A text with the clip that says it and its audio codes."""

    language: str
    text: str
    clip: Path
    made_with: tuple[str, ...]
    codes: tuple[int, ...]


def sentences() -> tuple[Sentence, ...]:
    """Return the sentences of `configs/speaking.toml`, with as many codes as their clips are long."""
    found = []
    for row in resources.load("speaking")["sentence"]:
        clip, first = weights.FOLDER / row["clip"], row["first_code"]
        count = code_count(soundfile.info(clip).frames) if clip.exists() else 0
        found.append(
            Sentence(
                language=row["language"],
                text=row["text"],
                clip=clip,
                made_with=tuple(row["made_with"]),
                codes=tuple(range(first, first + count)),
            )
        )
    return tuple(found)


def frame_count(latents: int) -> int:
    """Return the frames that coqui's HifiDecoder makes of so many latents: 4 of each, then from 22.05 to 24 kHz."""
    return math.floor(4 * latents * RATE_HZ / 22050)


def code_count(samples: int) -> int:
    """Return how many codes, and the stop token after them, last as long as the clip."""
    return next(n for n in range(1, 600) if frame_count(n + 1) * HOP >= samples)


def make_clip(sentence: Sentence) -> None:
    """Let the sentence's program say it; cut the silence off, leave 60 ms before and 150 ms after, peak at 0.7."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "clip.wav"
        command = [part.format(text=sentence.text, wav=wav) for part in sentence.made_with]
        subprocess.run(command, check=True)
        audio, rate_hz = soundfile.read(wav, dtype="float32")
    audio = librosa.resample(audio, orig_sr=rate_hz, target_sr=RATE_HZ)
    level = librosa.feature.rms(y=audio, frame_length=480, hop_length=240)[0]
    heard = np.flatnonzero(level > 0.02 * level.max()) * 240
    before, after = (round(seconds * RATE_HZ) for seconds in _EDGES_SECONDS)
    padded = np.pad(audio, (before, after + 240))
    audio = padded[heard[0] : before + heard[-1] + 240 + after].copy()
    audio[:240] *= np.linspace(0, 1, 240)
    audio[-720:] *= np.linspace(1, 0, 720)
    sentence.clip.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(sentence.clip, audio * (0.7 / np.abs(audio).max()), RATE_HZ, subtype="PCM_16")
