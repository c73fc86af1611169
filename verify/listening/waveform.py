"""Measure a waveform as sound: where it is silent, how it begins and ends, and at what pitch it swings."""

import numpy as np

FRAME_SECONDS = 0.01
SILENT_BELOW_PEAK_DB = 35.0  # a pause in speech lies this far below its loud frames
SILENCE_DBFS = -65.0  # and nothing below this is heard at all
PITCH_RANGE_HZ = (55.0, 600.0)


def frame_levels(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the RMS level `(frames,)` in dBFS of each 10 ms, without the offset."""
    size = max(1, round(rate_hz * FRAME_SECONDS))
    whole = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    power = np.mean(np.square(whole - whole.mean()), axis=1) if len(whole) else np.zeros(1)
    return 10 * np.log10(np.maximum(power, 1e-12))


def loud_level(levels: np.ndarray) -> float:
    """Return the level in dBFS that a twentieth of the frames exceeds: the voice's loud vowels."""
    return float(np.percentile(levels, 95))


def silent_frames(levels: np.ndarray) -> np.ndarray:
    """Return which frames are silent `(frames,)`: far below the loud ones, or next to nothing."""
    return levels < max(loud_level(levels) - SILENT_BELOW_PEAK_DB, SILENCE_DBFS)


def silences(silent: np.ndarray) -> tuple[float, float, float]:
    """Return the leading, trailing and longest inner silence in seconds."""
    heard = np.flatnonzero(~silent)
    if not len(heard):
        whole = len(silent) * FRAME_SECONDS
        return whole, whole, whole
    inner = int(np.diff(heard, prepend=heard[0] - 1).max()) - 1
    lead, trail = int(heard[0]), len(silent) - 1 - int(heard[-1])
    return lead * FRAME_SECONDS, trail * FRAME_SECONDS, inner * FRAME_SECONDS


def edge_levels(levels: np.ndarray) -> tuple[float, float]:
    """Return the level of the first and last 20 ms in dB against the loud frames; near 0 means cut off in a sound."""
    loud = loud_level(levels)
    return float(levels[:2].mean()) - loud, float(levels[-2:].mean()) - loud


def flat_share(samples: np.ndarray) -> float:
    """Return the share of samples within 1 % of the highest: clipped tops stay flat when they are turned down."""
    peak = float(np.abs(samples).max(initial=0.0))
    return float(np.mean(np.abs(samples) >= 0.99 * peak)) if peak > 0 else 0.0


def pitch(samples: np.ndarray, rate_hz: int, silent: np.ndarray) -> tuple[float, float, float]:
    """Return the median pitch in Hz, its range in semitones (10th to 90th percentile), and the voiced share of what is heard.

    By autocorrelation of 40 ms windows, divided by that of the window itself (Boersma 1993): pyin is surer, and takes
    a hundred times as long.
    """
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
    # The first lag near the strongest: its multiples are as strong, and would give an octave too low.
    lag = np.argmax(lags >= 0.93 * strongest[:, None], axis=1) + shortest
    low, middle, high = np.percentile(rate_hz / lag, (10, 50, 90))
    return float(middle), float(12 * np.log2(high / low)), share


def _autocorrelation(windows: np.ndarray) -> np.ndarray:
    """Return the autocorrelation `(windows, lags)` of rows of samples, 1 at lag 0."""
    found = np.fft.irfft(np.abs(np.fft.rfft(windows, 2 * windows.shape[1])) ** 2)[:, : windows.shape[1]]
    return found / np.maximum(found[:, :1], 1e-12)


def band_levels(samples: np.ndarray, rate_hz: int) -> tuple[float, float]:
    """Return the level below 1 kHz and above 1.5 kHz in dB against the whole: what a muffled or a thin sound lacks."""
    power = np.square(np.abs(np.fft.rfft(samples - samples.mean(dtype=np.float64))))
    hz, whole = np.fft.rfftfreq(len(samples), 1 / rate_hz), float(power.sum()) + 1e-12
    shares = (float(power[part].sum()) / whole for part in (hz < 1000, hz > 1500))
    low, high = (10 * np.log10(max(share, 1e-9)) for share in shares)
    return float(low), float(high)
