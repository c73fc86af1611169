"""Find speech that is in pieces, in samples at 16 kHz: badly joined, with gaps, or said again."""

import numpy as np

from verify.audio.mel import RATE_HZ, cepstra

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


SHORTEST_GAP_MS, LONGEST_GAP_MS = 8, 400
SILENT_GAP_DB, LOUD_EDGE_DB = -60.0, -30.0  # against the loud milliseconds


def gaps_per_second(samples: np.ndarray) -> float:
    """Return how often a second the sound is gone at once, and at once there again: no mouth can do that."""
    size = RATE_HZ // 1000
    whole = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    if not len(whole):
        return 0.0
    levels = 10 * np.log10(np.maximum(np.mean(np.square(whole), axis=1), 1e-14))
    levels -= np.percentile(levels, 95)
    edges = np.flatnonzero(np.diff(levels < SILENT_GAP_DB, prepend=False, append=False)).reshape(-1, 2)
    found = [
        levels[max(0, start - 2) : start].max(initial=-np.inf) > LOUD_EDGE_DB
        and levels[end : end + 2].max(initial=-np.inf) > LOUD_EDGE_DB
        for start, end in edges
        if SHORTEST_GAP_MS <= end - start <= LONGEST_GAP_MS
    ]
    return float(1000 * sum(found) / len(levels))


ECHO_SAMPLES, ECHO_HOP = 400, 400  # 25 ms
NEAREST_ECHO, FARTHEST_ECHO = 480, 4800  # samples: 30 and 300 ms
EXACT = 0.999  # a correlation that two periods of a voice do not reach


def echo_share(samples: np.ndarray) -> float:
    """Return the share of the loud 25 ms that come again, sample for sample, within 300 ms: a stutter, and no mouth's."""
    sound = samples.astype(np.float64)
    sound -= sound.mean() if len(sound) else 0.0
    total = np.cumsum(np.square(sound), dtype=np.float64)
    power = total[ECHO_SAMPLES:] - total[:-ECHO_SAMPLES]
    last = len(power) - FARTHEST_ECHO
    if last <= 0:
        return 0.0
    loud = 0.01 * np.percentile(power, 95)
    starts = [start for start in range(0, last, ECHO_HOP) if power[start] > loud]
    return sum(_comes_again(sound, power, start) for start in starts) / max(1, len(starts))


def _comes_again(sound: np.ndarray, power: np.ndarray, start: int) -> bool:
    size = 2 ** (FARTHEST_ECHO + ECHO_SAMPLES).bit_length()
    ahead = sound[start + NEAREST_ECHO : start + FARTHEST_ECHO + ECHO_SAMPLES]
    spectrum = np.fft.rfft(ahead, size) * np.conj(np.fft.rfft(sound[start : start + ECHO_SAMPLES], size))
    alike = np.fft.irfft(spectrum, size)[: FARTHEST_ECHO - NEAREST_ECHO]
    there = power[start + NEAREST_ECHO : start + FARTHEST_ECHO]
    return bool((alike > EXACT * np.sqrt(power[start] * there) + 1e-9).any())
