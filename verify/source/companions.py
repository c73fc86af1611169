"""Find the config, vocabulary, speakers and reference clips of a checkpoint, and say where each was found."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verify.errors import SourceError
from verify.files.local import file_bytes, missing, require_regular_file
from verify.files.location import Location, local_path, parse_location
from verify.options import Job
from verify.source import sentences
from verify.source.config import read_json
from verify.source.dataset import datasets, is_local

MAX_VOCAB_BYTES = 8 * 2**20  # the v2.0.3 vocab.json has 0.4 MB


MAX_CLIPS = 20
CHOSEN = (
    "--speaker"  # how the origin of a clip begins that the user named: `--speaker-wav`, or a voice's `--speaker NAME`
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file, and in words where it was found."""

    path: Location
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A checkpoint and what was found with it. `searched` lists the places without a vocabulary."""

    checkpoint: Location
    config: dict[str, Any]
    config_origin: str
    vocab: Found | None
    other_vocabs: tuple[Found, ...]  # also found, but less trusted
    searched: tuple[str, ...]
    speakers: Found | None
    clips: tuple[Found, ...]
    language: str | None
    sentences: Mapping[str, str] = field(default_factory=dict)  # a short one of the run for each of its languages


def gather(job: Job, checkpoint: Location, embedded: dict[str, Any] | None) -> Source:
    """Find everything that goes with the checkpoint; `embedded` is the config inside it, where there is one.

    Raises:
        SourceError: a file that the user named is missing, or a config is unusable.
    """
    config, origin = _config(job, checkpoint, embedded)
    vocabs, searched = _vocabs(job, checkpoint, config)
    return Source(
        checkpoint=checkpoint,
        config=config,
        config_origin=origin,
        vocab=vocabs[0] if vocabs else None,
        other_vocabs=tuple(vocabs[1:]),
        searched=searched,
        speakers=_speakers(job, checkpoint),
        clips=tuple(_clips(job, checkpoint, config)),
        language=_language(config),
        sentences=sentences.of_run(config, job.follow),
    )


def _config(job: Job, checkpoint: Location, embedded: dict[str, Any] | None) -> tuple[dict[str, Any], str]:
    beside = checkpoint.parent / "config.json"
    if job.config is not None:
        return read_json(job.config), f"{job.config} (--config)"
    if beside.is_file():
        return read_json(beside), f"{beside.name} beside the checkpoint"
    if embedded is not None:
        return embedded, "inside the checkpoint"
    if job.base is not None and (job.base / "config.json").is_file():
        return read_json(job.base / "config.json"), f"{job.base / 'config.json'} (--base)"
    if job.config_from_weights:
        return {}, "the defaults of XttsArgs"
    raise SourceError(
        "no-config",
        f"no config for {checkpoint.name}: there is no config.json in {checkpoint.parent}, and none inside the checkpoint",
        "Pass the run's config with --config FILE, or take what the weights tell: --config-from-weights.",
    )


def _vocabs(job: Job, checkpoint: Location, config: dict[str, Any]) -> tuple[list[Found], tuple[str, ...]]:
    """Return every vocab.json found, most trusted first, and the places that hold none."""
    vocabs, searched = [], []
    if job.vocab is not None:
        if not job.vocab.exists():
            raise missing(job.vocab)
        vocabs.append(Found(path=job.vocab, origin="--vocab"))
    for path, origin in _vocab_places(job, checkpoint, config):
        if 0 < file_bytes(path) <= MAX_VOCAB_BYTES:
            vocabs.append(Found(path=path, origin=origin))
        else:
            searched.append(f"{path} ({origin})")
    return vocabs, tuple(searched)


def _vocab_places(job: Job, checkpoint: Location, config: dict[str, Any]) -> Iterator[tuple[Location, str]]:
    yield checkpoint.parent / "vocab.json", "beside the checkpoint"
    if job.base is not None:
        yield job.base / "vocab.json", "--base"
    local = local_path(checkpoint)
    for parent in local.resolve().parents[:3] if local else ():  # folders above a remote one are not searched
        for folder in sorted(parent.glob("XTTS_*_original_model_files")):
            yield folder / "vocab.json", "the base model that the recipe downloaded"
    args = config.get("model_args")
    named = args.get("tokenizer_file") if isinstance(args, dict) else None
    if job.follow and is_local(named):
        yield Path(named), "model_args.tokenizer_file in the config"


def _speakers(job: Job, checkpoint: Location) -> Found | None:
    folders = [(checkpoint.parent, "beside the checkpoint")]
    if job.base is not None:
        folders.append((job.base, "--base"))
    for folder, origin in folders:
        if (path := folder / "speakers_xtts.pth").is_file():
            return Found(path=path, origin=origin)
    return None


def _clips(job: Job, checkpoint: Location, config: dict[str, Any]) -> Iterator[Found]:
    """Yield the clips that may serve as reference, best first: the user's, the folder's, the test sentences', the dataset's."""
    if job.speaker_wavs:
        for path in job.speaker_wavs:
            if not path.exists():
                raise missing(path)
            require_regular_file(path)
            yield Found(path=path, origin="--speaker-wav")
        return
    if job.speakers:
        yield from _of_first_speaker(job.speakers)
        return
    if file_bytes(checkpoint.parent / "reference.wav") > 0:
        yield Found(path=checkpoint.parent / "reference.wav", origin="beside the checkpoint")
    if not job.follow:
        return
    tests = config.get("test_sentences")
    for sentence in tests[:MAX_CLIPS] if isinstance(tests, list) else ():
        named = sentence.get("speaker_wav") if isinstance(sentence, dict) else None
        for name in named[:MAX_CLIPS] if isinstance(named, list) else [named]:
            if is_local(name) and file_bytes(Path(name)) > 0:
                yield Found(path=Path(name), origin="a test sentence of the run's config")
    for dataset in datasets(config):
        folder = dataset.get("path")
        if is_local(folder):
            for clip in _first_wavs(Path(folder)):
                yield Found(path=clip, origin="the training dataset")


def _of_first_speaker(speakers: Sequence[str]) -> Iterator[Found]:
    """Yield the clips of the voice that `--speaker NAME=FILE` names first; one without both is refused later."""
    first = speakers[0].partition("=")[0]
    for name, _, file in (text.partition("=") for text in speakers):
        if first.strip() and name == first and file:
            path = parse_location(file)
            if not path.exists():
                raise missing(path)
            yield Found(path=path, origin=f"{CHOSEN} {name}")


def _first_wavs(folder: Path) -> list[Path]:
    """Return the first clips of a dataset folder, if it exists and can be read."""
    for place in (folder / "wavs", folder):
        try:
            with os.scandir(place) as entries:
                names = sorted(entry.path for entry in entries if entry.name.endswith(".wav") and entry.is_file())
        except (OSError, ValueError):
            continue
        if names:
            return [Path(name) for name in names[:MAX_CLIPS]]
    return []


def _language(config: dict[str, Any]) -> str | None:
    """Return the language of the run's datasets, if they name one."""
    return next(
        (item["language"] for item in datasets(config) if isinstance(item.get("language"), str) and item["language"]),
        None,
    )
