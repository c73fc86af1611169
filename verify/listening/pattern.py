"""Measure how a sound goes on in time: whether it repeats itself, breaks off, or runs backwards."""

import numpy as np

from verify.listening.mel import RATE_HZ, cepstra

FRAME_SAMPLES = 160  # 10 ms
REPEAT_FRAMES = 80  # 0.8 s must be alike to count as said again
SHORTEST_LAG_FRAMES = 25
SEAM_REACH = 20  # ms on either side: two pulses of the lowest voices


def repetition(samples: np.ndarray, silent: np.ndarray) -> float:
    """Return how alike the two most alike 0.8 s of samples at 16 kHz are: 1 is the same again, below 0.5 is usual.

    The mean cosine of mel cepstra (without the level), frame by frame at one distance in time; silences do not count.
    """
    frames = cepstra(samples)[: len(silent), 1:]
    heard = ~silent[: len(frames)]
    if heard.sum() < REPEAT_FRAMES:
        return 0.0
    frames = (frames - frames[heard].mean(axis=0)) / (frames[heard].std(axis=0) + 1e-6)
    frames /= np.linalg.norm(frames, axis=1, keepdims=True) + 1e-9
    lags = range(SHORTEST_LAG_FRAMES, len(frames) - REPEAT_FRAMES + 1)
    return max((_most_alike(frames, heard, lag) for lag in lags), default=0.0)


def _most_alike(frames: np.ndarray, heard: np.ndarray, lag: int) -> float:
    both = heard[:-lag] & heard[lag:]
    alike = np.sum(frames[:-lag] * frames[lag:], axis=1) * both
    window = np.ones(REPEAT_FRAMES)
    counted = np.convolve(both, window, "valid")
    enough = counted >= 0.7 * REPEAT_FRAMES
    return float((np.convolve(alike, window, "valid")[enough] / counted[enough]).max(initial=0.0))


def seams_per_second(samples: np.ndarray) -> float:
    """Return how often samples at 16 kHz break off, a second: clicks, gaps, pieces put together that do not fit.

    Speech can be predicted from its last milliseconds by a linear filter, renewed each 10 ms; what remains are the
    pulses of the glottis, which are alike. A seam is a millisecond whose remainder is five times the third largest
    within 20 ms on either side.
    """
    remainder = np.abs(_prediction_error(samples))
    size = RATE_HZ // 1000
    peaks = remainder[: len(remainder) // size * size].reshape(-1, size).max(axis=1, initial=0.0)
    if len(peaks) <= 2 * SEAM_REACH:
        return 0.0
    around = np.lib.stride_tricks.sliding_window_view(np.pad(peaks, SEAM_REACH, mode="edge"), 2 * SEAM_REACH + 1)
    others = np.delete(around, (SEAM_REACH - 1, SEAM_REACH, SEAM_REACH + 1), axis=1)
    third = np.partition(others, -3, axis=1)[:, -3]
    return float(np.sum(peaks > 5.0 * (third + 1e-4)) / (len(samples) / RATE_HZ))


def _prediction_error(samples: np.ndarray) -> np.ndarray:
    """Return what a linear predictor of order 20 (autocorrelation method, 30 ms windows) leaves `(samples,)`."""
    from scipy.linalg import solve_toeplitz

    order, hop = 20, FRAME_SAMPLES
    flat = np.append(samples[:1], samples[1:] - 0.9 * samples[:-1]).astype(np.float64)  # lift the high frequencies
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
    """Return the skewness of how the level of samples at 16 kHz moves from millisecond to millisecond.

    The glottis closes at once and the mouth rings out slowly, so speech gives a positive figure; played backwards, it
    gives the same one negative.
    """
    steps = np.diff(samples.astype(np.float64))  # the ringing is in the high frequencies
    size = RATE_HZ // 1000
    level = np.sqrt(np.mean(np.square(steps[: len(steps) // size * size].reshape(-1, size)), axis=1))
    moves = np.diff(np.log10(np.maximum(level, 1e-3 * level.max(initial=0.0) + 1e-9)))
    spread = np.mean(np.square(moves)) if len(moves) else 0.0
    return float(np.mean(moves**3) / spread**1.5) if spread > 1e-9 else 0.0
