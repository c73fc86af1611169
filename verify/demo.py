"""Make a small genuine training checkpoint with coqui's own trainer code, and do the main job on it."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from verify import tinyvocab
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
    tinyvocab.write_vocab(run / "vocab.json")
    with watch.step("making a training checkpoint"):
        trainer.write_checkpoint(run, SMALL_GPT, AUDIO_CODES)
    return convert(Job(request=Request(source=run), output=folder / "inference", expect="sound"), watch)
