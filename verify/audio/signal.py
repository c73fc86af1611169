"""Measure a waveform with signal processing: silences, edges, pitch, bands and loudness."""

from collections.abc import Sequence

import numpy as np

from verify.audio.mel import RATE_HZ

FRAME_SECONDS = 0.01
SILENT_BELOW_PEAK_DB = 35.0  # a pause in speech lies this far below its loud frames
SILENCE_DBFS = -65.0  # anything below this is inaudible
PITCH_RANGE_HZ = (55.0, 600.0)
HUM_HZ = 70.0


def frame_levels(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the RMS level `(frames,)` in dBFS of each 10 ms, without the DC offset."""
    size = max(1, round(rate_hz * FRAME_SECONDS))
    whole = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    power = np.mean(np.square(whole - whole.mean()), axis=1) if len(whole) else np.zeros(1)
    return 10 * np.log10(np.maximum(power, 1e-12))


def loud_level(levels: np.ndarray) -> float:
    """Return the 95th percentile of the levels, in dBFS: the voice's loud vowels."""
    return float(np.percentile(levels, 95))


def floor_level(levels: np.ndarray) -> float:
    """Return the level of the quietest twentieth of the frames in dB against the loud ones: what is there in the pauses too."""
    return float(np.percentile(levels, 5)) - loud_level(levels)


def silent_frames(levels: np.ndarray) -> np.ndarray:
    """Return which frames `(frames,)` are silent: far below the loud ones, or inaudible."""
    return levels < max(loud_level(levels) - SILENT_BELOW_PEAK_DB, SILENCE_DBFS)


def silences(silent: np.ndarray) -> tuple[float, float, float]:
    """Return the leading, trailing and longest inner silence in seconds."""
    audible = np.flatnonzero(~silent)
    if not len(audible):
        whole = len(silent) * FRAME_SECONDS
        return whole, whole, whole
    inner = int(np.diff(audible, prepend=audible[0] - 1).max()) - 1
    leading, trailing = int(audible[0]), len(silent) - 1 - int(audible[-1])
    return leading * FRAME_SECONDS, trailing * FRAME_SECONDS, inner * FRAME_SECONDS


def edge_levels(levels: np.ndarray) -> tuple[float, float]:
    """Return the level of the first and last 20 ms in dB against the loud frames; near 0 means that a sound was cut off."""
    loud = loud_level(levels)
    return float(levels[:2].mean()) - loud, float(levels[-2:].mean()) - loud


def flat_share(samples: np.ndarray) -> float:
    """Return the share of samples within 1 % of the highest: clipped peaks stay flat when the volume is lowered."""
    peak = float(np.abs(samples).max(initial=0.0))
    return float(np.mean(np.abs(samples) >= 0.99 * peak)) if peak > 0 else 0.0


def pitch(samples: np.ndarray, rate_hz: int, silent: np.ndarray) -> tuple[float, float, float]:
    """Return the median pitch in Hz, its range in semitones (10th to 90th percentile), and the voiced share of the audible frames.

    Uses the autocorrelation of 40 ms windows, divided by that of the window function (Boersma 1993): pyin is more
    reliable, but takes a hundred times as long. What lies below all voices, such as the hum of mains, is left out.
    """
    samples = _above(samples, HUM_HZ, rate_hz)
    size, hop = round(0.04 * rate_hz), round(FRAME_SECONDS * rate_hz)
    shortest, longest = int(rate_hz / PITCH_RANGE_HZ[1]), int(rate_hz / PITCH_RANGE_HZ[0])
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(samples, size // 2), size)[::hop][: len(silent)]
    taper = np.hanning(size)
    windows = (windows - windows.mean(axis=1, keepdims=True)) * taper
    lags = (_autocorrelation(windows) / np.maximum(_autocorrelation(taper[None]), 1e-3))[:, shortest : longest + 1]
    strongest = lags.max(axis=1)
    voiced = (strongest > 0.6) & ~silent[: len(lags)]
    if voiced.sum() < 5:
        return 0.0, 0.0, 0.0
    share = float(voiced.sum() / max(1, np.sum(~silent)))
    lags, strongest = lags[voiced], strongest[voiced]
    # Take the first lag near the strongest: its multiples are as strong, but would give an octave too low.
    lag = np.argmax(lags >= 0.93 * strongest[:, None], axis=1) + shortest
    low, middle, high = np.percentile(rate_hz / lag, (10, 50, 90))
    return float(middle), float(12 * np.log2(high / low)), share


def _above(samples: np.ndarray, hz: float, rate_hz: int) -> np.ndarray:
    """Return samples without what lies below a frequency."""
    spectrum = np.fft.rfft(samples)
    spectrum[np.fft.rfftfreq(len(samples), 1 / rate_hz) < hz] = 0
    return np.fft.irfft(spectrum, len(samples))


def _autocorrelation(windows: np.ndarray) -> np.ndarray:
    """Return the autocorrelation `(windows, lags)` of rows of samples, 1 at lag 0."""
    correlation = np.fft.irfft(np.abs(np.fft.rfft(windows, 2 * windows.shape[1])) ** 2)[:, : windows.shape[1]]
    return correlation / np.maximum(correlation[:, :1], 1e-12)


def band_levels(samples: np.ndarray, rate_hz: int) -> tuple[float, float]:
    """Return the level below 1 kHz and above 1.5 kHz in dB relative to the whole: a thin sound lacks the first, a muffled one the second."""
    power = np.square(np.abs(np.fft.rfft(samples - samples.mean(dtype=np.float64))))
    hz, whole = np.fft.rfftfreq(len(samples), 1 / rate_hz), float(power.sum()) + 1e-12
    shares = (float(power[part].sum()) / whole for part in (hz < 1000, hz > 1500))
    low, high = (10 * np.log10(max(share, 1e-9)) for share in shares)
    return float(low), float(high)


def attack_skew(samples: np.ndarray) -> float:
    """Return the skewness of the level changes from millisecond to millisecond, of samples at 16 kHz.

    The glottis closes abruptly and the sound decays slowly, so speech gives a positive figure; played backwards, it
    gives the same figure with a negative sign.
    """
    steps = np.diff(samples.astype(np.float64))  # the decay is in the high frequencies
    size = RATE_HZ // 1000
    level = np.sqrt(np.mean(np.square(steps[: len(steps) // size * size].reshape(-1, size)), axis=1))
    moves = np.diff(np.log10(np.maximum(level, 1e-3 * level.max(initial=0.0) + 1e-9)))
    spread = np.mean(np.square(moves)) if len(moves) else 0.0
    return float(np.mean(moves**3) / spread**1.5) if spread > 1e-9 else 0.0


VOICE_DBFS = -20.0  # about the level of broadcast speech
HIGHEST_PEAK = 0.98  # of full scale


def voice_level(samples: np.ndarray, rate_hz: int) -> float:
    """Return the RMS level in dBFS of a clip without its silences; -inf where there is only silence."""
    levels = frame_levels(samples, rate_hz)
    audible = levels[~silent_frames(levels)]
    return float(10 * np.log10(np.mean(10 ** (audible / 10)))) if len(audible) else -np.inf


def matching_gains(clips: Sequence[tuple[np.ndarray, int]]) -> list[float]:
    """Return a gain for each clip (samples, rate) that makes all equally loud without clipping; silence keeps its level."""
    levels = np.array([voice_level(samples, rate_hz) for samples, rate_hz in clips])
    peaks = np.array([np.max(np.abs(samples), initial=1e-9) for samples, _ in clips])
    audible = np.isfinite(levels)
    reachable = (levels + 20 * np.log10(HIGHEST_PEAK / peaks))[audible]
    target = min([VOICE_DBFS, *reachable.tolist()])
    return np.where(audible, 10 ** ((target - np.where(audible, levels, 0.0)) / 20), 1.0).tolist()
