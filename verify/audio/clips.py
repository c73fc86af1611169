"""Read clips as mono, refuse those that cannot serve as a reference voice, write samples."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from verify import resources
from verify.errors import OutputError, SourceError
from verify.files.local import local_copy
from verify.files.location import Location

_BLOCK_FRAMES = 2**16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One synthesized sentence: samples `(samples,)` at 24 kHz, and how they were generated."""

    samples: np.ndarray
    rate_hz: int
    text: str
    language: str
    device: str
    seed: int
    tokens: int
    token_bound: int
    stopped: bool
    synthesis_seconds: float
    codes: tuple[int, ...]  # audio tokens without the stop token

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate_hz

    @property
    def real_time_factor(self) -> float:
        """Seconds of synthesis per second of audio: below 1 is faster than real time."""
        return self.synthesis_seconds / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """Mono samples `(samples,)`, float32 within -1 to 1, and the file that they were read from."""

    samples: np.ndarray
    rate_hz: int
    path: Location
    channels: int = 1
    file_seconds: float = 0.0  # of the whole file, of which no more may have been read than a reference needs

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate_hz


def dbfs(value: float) -> float:
    """Return a level relative to full scale in dB; silence is -120."""
    return max(-120.0, 20 * math.log10(value)) if value > 0 else -120.0


def rms(samples: np.ndarray) -> float:
    """Return the root mean square of the samples."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0


def read_clip(path: Location, longest_seconds: float | None = None) -> Clip:
    """Read a clip as mono float32, block by block, no further than `longest_seconds` or the longest reference.

    Raises:
        SourceError: it is too large, soundfile cannot read it, or it claims an implausible rate, channel count or sample value.
    """
    limits = resources.load("limits")["reference"]
    if path.stat().st_size > limits["largest_bytes"]:
        raise SourceError(
            "bad-clip",
            f"{path} has {path.stat().st_size:,} bytes; {limits['largest_bytes']:,} is the limit",
            "Cut a clip of 3 to 30 s.",
        )
    try:
        with local_copy(path) as opened, soundfile.SoundFile(opened) as file:
            _require_plausible(path, file.samplerate, file.channels)
            rate, channels, file_seconds = file.samplerate, file.channels, file.frames / file.samplerate
            frames = int((longest_seconds or limits["longest_seconds"]) * rate)
            blocks = file.blocks(_BLOCK_FRAMES, frames=min(frames, file.frames), dtype="float32", always_2d=True)
            samples = np.concatenate([np.zeros(0, np.float32), *(_mono(path, block) for block in blocks)])
    except (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError) as error:
        raise SourceError(
            "bad-clip",
            f"{path} is not audio that can be read ({error})",
            "Pass a WAV, FLAC, OGG or MP3 clip of 3 to 30 s.",
        ) from error
    return Clip(samples=samples, rate_hz=rate, path=path, channels=channels, file_seconds=file_seconds)


def _require_plausible(path: Location, rate_hz: int, channels: int) -> None:
    """Refuse an implausible header of a sound file before memory is allocated for it."""
    limits = resources.load("limits")["reference"]
    if rate_hz > limits["highest_rate_hz"]:
        raise _implausible(path, f"claims {rate_hz:,} samples a second; {limits['highest_rate_hz']:,} is the most")
    if channels > limits["most_channels"]:
        raise _implausible(path, f"claims {channels:,} channels; {limits['most_channels']} is the most")


def _mono(path: Location, block: np.ndarray) -> np.ndarray:
    """Return the mean of the channels `(frames,)` of a block `(frames, channels)`; refuse values whose sum could overflow."""
    loudest = float(np.abs(block[np.isfinite(block)]).max(initial=0))
    if loudest > resources.load("limits")["reference"]["largest_sample"]:
        raise _implausible(path, f"has samples of up to {loudest:.3g}, where 1 is full scale")
    return block.mean(axis=1)


def _implausible(path: Location, claim: str) -> SourceError:
    return SourceError(
        "bad-clip", f"{path} {claim}", "Convert it to a WAV of 16 or 24 bits, mono, at 22,050 or 24,000 Hz."
    )


def require_usable(clip: Clip) -> None:
    """Check that a clip can serve as reference voice.

    Raises:
        SourceError: it is too short, silent, not finite, or sampled too coarsely; the message states the measurement.
    """
    limits = resources.load("limits")["reference"]
    level = dbfs(rms(clip.samples)) if np.isfinite(clip.samples).all() else math.nan
    problem = ""
    if clip.rate_hz < limits["lowest_rate_hz"]:
        problem = f"is sampled at {clip.rate_hz:,} Hz; {limits['lowest_rate_hz']:,} Hz is the least"
    elif clip.seconds < limits["shortest_seconds"]:
        problem = f"is {clip.seconds:.2f} s long; {limits['shortest_seconds']:g} s is the least"
    elif not level >= limits["quietest_rms_dbfs"]:
        problem = f"is silent ({level:.0f} dBFS)" if level == level else "holds NaN or Inf"
    if problem:
        raise SourceError(
            "bad-clip",
            f"the reference clip {clip.path} {problem}",
            "Pass 3 to 30 s of one voice with --speaker-wav FILE.",
        )


def write_wav(path: Path, samples: np.ndarray, rate_hz: int) -> None:
    """Write mono 16-bit PCM; samples beyond full scale are clipped, NaN becomes silence.

    Raises:
        OutputError: the disk is full or cannot be written.
    """
    try:
        soundfile.write(path, np.clip(np.nan_to_num(samples), -1.0, 1.0), rate_hz, subtype="PCM_16")
    except soundfile.LibsndfileError as error:
        raise OutputError("cannot-write", f"{path.name} could not be written: {error}", "Free some space.") from error
