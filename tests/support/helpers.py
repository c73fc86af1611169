"""Small files of known content, and the invariants that hold for every refused input."""

import hashlib
import io
import json
import struct
import zipfile
from pathlib import Path

from verify.checkpoint.tensors import TensorRecord
from verify.cli import main

ROOT = Path(__file__).parent.parent.parent
XTTS_LANGUAGES = {
    "en", "es", "fr", "de", "it", "pt", "pl", "tr", "ru", "nl", "cs", "ar", "zh-cn", "hu", "ko", "ja", "hi",
}  # fmt: skip

TINY_CONFIG = {
    "model": "xtts",
    "model_args": {"gpt_layers": 2, "gpt_n_model_channels": 128, "gpt_use_perceiver_resampler": True},
}


def tensor_record(key: str, **changes) -> TensorRecord:
    """Return the record of a tensor of eight bytes that is in no file."""
    values = {
        "dtype": "float32",
        "shape": (2,),
        "stride": (1,),
        "offset": 0,
        "storage": key,
        "storage_start": 0,
        "storage_bytes": 8,
    }
    return TensorRecord(path=Path("a.pth"), key=key, crc=1, **{**values, **changes})


def tiny_state():
    """Return a state dict of genuine names and a few hundred bytes."""
    import torch

    torch.manual_seed(1)
    return {
        "xtts.mel_stats": torch.rand(80),
        "xtts.gpt.text_embedding.weight": torch.randn(6681, 4),
        "xtts.gpt.gpt.h.0.ln_1.weight": torch.randn(4),
        "dvae.codebook.embed": torch.randn(4, 4),
    }


def save_tiny(path: Path, state=None, **extra) -> Path:
    """Save a tiny trainer checkpoint with torch, as coqui's trainer does."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "config": TINY_CONFIG,
        "model": tiny_state() if state is None else state,
        "optimizer": [],
        "step": 3,
        "epoch": 0,
    }
    torch.save({**content, **extra}, path)
    return path


def with_a_text_row_more(state: dict) -> None:
    """Give the text embedding and the text head of a training checkpoint one row more, a copy of their first."""
    import torch

    for name in ("text_embedding.weight", "text_head.weight", "text_head.bias"):
        tensor = state[f"xtts.gpt.{name}"]
        state[f"xtts.gpt.{name}"] = torch.cat([tensor, tensor[:1]])


def rewrite_zip(path: Path, change, compression=zipfile.ZIP_STORED) -> Path:
    """Rewrite a container with `change(name, data)`, which returns the new data, None to leave it out, or a list of copies."""
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members:
            new = change(name, data)
            for copy in new if isinstance(new, list) else [] if new is None else [new]:
                archive.writestr(name, copy)
    path.write_bytes(buffer.getvalue())
    return path


def member_span(path: Path, name_end: str) -> tuple[int, int]:
    """Return (start, size) of a stored member's data in the file."""
    with zipfile.ZipFile(path) as archive:
        info = next(info for info in archive.infolist() if info.filename.endswith(name_end))
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
    return info.header_offset + 30 + name + extra, info.file_size


def fingerprint(path: Path) -> dict:
    """Return hash, size and mtime of a file, or of every file below a folder."""
    if not path.exists() or path.is_fifo():
        return {}
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {
        str(file): (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
        for file in files
        if file.is_file()
    }


def run_cli(capsys, *arguments):
    """Run the command in this process and return (exit status, stdout, stderr with whitespace made single)."""
    code = main.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, " ".join(captured.err.split())


def assert_fault(
    capsys, source: Path, exit_code: int, *texts: str, options=(), output: Path | None = None, command=()
) -> dict:
    """Run the main job on a bad input and hold every invariant of faults.md; return the JSON document."""
    folder = (source if source.is_dir() else source.parent) if output is None else output.parent
    before_input, before_names = (
        fingerprint(source),
        sorted(p.name for p in folder.iterdir()) if folder.is_dir() else [],
    )
    arguments = [*command, source, "--json", "--expect", "sound", *options, *(("-o", output) if output else ())]
    code, out, err = run_cli(capsys, *arguments)
    assert code == exit_code, err
    assert "Traceback" not in err + out
    document = json.loads(out)
    assert document["schema"] == 1
    assert document["verdict"] == ("error" if exit_code == 2 else "fail")
    for text in texts:
        assert text in err, f"{text!r} is not said in: {err}"
    assert fingerprint(source) == before_input, "the source changed"
    after = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    assert after == before_names, "something was left behind"
    return document
