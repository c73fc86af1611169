"""Measure the rule of `reference voice` with an encoder that was trained: `python -m benchmarks.strangers --references FOLDER --samples FOLDER`.

No XTTS whose speaker encoder knows voices was at hand, so Resemblyzer's takes its place (its wheel holds the weights;
`pip install --no-deps resemblyzer`). A reference is a recording of a person, a sample what a model says in that voice:
subfolders of one name in both folders, that of a reference may begin with `to-`. A sample less like its reference than
every one of the project's own clips is a false alarm; a sample of another voice should be.
"""

import argparse
import sys
import types
from pathlib import Path

import numpy as np
import soundfile
import soxr

from verify import resources
from verify.coqui.checks import TELLS_VOICES_APART

LEVEL = 0.03  # RMS that the encoder was trained on


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--references", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--samples", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args()
    embed = encoder()
    paths = (resources.DEFAULT_REFERENCE, *sorted(resources.ASSETS.glob("speaking/*.flac")))
    strangers = [embed(read(path)) for path in paths]
    spoken = {folder.name: [embed(read(path)) for path in sorted(folder.glob("*.wav"))] for folder in sorted(options.samples.iterdir())}  # fmt: skip
    told, alarms, own, caught, others = 0, 0, 0, 0, 0
    for folder in sorted(options.references.iterdir()):
        name = folder.name.removeprefix("to-")
        if name in spoken:
            clip = read(sorted(folder.glob("*.wav"))[0])
            voice, first, second = embed(clip), embed(clip[: len(clip) // 2]), embed(clip[len(clip) // 2 :])
            limit = max(float(voice @ stranger) for stranger in strangers)
            if float(first @ second) - limit >= TELLS_VOICES_APART:
                told += 1
                same = [float(voice @ sample) for sample in spoken[name]]
                other = [float(voice @ sample) for key, samples in spoken.items() if key != name for sample in samples]
                alarms, own = alarms + sum(alike <= limit for alike in same), own + len(same)
                caught, others = caught + sum(alike <= limit for alike in other), others + len(other)
    print(f"{told} references told apart; {alarms} false alarms of {own}; another voice: {caught} of {others} caught")


def encoder():
    """Return the function from samples at 16 kHz to a unit vector."""
    sys.modules.setdefault("webrtcvad", types.ModuleType("webrtcvad"))  # it is imported there for what is not used here
    from resemblyzer import VoiceEncoder

    model = VoiceEncoder("cpu", verbose=False)
    return lambda samples: model.embed_utterance(samples / (np.sqrt(np.mean(np.square(samples))) + 1e-9) * LEVEL)


def read(path):
    """Return a clip as mono samples at 16 kHz."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), rate_hz, 16000)


if __name__ == "__main__":
    main()
