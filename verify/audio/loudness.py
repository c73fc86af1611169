"""How loud a clip sounds, by ITU-R BS.1770-4, and the gains that make several equally loud. No torch."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.signal import lfilter

SILENT_LUFS = -70.0  # blocks below this are silence, by the recommendation
_BLOCK_SECONDS, _STEP_SECONDS = 0.4, 0.1
_RELATIVE_GATE_LU = 10.0
_LOUDEST_LUFS = -20.0  # about the level of speech that is broadcast
_PEAK = 0.98  # of full scale


def loudness_lufs(samples: np.ndarray, rate_hz: int) -> float:
    """Return the integrated loudness of mono samples `(samples,)` in LUFS; -inf where there is only silence."""
    heard = samples.astype(np.float64)
    for b, a in _k_weighting(rate_hz):
        heard = lfilter(b, a, heard)
    block, step = int(_BLOCK_SECONDS * rate_hz), int(_STEP_SECONDS * rate_hz)
    starts = range(0, max(1, len(heard) - block + 1), step)
    powers = np.array([np.mean(np.square(heard[at : at + block])) if len(heard) else 0.0 for at in starts])
    loud = powers[powers > _power(SILENT_LUFS)]
    if not len(loud):
        return -math.inf
    return _lufs(float(np.mean(loud[loud > _power(_lufs(float(np.mean(loud))) - _RELATIVE_GATE_LU)])))


def matching_gains(clips: Sequence[tuple[np.ndarray, int]]) -> list[float]:
    """Return a factor for each clip (samples, rate) that makes all equally loud and none clip; silence keeps its level."""
    levels = [loudness_lufs(samples, rate_hz) for samples, rate_hz in clips]
    peaks = [float(np.max(np.abs(samples), initial=0.0)) for samples, _ in clips]
    reachable = [
        level + 20 * math.log10(_PEAK / peak) for level, peak in zip(levels, peaks, strict=True) if math.isfinite(level)
    ]
    target = min([_LOUDEST_LUFS, *reachable])
    return [10 ** ((target - level) / 20) if math.isfinite(level) else 1.0 for level in levels]


def _k_weighting(rate_hz: int) -> tuple[tuple[list[float], list[float]], ...]:
    """Return the two filters of the K weighting, a shelf for the head and a high pass, at any sampling rate."""
    # The analogue prototypes of the recommendation's 48 kHz coefficients: frequency in Hz, Q, and gain of the shelf in dB.
    shelf_hz, shelf_q, gain = 1681.974450955533, 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    pass_hz, pass_q = 38.13547087602444, 0.5003270373238773
    k, middle = math.tan(math.pi * shelf_hz / rate_hz), gain**0.4996667741545416
    a0 = 1 + k / shelf_q + k * k
    shelf = (
        [
            (gain + middle * k / shelf_q + k * k) / a0,
            2 * (k * k - gain) / a0,
            (gain - middle * k / shelf_q + k * k) / a0,
        ],
        [1.0, 2 * (k * k - 1) / a0, (1 - k / shelf_q + k * k) / a0],
    )
    k = math.tan(math.pi * pass_hz / rate_hz)
    a0 = 1 + k / pass_q + k * k
    return shelf, ([1.0, -2.0, 1.0], [1.0, 2 * (k * k - 1) / a0, (1 - k / pass_q + k * k) / a0])


def _lufs(power: float) -> float:
    return -0.691 + 10 * math.log10(power)


def _power(lufs: float) -> float:
    return 10 ** ((lufs + 0.691) / 10)
