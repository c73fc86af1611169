"""Load a model folder and speak one sentence with the coqui of another Python: the one file that runs there.

It is copied out and started alone, by any Python from 3.9 on, so it imports nothing of this package. It installs nothing, and
writes nothing but its answer: a line of JSON for each thing that it found, so that a crash takes only what came after it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterator
from importlib import metadata
from typing import Any

PACKAGES = ("coqui-tts", "TTS", "torch", "torchaudio", "torchcodec", "transformers", "numpy")
MOST_CHARACTERS = 100_000  # of a traceback, from its end
CONDITIONING_RATE_HZ = 22050  # Xtts.get_conditioning_latents reads clips at this rate


class Answer:
    """What was found so far, in a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def tell(self, **found: Any) -> None:
        """Add to what was found."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Say which stage begins, and how many seconds it took."""
        self.tell(stage=name)
        began = time.perf_counter()
        yield
        self.tell(seconds={name: time.perf_counter() - began})


def versions() -> dict[str, str]:
    """Return the versions of the packages that are there."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def load(folder: str, device: str, answer: Answer) -> Any:
    """Return the model, loaded by coqui's own `load_checkpoint` as programs do it."""
    with answer.stage("import"):
        import TTS  # noqa: F401  # says that it is missing before anything long is imported

        _keep_caches_as_they_are()
        from TTS.tts.configs.xtts_config import XttsConfig
        from TTS.tts.models.xtts import Xtts

        import torch  # isort: skip  # after coqui, which says more about what is missing
    torch.save = _save_nothing  # coqui writes a model.pth anew that holds its config as an object
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    answer.tell(device=device)
    with answer.stage("load"):
        config = XttsConfig()
        config.load_json(os.path.join(folder, "config.json"))
        model = Xtts.init_from_config(config)
        model.load_checkpoint(config, checkpoint_dir=folder, eval=True)
        return model.to(device)


def _keep_caches_as_they_are() -> None:
    """Let numba, by which librosa compiles, read what it cached beside its packages, and add nothing."""
    with contextlib.suppress(Exception):  # whatever keeps it from being imported is told when coqui imports it
        from numba.core import caching

        setattr(caching.Cache, "save_overload", _save_nothing)  # noqa: B010 - a type checker would not have it otherwise


def _save_nothing(*_: Any, **__: Any) -> None:
    """Take the place of what writes files."""


def speak(model: Any, job: dict[str, Any], answer: Answer) -> None:
    """Speak the text in the voice of the clips, and leave the sound as raw float32."""
    import numpy as np
    import torch

    args = model.args
    with answer.stage("condition"):
        latents, embedding = named(model, job["voice"]) if job["voice"] else condition(model, job["clips"])
    with answer.stage("speak"):
        bound = int(job["longest_seconds"] * args.input_sample_rate / args.gpt_code_stride_len)
        bound = min(bound, model.gpt.max_gen_mel_tokens)  # three fewer than it has positions for: the latents need them
        codes, generate = [], model.gpt.generate

        def recorded(*positional: Any, **named: Any) -> Any:
            codes.append(generate(*positional, **named))
            return codes[-1]

        model.gpt.generate = recorded
        torch.manual_seed(job["seed"])
        result = model.inference(
            job["text"],
            job["language"],
            latents,
            embedding,
            max_new_tokens=bound,
            **job["sampling"],
        )
    tokens = codes[-1][0].tolist()
    np.asarray(result["wav"], dtype="<f4").reshape(-1).tofile(job["sound"])
    stop, rate = int(args.gpt_stop_audio_token), int(args.output_sample_rate)
    answer.tell(tokens=tokens, stop_token=stop, token_bound=bound, rate_hz=rate)


def named(model: Any, voice: str) -> tuple[Any, Any]:
    """Return the latents and the embedding of a voice of speakers_xtts.pth, by their position as coqui takes them."""
    latents, embedding = model.speaker_manager.speakers[voice].values()
    return latents, embedding


def condition(model: Any, clips: list[dict[str, Any]]) -> tuple[Any, Any]:
    """Return what `Xtts.get_conditioning_latents` makes of the clips, which come as samples: no FFmpeg is needed."""
    import numpy as np
    import torch
    import torchaudio

    config, audios, embeddings = model.config, [], []
    for clip in clips:
        audio = torch.from_numpy(np.fromfile(clip["file"], dtype="<f4")).unsqueeze(0)
        audio = torchaudio.functional.resample(audio, clip["rate_hz"], CONDITIONING_RATE_HZ)
        audio = audio[:, : CONDITIONING_RATE_HZ * config.max_ref_len].clamp(-1, 1)
        if config.sound_norm_refs:
            audio = audio / audio.abs().max() * 0.75
        embeddings.append(model.get_speaker_embedding(audio, CONDITIONING_RATE_HZ))
        audios.append(audio)
    latents = model.get_gpt_cond_latents(
        torch.cat(audios, dim=-1),
        CONDITIONING_RATE_HZ,
        length=config.gpt_cond_len,
        chunk_length=config.gpt_cond_chunk_len,
    )
    return latents, torch.stack(embeddings).mean(dim=0)


def read_clip(path: str, answer: Answer) -> None:
    """Say whether coqui reads a clip from a file here, as `speaker_wav=` does."""
    from TTS.tts.models import xtts

    try:
        xtts.load_audio(path, CONDITIONING_RATE_HZ)
        answer.tell(reads_clips=True)
    except Exception:  # whatever stands behind torchaudio may raise
        answer.tell(reads_clips=False, clip_error=traceback.format_exc()[-MOST_CHARACTERS:])


def main(path: str) -> int:
    """Do the job of this file, and return whether an error ended it."""
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    if sys.stderr:  # pythonw has none
        faulthandler.enable()
        faulthandler.dump_traceback_later(job["limit_seconds"], exit=True)
    answer = Answer(job["answer"])
    try:
        answer.tell(python=platform.python_version(), packages=versions())
        model = load(job["folder"], job["device"], answer)
        if job["text"]:
            speak(model, job, answer)
            if job["reference"]:
                read_clip(job["reference"], answer)
    except BaseException:  # the edge of the process: what it ended with is the answer
        answer.tell(error=traceback.format_exc()[-MOST_CHARACTERS:])
        return 1
    answer.tell(done=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
