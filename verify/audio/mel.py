"""Mel spectra as librosa computes them, without importing it, which would take longer than all the checks."""

from functools import cache

import numpy as np

RATE_HZ = 16000


def mel_power(samples: np.ndarray, window: int, hop: int, bands: int) -> np.ndarray:
    """Return the power `(frames, bands)` of samples at 16 kHz: Hann windows, centred, zeros beyond the ends."""
    padded = np.pad(samples.astype(np.float32), window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    return np.square(np.abs(np.fft.rfft(frames * hann))) @ _filters(window, bands).T


def decibel(power: np.ndarray, reference: float) -> np.ndarray:
    """Return a power in dB against the reference, at most 80 dB below its highest."""
    levels = 10 * np.log10(np.maximum(power, 1e-10)) - 10 * np.log10(max(reference, 1e-10))
    return np.maximum(levels, levels.max() - 80)


def cepstra(samples: np.ndarray) -> np.ndarray:
    """Return 20 mel cepstra `(frames, 20)` for each 10 ms of samples at 16 kHz, of 40 bands."""
    levels = decibel(mel_power(samples, window=512, hop=160, bands=40), 1.0)
    number, band = np.arange(20)[:, None], np.arange(40)[None]
    cosines = np.cos(np.pi * number * (2 * band + 1) / 80) * np.where(number == 0, np.sqrt(1 / 40), np.sqrt(2 / 40))
    return levels @ cosines.T


@cache
def _filters(window: int, bands: int) -> np.ndarray:
    """Return triangles of equal area `(bands, frequencies)` on Slaney's mel scale."""
    edges = _hz(np.linspace(0, _mel(RATE_HZ / 2), bands + 2))
    ramps = edges[:, None] - np.fft.rfftfreq(window, 1 / RATE_HZ)[None]
    widths = np.diff(edges)[:, None]
    triangles = np.maximum(0, np.minimum(-ramps[:-2] / widths[:-1], ramps[2:] / widths[1:]))
    return triangles * (2 / (edges[2:] - edges[:-2]))[:, None]


def _mel(hz: float) -> float:
    return 15 + np.log(hz / 1000) * 27 / np.log(6.4)  # valid above 1 kHz, the only range in which it is called


def _hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))
