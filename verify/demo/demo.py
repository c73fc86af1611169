"""Make a small genuine training checkpoint with coqui's own trainer code, and convert it."""

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from verify import resources, shell
from verify.commands.convert import convert
from verify.demo import weights
from verify.diagnosis import environment
from verify.errors import Cause, OutputError
from verify.options import Job
from verify.progress import Watch
from verify.result import Result

# XTTS v2 in every name and shape rule, with 2 GPT layers of width 128 instead of 30 of 1024.
SMALL_GPT = {"gpt_layers": 2, "gpt_n_model_channels": 128, "gpt_n_heads": 4, "decoder_input_dim": 128}
AUDIO_CODES = 1024
_MARKER = "training/demo.txt"


def demo(folder: Path, force: bool, watch: Watch) -> Result:
    """Write a training run into `folder` and convert it into `folder`/inference.

    Raises:
        OutputError: the folder exists and `force` is not given, or it is no demo.
    """
    if folder.exists() and not (force and (folder / _MARKER).is_file()):
        raise OutputError(
            "output-exists", f"{folder} exists already", "Pass -o NEW, or --force where it is an older demo."
        )
    with watch.step("importing coqui-tts"):
        trainer = environment.import_coqui("verify.demo.trainer")
    if folder.exists():
        shutil.rmtree(folder)
    with contextlib.ExitStack() as undo:  # after Ctrl-C, too: an incomplete demo is useless
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        report = _make_and_convert(folder, trainer, watch)
        undo.pop_all()
    return replace(report, causes=(*report.causes, _other_sentences(folder)))


def _make_and_convert(folder: Path, trainer: Any, watch: Watch) -> Result:
    run = folder / "training"
    run.mkdir(parents=True)
    (folder / _MARKER).write_text("Made by the demo of xtts-verify; safe to delete.\n", encoding="utf-8")
    shutil.copyfile(weights.VOCAB, run / "vocab.json")
    with watch.step("making a training checkpoint"):
        trainer.write_checkpoint(run, SMALL_GPT, AUDIO_CODES, weights.read())
    first = resources.load("speaking")["sentence"][0]
    job = Job(
        source=run,
        output=folder / "inference",
        texts=(first["text"],),
        language=first["language"],
    )
    return convert(job, watch)


def _other_sentences(folder: Path) -> Cause:
    """Return the note on which other sentences the model can speak, and how."""
    first, *others = resources.load("speaking")["sentence"]
    sentences = ", ".join(f"“{sentence['text']}” ({sentence['language']})" for sentence in others)
    options = ("--language", others[0]["language"], "--text", others[0]["text"], "-o", "another")
    return Cause(
        code="demo",
        severity="note",
        message=f"the demo's model knows “{first['text']}” by heart, {sentences}, and nothing else",
        hint=f"Hear another: {shell.command('verify', folder / 'inference', *options)}",
    )
