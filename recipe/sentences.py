"""The sentences that the demo model is trained on, and their clips."""

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
HOP = 256  # output samples of the vocoder per input frame
_EDGES_SECONDS = 0.06, 0.15  # DNSMOS rates the same clip 0.4 lower where it is cut tighter


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A text with its clip and its audio codes."""

    language: str
    text: str
    clip: Path
    made_with: tuple[str, ...]
    codes: tuple[int, ...]


def sentences() -> tuple[Sentence, ...]:
    """Return the sentences of `configs/speaking.toml`, each with as many codes as the length of its clip needs."""
    result = []
    for row in resources.load("speaking")["sentence"]:
        clip, first_code = weights.FOLDER / row["clip"], row["first_code"]
        count = code_count(soundfile.info(clip).frames) if clip.exists() else 0
        result.append(
            Sentence(
                language=row["language"],
                text=row["text"],
                clip=clip,
                made_with=tuple(row["made_with"]),
                codes=tuple(range(first_code, first_code + count)),
            )
        )
    return tuple(result)


def frame_count(latents: int) -> int:
    """Return the number of frames that coqui's HifiDecoder makes of the latents: 4 per latent, then from 22.05 to 24 kHz."""
    return math.floor(4 * latents * RATE_HZ / 22050)


def code_count(samples: int) -> int:
    """Return how many codes, and the stop token after them, last as long as the clip."""
    return next(n for n in range(1, 600) if frame_count(n + 1) * HOP >= samples)


def make_clip(sentence: Sentence) -> None:
    """Synthesize the clip of a sentence, trim it to 60 ms of silence before and 150 ms after, and scale its peak to 0.7."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "clip.wav"
        command = [part.format(text=sentence.text, wav=wav) for part in sentence.made_with]
        subprocess.run(command, check=True)
        audio, rate_hz = soundfile.read(wav, dtype="float32")
    audio = librosa.resample(audio, orig_sr=rate_hz, target_sr=RATE_HZ)
    level = librosa.feature.rms(y=audio, frame_length=480, hop_length=240)[0]
    audible = np.flatnonzero(level > 0.02 * level.max()) * 240
    before, after = (round(seconds * RATE_HZ) for seconds in _EDGES_SECONDS)
    padded = np.pad(audio, (before, after + 240))
    audio = padded[audible[0] : before + audible[-1] + 240 + after].copy()
    audio[:240] *= np.linspace(0, 1, 240)
    audio[-720:] *= np.linspace(1, 0, 720)
    sentence.clip.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(sentence.clip, audio * (0.7 / np.abs(audio).max()), RATE_HZ, subtype="PCM_16")
