"""Unpack the weights of the trained demo model (`assets/speaking`): numpy alone, the same bytes on every machine."""

import math
import zlib
from collections.abc import Mapping

import numpy as np

from verify import resources

FOLDER = resources.ASSETS / "speaking"
VOCAB, WEIGHTS = FOLDER / "vocab.json", FOLDER / "weights.npz"

INT8, SCALES = ".int8", ".scales"  # suffixes of the two arrays of a stored matrix
SPEAKER_ENCODER = "hifigan_decoder.speaker_encoder."


def read() -> dict[str, np.ndarray]:
    """Return the tensors of the demo model by their keys in an `Xtts`, without those that are generated from a seed."""
    with np.load(WEIGHTS, allow_pickle=False) as stored:
        return unpacked(dict(stored))


def seeded(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return random float32 weights of this shape, uniform, with a variance of 1 / fan-in; the key is the seed.

    The raw stream of a bit generator is the same in every version of numpy, and each float is rounded only once.
    """
    raw = np.random.PCG64(zlib.crc32(key.encode())).random_raw(math.prod(shape))
    whole = (raw >> np.uint64(40)).astype(np.float32) - np.float32(2**23)  # 24 bits: exact
    bound = np.float32(math.sqrt(3 / math.prod(shape[1:])) / 2**23)
    return (whole * bound).reshape(shape)


def is_seeded(key: str, shape: tuple[int, ...]) -> bool:
    """Whether the weight is generated from its seed instead of being stored."""
    return key.startswith(SPEAKER_ENCODER) and len(shape) > 1 and not is_fixed(key)


def is_fixed(key: str) -> bool:
    """Whether coqui-tts computes the tensor itself: filter banks and windows."""
    return key.startswith(SPEAKER_ENCODER + "torch_spec.")


def packed(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the tensors as they are stored: matrices as int8 with a float32 scale per row, the others unchanged."""
    stored: dict[str, np.ndarray] = {}
    for key, values in tensors.items():
        if math.prod(values.shape[1:]) == 1:  # vectors, and the magnitudes of weight norm
            stored[key] = values
            continue
        rows = values.reshape(len(values), -1).astype(np.float32)
        scales = np.maximum(np.abs(rows).max(axis=1), np.float32(1e-12)) / np.float32(127)
        stored[key + INT8] = np.rint(rows / scales[:, None]).astype(np.int8).reshape(values.shape)
        stored[key + SCALES] = scales
    return stored


def unpacked(stored: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the tensors: each integer times the scale of its row, rounded once."""
    tensors = {}
    for name in stored:
        if name.endswith(INT8):
            key = name.removesuffix(INT8)
            whole, scales = stored[name].astype(np.float32), stored[key + SCALES]
            tensors[key] = whole * scales.reshape(-1, *[1] * (whole.ndim - 1))
        elif not name.endswith(SCALES):
            tensors[name] = stored[name]
    return tensors
