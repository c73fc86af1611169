"""The measurements of a clip: one property each; the rows of configs/sound.toml refer to them by name."""

import math
from functools import cached_property

import numpy as np

from verify.audio import clips, pieces, signal, vad_mos

FULL_SCALE = 0.999  # the vocoder's output is within -1 to 1
SHORTEST_SECONDS = 0.1  # a shorter clip is padded with silence to this length


class Waveform:
    """Mono samples `(samples,)` whose measurements are computed on first use: the networks take most of the time.

    NaN and Inf count as silence, except in `bad_samples`, which counts them.
    """

    def __init__(self, samples: np.ndarray, rate_hz: int) -> None:
        self.samples, self.rate_hz = samples, rate_hz

    # --- the samples as they are ----------------------------------------------------------------------------------

    @cached_property
    def seconds(self) -> float:
        return len(self.samples) / self.rate_hz

    @cached_property
    def bad_samples(self) -> int:
        return int(np.sum(~np.isfinite(self.samples)))

    @cached_property
    def _finite(self) -> np.ndarray:
        finite = self.samples[np.isfinite(self.samples)]
        return finite if len(finite) else np.zeros(1, np.float32)

    @cached_property
    def offset(self) -> float:
        """The DC offset: the absolute mean of the samples, as a share of full scale."""
        return abs(float(self._finite.mean(dtype=np.float64)))

    @cached_property
    def rms_dbfs(self) -> float:
        """The RMS level without the DC offset, which is inaudible."""
        return clips.dbfs(clips.rms(self._finite - self._finite.mean(dtype=np.float64)))

    @cached_property
    def clipped_share(self) -> float:
        return float(np.mean(np.abs(self._finite) >= FULL_SCALE))

    @cached_property
    def resolution_bits(self) -> float:
        """How finely the samples are told apart: the binary logarithm of the number of different ones."""
        return math.log2(len(np.unique(self._finite)))

    # --- padded, at its own rate ----------------------------------------------------------------------------------

    @cached_property
    def _padded(self) -> np.ndarray:
        clean = np.nan_to_num(self.samples, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
        return np.pad(clean, (0, max(0, math.ceil(SHORTEST_SECONDS * self.rate_hz) - len(clean))))

    @cached_property
    def level_dbfs(self) -> float:
        return clips.dbfs(clips.rms(self._padded - self._padded.mean(dtype=np.float64)))

    @cached_property
    def flat_share(self) -> float:
        return signal.flat_share(self._padded)

    # --- at 16 kHz: silences and edges ----------------------------------------------------------------------------

    @cached_property
    def _at_16k(self) -> np.ndarray:
        return vad_mos.at_network_rate(self._padded, self.rate_hz)

    @cached_property
    def _levels(self) -> np.ndarray:
        return signal.frame_levels(self._at_16k, vad_mos.RATE_HZ)

    @cached_property
    def _silent(self) -> np.ndarray:
        return signal.silent_frames(self._levels)

    @cached_property
    def _silences(self) -> tuple[float, float, float]:
        return signal.silences(self._silent)

    @property
    def leading_seconds(self) -> float:
        return self._silences[0]

    @property
    def trailing_seconds(self) -> float:
        return self._silences[1]

    @property
    def inner_seconds(self) -> float:
        return self._silences[2]

    @property
    def audible_seconds(self) -> float:
        """The time from the first to the last audible frame."""
        return max(0.0, self.seconds - self.leading_seconds - self.trailing_seconds)

    @property
    def start_db(self) -> float:
        return signal.edge_levels(self._levels)[0]

    @property
    def end_db(self) -> float:
        return signal.edge_levels(self._levels)[1]

    @property
    def floor_db(self) -> float:
        return signal.floor_level(self._levels)

    # --- at 16 kHz: bands, pitch, pattern -------------------------------------------------------------------------

    @cached_property
    def _bands(self) -> tuple[float, float]:
        return signal.band_levels(self._at_16k, vad_mos.RATE_HZ)

    @property
    def low_band_db(self) -> float:
        return self._bands[0]

    @property
    def high_band_db(self) -> float:
        return self._bands[1]

    @cached_property
    def _pitch(self) -> tuple[float, float, float]:
        return signal.pitch(self._at_16k, vad_mos.RATE_HZ, self._silent)

    @property
    def pitch_hz(self) -> float:
        return self._pitch[0]

    @property
    def pitch_semitones(self) -> float:
        return self._pitch[1]

    @property
    def voiced_share(self) -> float:
        return self._pitch[2]

    @cached_property
    def repetition(self) -> float:
        return pieces.repetition(self._at_16k, self._silent)

    @cached_property
    def seams_per_second(self) -> float:
        return pieces.seams_per_second(self._at_16k)

    @cached_property
    def gaps_per_second(self) -> float:
        return pieces.gaps_per_second(self._at_16k)

    @cached_property
    def echo_share(self) -> float:
        return pieces.echo_share(self._at_16k)

    @cached_property
    def attack_skew(self) -> float:
        return signal.attack_skew(self._at_16k)

    # --- at 16 kHz: by the networks -------------------------------------------------------------------------------

    @cached_property
    def speech_share(self) -> float:
        """The share of the audible time that silero-vad takes for speech."""
        audible = float(np.sum(~self._silent)) * signal.FRAME_SECONDS
        speech = float(np.sum(vad_mos.speech_probability(self._at_16k) > 0.5)) * vad_mos.VAD_WINDOW / vad_mos.RATE_HZ
        return min(1.0, speech / audible) if audible else 0.0

    @cached_property
    def _opinion(self) -> dict[str, float]:
        return vad_mos.opinion(self._at_16k)

    @property
    def mos_signal(self) -> float:
        return self._opinion["sig"]

    @property
    def mos_background(self) -> float:
        return self._opinion["bak"]

    @property
    def mos_overall(self) -> float:
        return self._opinion["ovrl"]

    @property
    def mos_p808(self) -> float:
        return self._opinion["p808"]

    @cached_property
    def mos_concealment(self) -> float:
        return vad_mos.concealment(self._at_16k)
