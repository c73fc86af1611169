"""Find a Whisper model on this machine, and let it write down what is said, in a process of its own. No torch, no download."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from verify import resources
from verify.audio import vad_mos
from verify.errors import EnvironmentFault, SourceError

PROGRAM = Path(__file__).with_name("hearing.py")
NONE = "none"  # the model of `--transcribe` that means: no model, not even one that is at hand
FETCH = (
    "Pass the folder of a faster-whisper model, or download one by name first: "
    "python -c \"from faster_whisper import download_model; download_model('tiny')\"."
)
_PACKAGES = ("faster_whisper", "jiwer")
_WEIGHTS = "model.bin"
_ENGLISH_TOKENS = 51864  # of a model that knows English alone; those that know 99 languages have more
_MOST_CHARACTERS = 200  # of what a process says in place of an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Whisper:
    """A faster-whisper model on this machine: its folder, its name as people know it, the size of its weights."""

    folder: Path
    name: str
    bytes: int
    knows_all: bool  # its 99 languages, and not English alone

    def knows(self, language: str) -> bool:
        """Whether it was trained on the language at all."""
        return self.knows_all or language == "en"


def locate(model: str) -> Whisper:
    """Return a faster-whisper model, given as a folder or as the name of a model that was downloaded before.

    Raises:
        EnvironmentFault: the packages of the extra `asr` are not installed.
        SourceError: there is no such model on this machine; nothing is downloaded.
    """
    for package in _PACKAGES:
        if find_spec(package) is None:
            raise EnvironmentFault(
                "missing-package",
                f"--transcribe needs {package}, which is not installed",
                'pip install "xtts-verify[asr]"',
            )
    if Path(model).is_dir():
        if not (Path(model) / _WEIGHTS).is_file():
            raise SourceError("no-whisper", f"{model} holds no faster-whisper model: model.bin is missing", FETCH)
        return _read(Path(model), _name(Path(model)))
    from faster_whisper import download_model

    try:
        return _read(Path(download_model(model, local_files_only=True)), model)
    except (OSError, ValueError, RuntimeError) as error:
        raise SourceError("no-whisper", f"there is no Whisper {model[:100]!r} on this machine", FETCH) from error


def at_hand(language: str) -> tuple[Whisper, ...]:
    """Return the models on this machine that can be trusted with a language, without being asked for, the largest first.

    Those that were downloaded by name, and those that came in a wheel; none where the packages of the extra `asr` are missing.
    """
    smallest = resources.load("limits")["whisper"]["smallest_megabytes"].get(language)
    if smallest is None or any(find_spec(package) is None for package in _PACKAGES):
        return ()
    found = [_read(folder, name) for folder, name in (*_downloaded(), *_installed())]
    fit = [whisper for whisper in found if whisper.knows(language) and whisper.bytes >= smallest * 1e6]
    return tuple(sorted(fit, key=lambda whisper: -whisper.bytes))


def affordable(found: Sequence[Whisper], sounds: int, seconds: float) -> Whisper | None:
    """Return the first of some models that is expected to write down so many sounds in less than so many seconds."""
    return next((whisper for whisper in found if _seconds(whisper, sounds) < seconds), None)


def _seconds(whisper: Whisper, sounds: int) -> float:
    costs, megabytes = resources.load("limits")["whisper"], whisper.bytes / 1e6
    each: float = costs["load_seconds"] + costs["sound_seconds"] * sounds
    return float(costs["start_seconds"]) + each * megabytes


def hear(
    whisper: Whisper, sounds: Sequence[tuple[np.ndarray, int]], language: str, limit_seconds: float | None = None
) -> tuple[str, ...] | None:
    """Return the transcript of each sound, mono samples `(samples,)` with their rate; None where it takes too long.

    Sound that is not finite has an empty one.

    Raises:
        SourceError: the folder holds no model that faster-whisper can load.
    """
    finite = [number for number, (samples, _) in enumerate(sounds) if np.isfinite(samples).all()]
    with tempfile.TemporaryDirectory(prefix="xtts-verify-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        files = [folder / f"{number}.npy" for number in finite]
        for file, number in zip(files, finite, strict=True):
            np.save(file, vad_mos.at_network_rate(*sounds[number]))
        job = {
            "model": str(whisper.folder),
            "language": language.split("-")[0],
            "sounds": [str(file) for file in files],
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        said = _run(folder, limit_seconds)
        if said is None:
            return None
        answer = _answer(folder / "answer.json", said)
    if "error" in answer:
        raise SourceError(
            "no-whisper", f"{whisper.folder} cannot be loaded: {answer['error'][:_MOST_CHARACTERS]}", FETCH
        )
    transcripts = dict(zip(finite, answer["transcripts"], strict=True))
    return tuple(transcripts.get(number, "") for number in range(len(sounds)))


def hear_unasked(
    whisper: Whisper, sounds: Sequence[tuple[np.ndarray, int]], language: str, limit_seconds: float
) -> tuple[str, ...] | None:
    """Return what `hear` does, and None too where the model or its packages are broken: nobody asked for them."""
    try:
        return hear(whisper, sounds, language, limit_seconds)
    except SourceError:
        return None


def _run(folder: Path, limit_seconds: float | None) -> str | None:
    """Run the program in the folder and return the end of what it says; None where its time is over."""
    program = folder / PROGRAM.name
    shutil.copyfile(PROGRAM, program)
    try:
        ended = subprocess.run(
            [sys.executable, str(program), str(folder)],
            cwd=folder,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=limit_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    return ended.stderr.decode(errors="replace")


def _answer(path: Path, said: str) -> dict[str, Any]:
    """Return what the program found; where it left nothing, the last that it said."""
    if not path.is_file():
        lines = [line for line in said.splitlines() if line.strip()]
        return {"error": " ".join(lines[-1].split()) if lines else "the process ended without a word"}
    answer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return answer


def _read(folder: Path, name: str) -> Whisper:
    """Return what the files of a model's folder tell of it."""
    size = (folder / _WEIGHTS).stat().st_size
    return Whisper(folder=folder, name=name, bytes=size, knows_all=_tokens(folder) > _ENGLISH_TOKENS)


def _tokens(folder: Path) -> int:
    """Return the number of tokens in its vocabulary, which is a list in JSON or in lines; 0 where neither can be read."""
    lines, listed = folder / "vocabulary.txt", folder / "vocabulary.json"
    try:
        if listed.is_file():
            return len(json.loads(listed.read_text(encoding="utf-8")))
        return len(lines.read_bytes().splitlines()) if lines.is_file() else 0
    except (OSError, ValueError):
        return 0


def _downloaded() -> Iterator[tuple[Path, str]]:
    """Yield the folder and the name of each Whisper in the cache of Hugging Face that is there whole."""
    from huggingface_hub import constants

    for weights in Path(constants.HF_HUB_CACHE).glob(f"models--*whisper*/snapshots/*/{_WEIGHTS}"):
        folder = weights.parent
        if _is_whole(folder):
            yield folder, _name(folder)


def _name(folder: Path) -> str:
    """Return the name under which it was downloaded, where it lies in the cache of Hugging Face; else that of its folder."""
    parts = folder.absolute().parts
    cached = next((part for part in parts if part.startswith("models--")), None)
    return cached.removeprefix("models--").replace("--", "/") if cached else parts[-1]


def _installed() -> Iterator[tuple[Path, str]]:
    """Yield the folder of each Whisper that came in a wheel, and the wheel's name."""
    for place in resources.load("limits")["whisper"]["wheels"]:
        package, _, inner = place.partition("/")
        spec = find_spec(package)
        if spec and spec.origin and _is_whole(folder := Path(spec.origin).parent / inner):
            yield folder, package


def _is_whole(folder: Path) -> bool:
    """Whether nothing would have to be downloaded to use it."""
    return all((folder / name).is_file() for name in (_WEIGHTS, "config.json", "tokenizer.json"))
