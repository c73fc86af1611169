"""The clean speech of the benchmark: clips of a folder with their texts, and flite and espeak-ng where installed."""

import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from verify import resources
from verify.audio.languages import spelt

FLITE = {
    "awb": "I had a cup of tea this morning, and it was cold.",
    "kal16": "She asked whether the train would leave on time.",
    "rms": "We walked along the river until the sun went down.",
    "slt": "There is no need to hurry, we have the whole day.",
}
FOX = "The quick brown fox jumps over the lazy dog."
ESPEAK = {"cs": "cs", "de": "de", "en": "en", "es": "es", "fr": "fr-fr", "it": "it", "nl": "nl", "pl": "pl", "pt": "pt", "ru": "ru", "tr": "tr", "hu": "hu"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Speech:
    """A clean clip `(samples,)` with its speaker and its text."""

    name: str
    group: str
    source: str
    samples: np.ndarray
    rate_hz: int
    text: str | None = None
    language: str | None = None


def read_folders(options) -> tuple[list[Speech], set[str], set[str]]:
    """Return the clips of `--clips`, `--fresh` and `--seen`, and the names of the folders that are development or held out as a whole."""
    folders = sorted((*options.clips, *options.fresh, *options.seen), key=lambda folder: folder.name)
    clips = [clip for folder in folders for clip in read_folder(folder)]
    return clips, {folder.name for folder in options.seen}, {folder.name for folder in options.fresh}


def read_folder(folder: Path) -> list[Speech]:
    """Return every WAV or FLAC below the folder; its text is in a `.txt` beside it, its language the name of the subfolder."""
    clips = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".wav", ".flac")):
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        text = path.with_suffix(".txt")
        code = spelt(path.parent.name)
        clips.append(
            Speech(
                name=str(path.relative_to(folder)),
                group=path.parent.name,
                source=folder.name,
                samples=samples.mean(axis=1),
                rate_hz=rate_hz,
                text=text.read_text(encoding="utf-8").strip() if text.exists() else None,
                language=code if code in resources.load("sentences") else "en",
            )
        )
    return clips


def synthesise(folder: Path) -> list[Speech]:
    """Synthesize sentences with every installed flite and espeak-ng voice, into files in the folder."""
    jobs = []
    if shutil.which("flite"):
        for voice, sentence in FLITE.items():
            for number, text in enumerate((sentence, FOX)):
                jobs.append(("flite", voice, number, text, "en", ["flite", "-voice", voice, "-t", text, "-o"]))
    if shutil.which("espeak-ng"):
        sentences = resources.load("sentences")
        for code, voice in ESPEAK.items():
            text = sentences[code]["text"]
            jobs.append(("espeak-ng", voice, 0, text, code, ["espeak-ng", "-v", voice, text, "-w"]))
    clips = []
    for source, voice, number, text, language, command in jobs:
        path = folder / f"{source}-{voice}-{number}.wav"
        subprocess.run([*command, str(path)], check=True, capture_output=True)
        samples, rate_hz = soundfile.read(path, dtype="float32")
        clips.append(
            Speech(
                name=path.stem,
                group=voice,
                source=source,
                samples=samples,
                rate_hz=rate_hz,
                text=text,
                language=language,
            )
        )
    return clips


def halves(
    speech: list[Speech], seen: Collection[str] = (), fresh: Collection[str] = ()
) -> tuple[list[Speech], list[Speech]]:
    """Return the development half and the held-out half: no voice or language of a source is in both.

    Args:
        seen: sources that belong to the first half, whole.
        fresh: sources that belong to the second.
    """
    groups = sorted({(clip.source, clip.group) for clip in speech})
    first = {group for number, group in enumerate(groups) if number % 2 == 0}
    parts: tuple[list[Speech], list[Speech]] = ([], [])
    for clip in speech:
        held_out = (clip.source, clip.group) not in first and clip.source not in seen
        parts[held_out or clip.source in fresh].append(clip)
    return parts
