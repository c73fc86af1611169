"""Make a small genuine training checkpoint with coqui's own trainer code, and do the main job on it."""

import json
import shutil
import string
from dataclasses import replace
from pathlib import Path
from typing import Any

from verify import settings
from verify.checkpoint.source import Request
from verify.diagnosis import environment
from verify.errors import Cause, OutputError
from verify.pipeline import convert
from verify.plan import Job
from verify.reporting.report import Report
from verify.watch import Watch

# XTTS v2 in every name and shape rule, with 2 GPT layers of width 128 instead of 30 of 1024.
SMALL_GPT = {"gpt_layers": 2, "gpt_n_model_channels": 128, "gpt_n_heads": 4, "decoder_input_dim": 128}
AUDIO_CODES = 1024
_MARKER = "training/demo.txt"
UNTRAINED = Cause(
    code="untrained",
    severity="note",
    message="the demo's weights are untrained: they make noise, so it asks for --expect sound",
    hint="To hear a voice: python convert_and_verify.py YOUR_RUN --speaker-wav VOICE.wav",
)


def demo(folder: Path, force: bool, watch: Watch) -> Report:
    """Write a training run into `folder` and convert it into `folder`/inference.

    Raises:
        OutputError: the folder exists and `force` is not given, or it is no demo.
    """
    if folder.exists() and not (force and (folder / _MARKER).is_file()):
        raise OutputError(
            "output-exists", f"{folder} exists already", "Pass -o NEW, or --force where it is an older demo."
        )
    with watch.step("importing coqui-tts"):
        trainer = environment.import_room("verify.demo_trainer")
    if folder.exists():
        shutil.rmtree(folder)
    try:
        report = _make_and_convert(folder, trainer, watch)
    except BaseException:  # Ctrl-C included: half a demo is of no use to anybody
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return replace(report, causes=(*report.causes, UNTRAINED))


def _make_and_convert(folder: Path, trainer: Any, watch: Watch) -> Report:
    run = folder / "training"
    run.mkdir(parents=True)
    (folder / _MARKER).write_text("Made by `convert_and_verify.py demo`; safe to delete.\n", encoding="utf-8")
    write_vocab(run / "vocab.json")
    with watch.step("making a training checkpoint"):
        trainer.write_checkpoint(run, SMALL_GPT, AUDIO_CODES)
    return convert(Job(request=Request(source=run), output=folder / "inference", expect="sound"), watch)


def write_vocab(path: Path) -> None:
    """Write a character tokenizer with XTTS's special tokens, in the format of the tokenizers library."""
    languages = [f"[{name}]" for name in settings.load("sentences")]
    tokens = ["[STOP]", "[UNK]", "[SPACE]", *string.ascii_lowercase, *string.digits, *".,!?'-:;", *languages, "[START]"]
    ids = {token: number for number, token in enumerate(tokens)}
    path.write_text(json.dumps(_tokenizer(ids), ensure_ascii=False, indent=1), encoding="utf-8")


def _tokenizer(ids: dict[str, int]) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    special = [{"id": number, "content": token, **flags} for token, number in ids.items() if token.startswith("[")]
    return {
        "version": "1.0",
        "added_tokens": special,
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "BPE", "unk_token": "[UNK]", "vocab": ids, "merges": []},
    }
