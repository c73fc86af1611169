"""Rate how speech-like a clip is with small networks whose packages contain their weights: silero-vad, DNSMOS, PLCMOS.

All take 16 kHz and run in onnxruntime, without torch and without a download.
"""

import math
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from verify.audio import mel
from verify.errors import EnvironmentFault

RATE_HZ = mel.RATE_HZ
VAD_WINDOW = 512  # samples: silero-vad takes 32 ms at 16 kHz, preceded by 64 samples of context
VAD_CONTEXT = 64
MOS_SAMPLES = 144160  # 9.01 s, what DNSMOS rates at a time
# From raw values of signal, background and overall to the scale of P.835: speechmos.dnsmos.DNSMOS.get_polyfit_val.
MOS_FITS = (
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)


def at_network_rate(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return mono samples `(samples,)` at 16 kHz, float32 within -1 to 1."""
    if rate_hz != RATE_HZ:
        import soxr

        samples = soxr.resample(samples, rate_hz, RATE_HZ)
    return np.clip(samples, -1.0, 1.0).astype(np.float32)


def speech_probability(samples: np.ndarray) -> np.ndarray:
    """Return silero-vad's probability of speech `(windows,)` for each 32 ms of samples at 16 kHz.

    The recurrent state and the context are passed from window to window as in silero_vad.utils_vad.OnnxWrapper, which
    would import torch.
    """
    network = _network("silero_vad", "data/silero_vad.onnx")
    padded = np.pad(samples, (VAD_CONTEXT, -len(samples) % VAD_WINDOW))
    state = np.zeros((2, 1, 128), np.float32)
    rate = np.array(RATE_HZ, np.int64)
    probabilities = []
    for start in range(0, len(padded) - VAD_CONTEXT, VAD_WINDOW):
        window = padded[None, start : start + VAD_CONTEXT + VAD_WINDOW]
        probability, state = network.run(None, {"input": window, "state": state, "sr": rate})
        probabilities.append(float(probability[0, 0]))
    return np.array(probabilities)


def opinion(samples: np.ndarray) -> dict[str, float]:
    """Return DNSMOS of samples at 16 kHz on the scale 1 to 5: `sig`, `bak`, `ovrl` (ITU-T P.835) and `p808`.

    The networks rate 9.01 s at a time. A shorter clip is repeated to that length, a longer one is rated in pieces that
    cover it; speechmos itself slides by one second, which takes several times as long for the same result.
    """
    pieces = max(1, math.ceil(len(samples) / MOS_SAMPLES))
    starts = np.linspace(0, max(0, len(samples) - MOS_SAMPLES), pieces).astype(int)
    ratings = [_rate(np.resize(samples[start : start + MOS_SAMPLES], MOS_SAMPLES)) for start in starts]
    return dict(zip(("sig", "bak", "ovrl", "p808"), np.mean(ratings, axis=0).tolist(), strict=True))


PLC_RATERS = 3  # speechmos draws 15 at random; what they give differs by 0.05
PLC_SAMPLES = 15 * RATE_HZ


def concealment(samples: np.ndarray) -> float:
    """Return PLCMOS of samples at 16 kHz, 1 to 5: how much it sounds like a call with lost packets, pieced together.

    The mean over several drawn raters, as in speechmos.plcmos.PLCMOS, here always the same. It hears the first 15 s.
    """
    from numpy.lib.stride_tricks import sliding_window_view

    hop, size = 256, 512
    piece = samples[:PLC_SAMPLES].astype(np.float64)
    frames = math.ceil((len(piece) + hop) / hop)
    padded = np.zeros((frames - 1) * hop + size)
    padded[hop : hop + len(piece)] = piece
    windows = sliding_window_view(padded, size)[::hop] * np.hamming(size + 1)[:-1]
    power = np.square(np.abs(np.fft.rfft(windows)))
    quietest = power[power > 0].min(initial=1.0)
    features = np.log(np.where(power > 0, power, quietest * 10**-12.0)).astype(np.float32) / 20
    network = _network("speechmos", "plcmos_models/plcmos_v2.onnx")
    raters = np.random.default_rng(0).standard_normal((PLC_RATERS, 1, 64)).astype(np.float32)
    given = features[None, None]
    ratings = [network.run(None, {"degraded_audio": given, "rater_embed": rater})[0] for rater in raters]
    return float(np.mean(ratings))


def _rate(piece: np.ndarray) -> tuple[float, ...]:
    """Return the four ratings of one piece, with the features and polynomials of speechmos.dnsmos.DNSMOS."""
    raw = _network("speechmos", "dnsmos_models/sig_bak_ovr.onnx").run(None, {"input_1": piece[None]})[0][0]
    power = mel.mel_power(piece[:-160], window=321, hop=160, bands=120)
    features = ((mel.decibel(power, float(power.max())) + 40) / 40).astype(np.float32)
    p808 = _network("speechmos", "dnsmos_models/model_v8.onnx").run(None, {"input_1": features[None]})[0][0][0]
    return (*(float(np.polyval(fit, value)) for fit, value in zip(MOS_FITS, raw, strict=True)), float(p808))


@cache
def _network(package: str, path: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if package == "silero_vad":  # its windows are too small for several threads
        options.intra_op_num_threads = options.inter_op_num_threads = 1
    file = str(_folder(package).joinpath(path))
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def _folder(package: str) -> Path:
    """Return the folder of a package without importing it.

    Raises:
        EnvironmentFault: it is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        name = package.replace("_", "-")
        raise EnvironmentFault("missing-package", f"{name} is not installed", f"pip install {name}")
    return Path(spec.origin).parent
