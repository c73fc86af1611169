"""Small valid files, made without torch in a millisecond: what the fuzzers change and what the attack tests start from."""

import io
import json
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

VOCAB_ROWS = 8
CONFIG = {
    "model": "xtts",
    "languages": ["en", "de"],
    "temperature": 0.75,
    "model_args": {
        "gpt_layers": 1,
        "gpt_n_model_channels": 8,
        "gpt_n_heads": 2,
        "gpt_num_audio_tokens": 6,
        "gpt_start_audio_token": 4,
        "gpt_stop_audio_token": 5,
        "gpt_max_audio_tokens": 4,
        "gpt_max_text_tokens": 4,
        "gpt_use_perceiver_resampler": True,
        "decoder_input_dim": 8,
        "d_vector_dim": 8,
        "tokenizer_file": "/nowhere/vocab.json",
    },
    "audio": {"sample_rate": 22050, "output_sample_rate": 24000},
    "datasets": [{"formatter": "ljspeech", "path": "/nowhere/dataset", "language": "en"}],
    "test_sentences": [{"text": "hello", "speaker_wav": ["/nowhere/clip.wav"], "language": "en"}],
}
VOCAB = {
    "version": "1.0",
    "added_tokens": [{"id": 0, "content": "[STOP]"}, {"id": 7, "content": "[START]"}],
    "model": {
        "type": "BPE",
        "vocab": {"[STOP]": 0, "[UNK]": 1, "[SPACE]": 2, "a": 3, "b": 4, "[en]": 5, "[de]": 6, "[START]": 7},
        "merges": [],
    },
}
_DECODER = "hifigan_decoder.waveform_decoder"
SHAPES = {
    "gpt.text_embedding.weight": (VOCAB_ROWS, 8),
    "gpt.mel_embedding.weight": (6, 8),
    "gpt.mel_pos_embedding.emb.weight": (7, 8),
    "gpt.text_pos_embedding.emb.weight": (6, 8),
    "gpt.gpt.h.0.ln_1.weight": (8,),
    "gpt.conditioning_encoder.init.bias": (8,),
    "gpt.conditioning_perceiver.latents": (2, 8),
    f"{_DECODER}.conv_pre.weight": (4, 8, 1),
    f"{_DECODER}.cond_layer.weight": (4, 8, 1),
    f"{_DECODER}.conds.0.weight": (4, 8, 1),
    "hifigan_decoder.speaker_encoder.fc.bias": (8,),
    "mel_stats": (80,),
}


@dataclass(frozen=True)
class Name:
    """A module and a name, pickled as a GLOBAL without being looked up."""

    module: str
    name: str


@dataclass(frozen=True)
class Tensor:
    """A tensor that fills its storage, pickled as torch pickles it."""

    member: str
    shape: tuple
    kind: str = "Float"


class Pickler(pickle._Pickler):
    """Writes tensors and names as torch.save does, memo and all."""

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Name):
            self._save_name(obj)
        elif isinstance(obj, Tensor):
            self._save_tensor(obj)
        else:
            super().save(obj, save_persistent_id)

    def _save_name(self, name):
        if self.memo.get(id(name)):
            self.write(self.get(self.memo[id(name)][0]))
        elif self.proto >= 4:
            super().save(name.module)
            super().save(name.name)
            self.write(b"\x93")
            self.memoize(name)
        else:
            self.write(f"c{name.module}\n{name.name}\n".encode())
            self.memoize(name)

    def _save_tensor(self, tensor):
        self.save(REBUILD)
        self.write(b"(")
        self.save(("storage", Name("torch", f"{tensor.kind}Storage"), tensor.member, "cpu", math.prod(tensor.shape)))
        self.write(b"Q")
        strides = tuple(math.prod(tensor.shape[axis + 1 :]) for axis in range(len(tensor.shape)))
        for value in (0, tensor.shape, strides, False, OrderedDict()):
            self.save(value)
        self.write(b"tR")


REBUILD = Name("torch._utils", "_rebuild_tensor_v2")


def pickled(value, protocol: int = 2) -> bytes:
    """Return the pickle of plain values, names and tensors."""
    buffer = io.BytesIO()
    Pickler(buffer, protocol).dump(value)
    return buffer.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    """Return a container of stored members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def floats(count: int) -> bytes:
    return struct.pack(f"<{count}f", *(0.25 + number / 64 for number in range(count)))


def checkpoint(protocol: int = 2, prefix: str = "xtts.", extra: dict | None = None, more: dict | None = None) -> bytes:
    """Return a trainer's checkpoint that converts without complaint; `more` holds shapes of further tensors."""
    shapes = SHAPES | (more or {})
    state = OrderedDict((prefix + key, Tensor(str(n), shape)) for n, (key, shape) in enumerate(shapes.items()))
    root = {
        "config": CONFIG,
        "model": state,
        "optimizer": [{"state": {}, "param_groups": [{"lr": 5e-06, "betas": (0.9, 0.96)}]}],
        "step": 7,
        "epoch": 1,
        "date": "November 23, 2026",
        "model_loss": {"train_loss": 5.5, "eval_loss": None},
        **(extra or {}),
    }
    members = {"x/data.pkl": pickled(root, protocol), "x/byteorder": b"little"}
    members |= {f"x/data/{n}": floats(math.prod(shape)) for n, shape in enumerate(shapes.values())}
    return zipped({**members, "x/version": b"3\n"})


def speakers() -> bytes:
    """Return a `speakers_xtts.pth` of one voice."""
    voices = {"Ana": {"gpt_cond_latent": Tensor("0", (1, 2, 8)), "speaker_embedding": Tensor("1", (1, 8, 1))}}
    members = {"s/data.pkl": pickled(voices), "s/data/0": floats(16), "s/data/1": floats(8), "s/version": b"3\n"}
    return zipped(members)


def safetensors_header() -> dict:
    """Return the header of `safetensors()`: the same tensors under the names of an inference checkpoint."""
    header, position = {"__metadata__": {"format": "pt"}}, 0
    for key, shape in SHAPES.items():
        size = 4 * math.prod(shape)
        header[key] = {"dtype": "F32", "shape": list(shape), "data_offsets": [position, position + size]}
        position += size
    return header


def safetensors(header: dict | bytes | None = None) -> bytes:
    """Return a `.safetensors` file with the given header, by default a good one."""
    header = safetensors_header() if header is None else header
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = b"".join(floats(math.prod(shape)) for shape in SHAPES.values())
    return struct.pack("<Q", len(data)) + data + body


def run_folder(folder: Path, **files: bytes) -> Path:
    """Write a run folder of valid files; `checkpoint`, `config`, `vocab`, `speakers` or `safetensors` replace one."""
    folder.mkdir(parents=True, exist_ok=True)
    config, vocab = json.dumps(CONFIG).encode(), json.dumps(VOCAB).encode()
    if "safetensors" in files:
        (folder / "model.safetensors").write_bytes(files["safetensors"])
    else:
        (folder / "best_model_7.pth").write_bytes(files.get("checkpoint") or checkpoint())
    (folder / "config.json").write_bytes(files.get("config", config))
    (folder / "vocab.json").write_bytes(files.get("vocab", vocab))
    (folder / "speakers_xtts.pth").write_bytes(files.get("speakers") or speakers())
    return folder
