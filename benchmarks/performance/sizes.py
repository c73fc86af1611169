"""Checkpoints of any size in the layout of the trainer: real keys, random values, more GPT layers for larger files.

A third of the file is model weights, as in a real one; the rest, which is never read, is a hole that needs no disk space.
"""

import copy
import json
import shutil
import zlib
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from verify.checkpoint.archive import read_archive
from verify.conversion import torch_zip
from verify.conversion.ledger import build_ledger
from verify.conversion.proven_file import ProvenFile

GB = 10**9
LAYER = "gpt.gpt.h.0."
BLOCK = (np.random.default_rng(0).standard_normal(2**20, np.float32) * 0.02).tobytes()


def write_run(folder: Path, model: Path, total_bytes: int) -> Path:
    """Write a run folder with a checkpoint of about `total_bytes`; `model` is a converted folder of the real size."""
    folder.mkdir(parents=True)
    archive = read_archive(model / "model.pth")
    tensors = build_ledger(archive.tensors, lambda a, b: False).written
    layer = {name: record for name, record in tensors.items() if name.startswith(LAYER)}
    records = {name: record for name, record in tensors.items() if not name.startswith("gpt.gpt.h.")}
    size = sum(record.bytes for record in layer.values())
    layers = max(1, round((total_bytes / 3 - sum(record.bytes for record in records.values())) / size))
    for number in range(layers):
        records |= {name.replace("h.0.", f"h.{number}.", 1): record for name, record in layer.items()}
    config = json.loads((model / "config.json").read_text())
    config["model_args"]["gpt_layers"] = layers
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copyfile(model / "vocab.json", folder / "vocab.json")
    weights = {f"xtts.{name}": replace(record, key=name) for name, record in records.items()}
    _write(folder / "checkpoint_1.pth", weights, total_bytes, config)
    return folder


class _Plain(ProvenFile):
    """A file that is written without verification, so that it may have holes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    @property
    def position(self) -> int:
        return self.file.tell()

    def add(self, data: bytes) -> int:
        self.file.write(data)
        return zlib.crc32(data)

    def finish(self) -> str:
        return ""


def _write(path: Path, weights: dict, total_bytes: int, config: dict) -> None:
    rest = max(0, total_bytes - sum(record.bytes for record in weights.values()))
    example = next(iter(weights.values()))
    holes = {}
    for number in range(-(-rest // GB)):  # a member holds at most 4 GiB
        elements = min(GB, rest - number * GB) // 4
        holes[f"dvae.hole{number}"] = replace(
            example, dtype="float32", shape=(elements,), stride=(1,), storage_bytes=elements * 4
        )
    with path.open("xb") as file:
        out = torch_zip.ContainerWriter(_Plain(file))
        out.add("data.pkl", torch_zip.index_pickle(weights | holes, copy.deepcopy(config)))
        out.add("byteorder", b"little")
        for number, record in enumerate(weights.values()):
            out.begin(f"data/{number}", record.bytes)
            crc = 0
            for start in range(0, record.bytes, len(BLOCK)):
                piece = BLOCK[: record.bytes - start]
                crc = zlib.crc32(piece, crc)
                file.write(piece)
            out.end(crc)
        for number, record in enumerate(holes.values(), len(weights)):
            out.begin(f"data/{number}", record.bytes)
            file.seek(record.bytes, 1)
            out.end(0)
        out.add("version", b"3\n")
        out.finish()
