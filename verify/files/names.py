"""Names of the files that this tool writes, and by which it knows again what it wrote."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Literal, get_args

# A new format of the model file begins here; its class stands in `conversion/formats.py`.
ModelFormat = Literal["pth", "safetensors"]
MODEL_FILES: Mapping[str, str] = {name: f"model.{name}" for name in get_args(ModelFormat)}

# What a web server that lists nothing may hold in a run or model folder, the most likely first.
USUAL_CHECKPOINTS = ("best_model.pth", *MODEL_FILES.values())
# What names a file, where a web server might mean a folder.
SUFFIXES = frozenset([*(PurePath(name).suffix for name in MODEL_FILES.values()), ".json", ".wav"])

TRAINING_MARK = "training.json"  # in an export that the training callback made, and may take away again
CARD = "README.md"  # a name that anybody may use: ours is known by its seal
OUTPUT_NAMES = frozenset(
    [
        *MODEL_FILES.values(),
        "config.json",
        "vocab.json",
        "speakers_xtts.pth",
        "dvae.pth",
        "mel_stats.pth",
        "LICENSE.txt",
        "reference.wav",
        "sample.wav",
        "stream.wav",
        "report.json",
        "report.html",
        "compare.json",
        "compare.html",
        TRAINING_MARK,
    ]
)
# Of the layout that Auralis reads.
OUTPUT_FOLDERS = {
    "core_xttsv2": frozenset(["config.json", "xtts-v2.safetensors"]),
    "gpt": frozenset(["config.json", "gpt2_model.safetensors", "tokenizer.json", "tokenizer_config.json"]),
}
PAGES = ("report.html", "compare.html", "sweep.html")  # a folder holds one of them
