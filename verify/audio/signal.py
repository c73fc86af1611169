"""Measure a waveform with signal processing: silences, edges, pitch, repetition, clicks and loudness."""

from collections.abc import Sequence

import numpy as np

from verify.audio.mel import RATE_HZ, cepstra

FRAME_SECONDS = 0.01
SILENT_BELOW_PEAK_DB = 35.0  # a pause in speech lies this far below its loud frames
SILENCE_DBFS = -65.0  # anything below this is inaudible
PITCH_RANGE_HZ = (55.0, 600.0)


def frame_levels(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the RMS level `(frames,)` in dBFS of each 10 ms, without the DC offset."""
    size = max(1, round(rate_hz * FRAME_SECONDS))
    whole = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    power = np.mean(np.square(whole - whole.mean()), axis=1) if len(whole) else np.zeros(1)
    return 10 * np.log10(np.maximum(power, 1e-12))


def loud_level(levels: np.ndarray) -> float:
    """Return the 95th percentile of the levels, in dBFS: the voice's loud vowels."""
    return float(np.percentile(levels, 95))


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
    reliable, but takes a hundred times as long.
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
    # Take the first lag near the strongest: its multiples are as strong, but would give an octave too low.
    lag = np.argmax(lags >= 0.93 * strongest[:, None], axis=1) + shortest
    low, middle, high = np.percentile(rate_hz / lag, (10, 50, 90))
    return float(middle), float(12 * np.log2(high / low)), share


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


FRAME_SAMPLES = 160  # 10 ms
REPEAT_FRAMES = 80  # so much must be alike to count as a repetition: 0.8 s
SHORTEST_LAG_FRAMES = 25
SEAM_REACH = 20  # ms on either side: two pulses of the lowest voices


def repetition(samples: np.ndarray, silent: np.ndarray) -> float:
    """Return the similarity of the two most similar 0.8 s of samples at 16 kHz: 1 is an exact repetition, below 0.5 is usual.

    It is the mean cosine of mel cepstra (without the level) over frames at a fixed distance in time; silences do not count.
    """
    frames = cepstra(samples)[: len(silent), 1:]
    audible = ~silent[: len(frames)]
    if audible.sum() < REPEAT_FRAMES:
        return 0.0
    frames = (frames - frames[audible].mean(axis=0)) / (frames[audible].std(axis=0) + 1e-6)
    frames /= np.linalg.norm(frames, axis=1, keepdims=True) + 1e-9
    lags = range(SHORTEST_LAG_FRAMES, len(frames) - REPEAT_FRAMES + 1)
    return max((_most_alike(frames, audible, lag) for lag in lags), default=0.0)


def _most_alike(frames: np.ndarray, audible: np.ndarray, lag: int) -> float:
    both = audible[:-lag] & audible[lag:]
    alike = np.sum(frames[:-lag] * frames[lag:], axis=1) * both
    window = np.ones(REPEAT_FRAMES)
    counted = np.convolve(both, window, "valid")
    enough = counted >= 0.7 * REPEAT_FRAMES
    return float((np.convolve(alike, window, "valid")[enough] / counted[enough]).max(initial=0.0))


def seams_per_second(samples: np.ndarray) -> float:
    """Return the discontinuities per second in samples at 16 kHz: clicks, gaps, badly joined pieces."""
    return float(np.sum(seams(samples)) / (len(samples) / RATE_HZ)) if len(samples) else 0.0


def seams(samples: np.ndarray) -> np.ndarray:
    """Return which milliseconds `(ms,)` of samples at 16 kHz hold a discontinuity.

    A linear filter, refitted each 10 ms, predicts speech from its last milliseconds; the prediction error is the pulses
    of the glottis, which are alike. A seam is a millisecond whose error is five times the third largest within 20 ms on
    either side.
    """
    error = np.abs(_prediction_error(samples))
    size = RATE_HZ // 1000
    peaks = error[: len(error) // size * size].reshape(-1, size).max(axis=1, initial=0.0)
    if len(peaks) <= 2 * SEAM_REACH:
        return np.zeros(len(peaks), bool)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(peaks, SEAM_REACH, mode="edge"), 2 * SEAM_REACH + 1)
    neighbours = np.delete(around, (SEAM_REACH - 1, SEAM_REACH, SEAM_REACH + 1), axis=1)
    third = np.partition(neighbours, -3, axis=1)[:, -3]
    found: np.ndarray = peaks > 5.0 * (third + 1e-4)
    return found


def _prediction_error(samples: np.ndarray) -> np.ndarray:
    """Return the error `(samples,)` of a linear predictor of order 20 (autocorrelation method, 30 ms windows)."""
    from scipy.linalg import solve_toeplitz

    order, hop = 20, FRAME_SAMPLES
    flat = np.append(samples[:1], samples[1:] - 0.9 * samples[:-1]).astype(np.float64)  # pre-emphasis
    error, taper = np.zeros(len(flat)), np.hanning(3 * hop)
    for start in range(0, len(flat) - 3 * hop, hop):
        middle = start + hop
        power = np.square(np.abs(np.fft.rfft(flat[start : start + 3 * hop] * taper, 1024)))
        lags = np.fft.irfft(power)[: order + 1]
        lags[0] = lags[0] * 1.0001 + 1e-9  # keeps the equations solvable in silence
        predictor = solve_toeplitz(lags[:order], lags[1:])
        before = np.lib.stride_tricks.sliding_window_view(flat[middle - order : middle + hop - 1], order)
        error[middle : middle + hop] = flat[middle : middle + hop] - before @ predictor[::-1]
    return error


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
