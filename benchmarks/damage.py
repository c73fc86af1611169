"""Damage speech in many ways: each damage turns a clip at 16 kHz into a worse one, reproducibly.

A strength is `reject` where we think that a listener would reject the clip, `bear` where the damage is audible but
acceptable (mild noise, telephone bandwidth): the latter do not count in the detection rate and are shown beside it.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RATE_HZ = 16000
REJECT, BEAR = "reject", "bear"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """A clip `(samples,)` at 16 kHz, other clips for babble, and the random generator."""

    samples: np.ndarray
    others: tuple[np.ndarray, ...]
    draw: np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One kind of damage at one strength; `apply` returns samples `(samples,)` at 16 kHz, or None where a clip is too short."""

    kind: str
    strength: str
    verdict: str
    apply: Callable[[Material], np.ndarray | None]


def _rms(samples):
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) + 1e-9


def _mix(samples, noise, snr_db):
    """Add noise at a signal to noise ratio in dB over the whole clip, and keep the sum within full scale."""
    mixed = samples + noise * (_rms(samples) / _rms(noise) * 10 ** (-snr_db / 20))
    return mixed / max(1.0, float(np.abs(mixed).max()) / 0.99)


def _pink(size, draw):
    spectrum = np.fft.rfft(draw.standard_normal(size))
    return np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1.0), size)


def _sawtooth(size, hz=100.0):
    return 2 * ((np.arange(size) * hz / RATE_HZ) % 1.0) - 1


def _tone(size, hz=1000.0):
    return np.sin(2 * np.pi * hz * np.arange(size) / RATE_HZ)


def _babble(material):
    size = len(material.samples)
    return np.sum([np.resize(other, size) / _rms(other) for other in material.others], axis=0)


def _noisy(material, make, snr_db):
    return _mix(material.samples, make(material), snr_db)


def _instead(material, make, level_db=-20.0):
    noise = make(material)
    return noise / _rms(noise) * 10 ** (level_db / 20)


def _pieces(material, seconds):
    size = int(seconds * RATE_HZ)
    return [material.samples[i : i + size] for i in range(0, len(material.samples), size)]


def _shuffled(material, seconds):
    pieces = _pieces(material, seconds)
    if len(pieces) < 4:
        return None
    return np.concatenate([pieces[i] for i in material.draw.permutation(len(pieces))])


def _each_reversed(material, seconds):
    return np.concatenate([piece[::-1] for piece in _pieces(material, seconds)])


def _stutter(material, seconds):
    return np.concatenate([part for piece in _pieces(material, seconds) for part in (piece, piece)])


def _overdriven(material, share, headroom):
    """Amplify the clip until this share of its samples is clipped, then scale it by the headroom."""
    gain = 1.0 / max(float(np.quantile(np.abs(material.samples), 1 - share)), 1e-6)
    return np.clip(material.samples * gain, -1, 1) * headroom


def _stretched(material, factor):
    import librosa

    return librosa.effects.time_stretch(material.samples, rate=1 / factor)


def _resampled(material, factor):
    """Play it faster or slower, which also changes the pitch."""
    import soxr

    return soxr.resample(material.samples, RATE_HZ * factor, RATE_HZ)


def _pitched(material, semitones):
    import librosa

    return librosa.effects.pitch_shift(material.samples, sr=RATE_HZ, n_steps=semitones)


def _loud_part(material, seconds):
    """Return where the loudest part of that length starts, and its size in samples; None where the clip is shorter."""
    size = int(seconds * RATE_HZ)
    if len(material.samples) <= size:
        return None
    energy = np.cumsum(np.square(material.samples, dtype=np.float64))
    return int(np.argmax(energy[size:] - energy[:-size])), size


def _looped(material, seconds, times):
    loudest = _loud_part(material, seconds)
    if loudest is None:
        return None
    start, size = loudest
    part = material.samples[start : start + size]
    return np.concatenate([material.samples[:start], np.tile(part, times), material.samples[start + size :]])


def _audible_range(samples):
    """Return the first and last sample that is within 30 dB of the loudest."""
    audible = np.flatnonzero(np.abs(samples) > np.abs(samples).max() / 32)
    return int(audible[0]), int(audible[-1])


def _cut(material, share, at_end):
    """Cut off a share of the audible part, in the middle of a loud sound."""
    first, last = _audible_range(material.samples)
    samples = material.samples
    window = RATE_HZ // 20
    energy = np.convolve(np.square(samples), np.ones(window) / window, "same")[: len(samples)]
    target = int(first + (last - first) * (1 - share if at_end else share))
    span = slice(max(0, target - RATE_HZ // 4), target + RATE_HZ // 4)
    cut = span.start + int(np.argmax(energy[span]))
    return samples[:cut] if at_end else samples[cut:]


def _silence_inside(material, seconds):
    middle = len(material.samples) // 2
    gap = np.zeros(int(seconds * RATE_HZ))
    return np.concatenate([material.samples[:middle], gap, material.samples[middle:]])


def _padded(material, before, after):
    return np.pad(material.samples, (int(before * RATE_HZ), int(after * RATE_HZ)))


def _dropouts(material, share, seconds):
    size = int(seconds * RATE_HZ)
    damaged = material.samples.copy()
    for start in range(0, len(damaged), size):
        if material.draw.random() < share:
            damaged[start : start + size] = 0
    return damaged


def _filtered(material, low_hz, high_hz):
    from scipy.signal import butter, sosfiltfilt

    edges, kind = (
        ((low_hz, high_hz), "band") if low_hz and high_hz else (low_hz or high_hz, "high" if low_hz else "low")
    )
    return sosfiltfilt(butter(6, edges, kind, fs=RATE_HZ, output="sos"), material.samples)


def _clicks(material, per_second):
    damaged = material.samples.copy()
    for place in material.draw.integers(0, len(damaged), int(len(damaged) / RATE_HZ * per_second)):
        damaged[place : place + 3] = 0.7 * material.draw.choice([-1, 1])
    return damaged


def _reverberant(material, seconds):
    """Convolve with noise that falls by 60 dB in the time given."""
    size = int(seconds * RATE_HZ)
    impulse = material.draw.standard_normal(size) * 10 ** (-3 * np.arange(size) / size)
    impulse[0] = 3 * _rms(impulse) * np.sqrt(size) * 0.1
    wet = np.convolve(material.samples, impulse)
    return wet / _rms(wet) * _rms(material.samples)


def _coarse(material, bits):
    step = float(np.abs(material.samples).max()) / 2 ** (bits - 1)
    return np.round(material.samples / step) * step


def _ring(material, hz):
    return material.samples * _tone(len(material.samples), hz)


def _flipped_spectrum(material):
    """Mirror the spectrum: 0 Hz becomes 8 kHz."""
    return material.samples * np.where(np.arange(len(material.samples)) % 2, -1.0, 1.0)


def _random_phase(material, window):
    from scipy.signal import istft, stft

    _, _, spectrum = stft(material.samples, RATE_HZ, nperseg=window)
    phase = np.exp(2j * np.pi * material.draw.random(spectrum.shape))
    return istft(np.abs(spectrum) * phase, RATE_HZ, nperseg=window)[1]


def _frozen(material, seconds):
    """Sustain 30 ms of a vowel for the whole clip, as a decoder does that repeats one token."""
    start, _ = _loud_part(material, 0.03)
    piece = material.samples[start : start + int(0.03 * RATE_HZ)] * np.hanning(int(0.03 * RATE_HZ))
    vowel = np.zeros(int(seconds * RATE_HZ))
    for place in range(0, len(vowel) - len(piece), len(piece) // 2):
        vowel[place : place + len(piece)] += piece
    return vowel


def _rows():
    """Yield kind, strength, verdict and the function of each damage."""
    part = functools.partial
    white = lambda m: m.draw.standard_normal(len(m.samples))  # noqa: E731
    pink = lambda m: _pink(len(m.samples), m.draw)  # noqa: E731
    buzz = lambda m: _sawtooth(len(m.samples))  # noqa: E731
    tone = lambda m: _tone(len(m.samples))  # noqa: E731
    # fmt: off
    for kind, make in (("white noise", white), ("pink noise", pink), ("babble", _babble)):
        for snr_db, verdict in ((25, BEAR), (15, BEAR), (5, REJECT), (0, REJECT), (-5, REJECT)):
            yield kind, f"{snr_db} dB SNR", verdict, part(_noisy, make=make, snr_db=snr_db)
    for kind, make in (("buzz of 100 Hz", buzz), ("tone of 1 kHz", tone)):
        for snr_db, verdict in ((30, BEAR), (10, REJECT), (0, REJECT)):
            yield kind, f"{snr_db} dB SNR", verdict, part(_noisy, make=make, snr_db=snr_db)
    for name, make in (("white noise", white), ("buzz", buzz), ("tone", tone), ("babble", _babble)):
        if name != "babble":
            yield "no speech at all", name, REJECT, part(_instead, make=make)
    yield "no speech at all", "silence", REJECT, lambda m: np.zeros(len(m.samples))
    yield "no speech at all", "a vowel held for 3 s", REJECT, part(_frozen, seconds=3)
    yield "reversed", "whole", REJECT, lambda m: m.samples[::-1].copy()
    yield "reversed", "each 200 ms", REJECT, part(_each_reversed, seconds=0.2)
    for ms in (20, 50, 100, 200, 400):
        yield "shuffled", f"{ms} ms pieces", REJECT, part(_shuffled, seconds=ms / 1000)
    for ms in (50, 100):
        yield "stutter", f"each {ms} ms twice", REJECT, part(_stutter, seconds=ms / 1000)
    for share, verdict in ((0.0005, BEAR), (0.02, REJECT), (0.1, REJECT), (0.3, REJECT)):
        yield "clipped", f"{share:.2%}", verdict, part(_overdriven, share=share, headroom=1.0)
    for share in (0.1, 0.3):
        yield "clipped, then turned down", f"{share:.0%}", REJECT, part(_overdriven, share=share, headroom=0.5)
    for db, verdict in ((-15, BEAR), (-45, REJECT), (-60, REJECT)):
        yield "quiet", f"{db} dB", verdict, lambda m, db=db: m.samples * 10 ** (db / 20)
    for factor, verdict in ((0.8, BEAR), (1.25, BEAR), (0.4, REJECT), (2.5, REJECT), (4, REJECT)):
        yield "stretched", f"x {factor}", verdict, part(_stretched, factor=factor)
    for factor, verdict in ((0.87, BEAR), (1.15, BEAR), (0.5, REJECT), (2.0, REJECT)):
        yield "played at another speed", f"x {factor}", verdict, part(_resampled, factor=factor)
    for steps, verdict in ((-2, BEAR), (2, BEAR), (-12, REJECT), (12, REJECT)):
        yield "pitch shifted", f"{steps:+d} semitones", verdict, part(_pitched, semitones=steps)
    for seconds, times in ((1.0, 2), (1.0, 4), (0.5, 3), (0.5, 6), (0.25, 8)):
        yield "looped", f"{seconds:g} s, {times} times", REJECT, part(_looped, seconds=seconds, times=times)
    for share in (0.2, 0.5):
        for end in (True, False):
            yield "cut off in a sound", f"{share:.0%} at the {'end' if end else 'start'}", REJECT, part(_cut, share=share, at_end=end)
    for seconds, verdict in ((0.3, BEAR), (1.5, REJECT), (4, REJECT)):
        yield "silence inside", f"{seconds:g} s", verdict, part(_silence_inside, seconds=seconds)
    for before, after in ((0.5, 0.0), (3, 0), (0, 1), (0, 4)):
        name = f"{before:g} s before" if before else f"{after:g} s after"
        yield "silence around", name, BEAR if before + after <= 1 else REJECT, part(_padded, before=before, after=after)
    for value, verdict in ((0.01, BEAR), (0.1, REJECT), (0.3, REJECT)):
        yield "DC offset", f"{value:g} of full scale", verdict, lambda m, value=value: np.clip(m.samples + value, -1, 1)
    for share in (0.1, 0.25, 0.5):
        yield "dropouts of 30 ms", f"{share:.0%}", REJECT, part(_dropouts, share=share, seconds=0.03)
    for low, high, name, verdict in ((300, 3400, "300 to 3400 Hz", BEAR), (0, 1000, "below 1 kHz", REJECT), (0, 500, "below 500 Hz", REJECT), (3000, 0, "above 3 kHz", REJECT)):
        yield "band-limited", name, verdict, part(_filtered, low_hz=low, high_hz=high)
    for rate in (3, 30):
        yield "clicks", f"{rate} a second", REJECT, part(_clicks, per_second=rate)
    for seconds, verdict in ((0.2, BEAR), (1.5, REJECT), (4, REJECT)):
        yield "reverberation", f"{seconds:g} s", verdict, part(_reverberant, seconds=seconds)
    for bits, verdict in ((8, BEAR), (4, REJECT), (2, REJECT)):
        yield "coarse steps", f"{bits} bits", verdict, part(_coarse, bits=bits)
    for hz in (60, 400):
        yield "ring modulation", f"{hz} Hz", REJECT, part(_ring, hz=hz)
    yield "spectrum upside down", "whole", REJECT, _flipped_spectrum
    for window in (256, 2048):
        yield "random phase", f"{window * 1000 // RATE_HZ} ms windows", REJECT, part(_random_phase, window=window)
    # fmt: on


def damages() -> tuple[Damage, ...]:
    """Return every damage that is made from clean speech."""
    return tuple(Damage(kind=kind, strength=strength, verdict=v, apply=f) for kind, strength, v, f in _rows())
