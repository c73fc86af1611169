"""Train the demo model: `python -m recipe OUT`. An interrupted training resumes."""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import nn
from TTS.tts.models.xtts import Xtts

from recipe import gpt, model, speaker, vocoder
from recipe.sentences import HOP, Sentence, make_clip, sentences
from verify.demo import trainer, weights
from verify.demo.demo import AUDIO_CODES, SMALL_GPT

VOCODER = "hifigan_decoder.waveform_decoder."
STAGES = (25, 200, 600, 1200)  # steps of the vocoder's training that are written as training checkpoints


def main() -> None:
    """Run those stages of the training that are not finished."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "out",
        type=Path,
        help="folder for the training's state, its losses, the run folder of its stages, and weights.npz",
    )
    parser.add_argument("--steps", type=int, default=4000, help="steps of the vocoder's training (default: 4000)")
    parser.add_argument(
        "--clips", action="store_true", help="synthesize the clips again first, with flite and pico2wave"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # the vocoder is trained by two processes of one thread each; see recipe/vocoder.py
    if args.clips:
        for sentence in sentences():
            make_clip(sentence)
    spoken, xtts = sentences(), model.build()
    _learn_codes(xtts, spoken, args.out)
    _learn_sound(xtts, _lessons(xtts, spoken, args.out), args.out, args.steps)
    np.savez_compressed(args.out / "weights.npz", **weights.packed(learnt(xtts)))
    print(f"{args.out / 'weights.npz'}: {(args.out / 'weights.npz').stat().st_size:,} bytes")


def learnt(xtts: Xtts) -> dict[str, np.ndarray]:
    """Return all tensors to store, by their keys in an `Xtts`: no duplicates, none that is computed or generated from a seed."""
    second = ("gpt.gpt_inference.", "gpt.gpt.wte.")  # duplicate keys, added for inference
    return {
        key: values.detach().numpy()
        for key, values in xtts.state_dict().items()
        if not (key.startswith(second) or weights.is_fixed(key) or weights.is_seeded(key, tuple(values.shape)))
    }


def _learn_codes(xtts: Xtts, spoken: Sequence[Sentence], out: Path) -> None:
    """Train all but the vocoder, then load the weights as they will be shipped (int8), for the vocoder to learn from."""
    gpt_file = out / "gpt.npz"
    if not gpt_file.exists():
        clips = model.reference_clips(spoken)
        speaker.measure(xtts, clips)
        latents = torch.cat([voice.latents for voice in model.conditioning(xtts, clips)])
        with Losses(out / "gpt.csv", "step", "codes", "text", "spread of voices") as losses:
            gpt.train(xtts, latents, spoken, losses.add)
        with Losses(out / "conditioning.csv", "step", "codes", "text", "spread of voices") as losses:
            gpt.train_conditioning(xtts, clips, spoken, losses.add)
        mute = {key: values for key, values in learnt(xtts).items() if not key.startswith(VOCODER)}
        np.savez_compressed(gpt_file, **weights.packed(mute))
    with np.load(gpt_file) as stored:
        tensors = {key: torch.from_numpy(values) for key, values in weights.unpacked(dict(stored)).items()}
    xtts.load_state_dict(tensors, strict=False)  # not strict: the vocoder and the seeded weights are missing


def _lessons(xtts: Xtts, spoken: Sequence[Sentence], out: Path) -> list[vocoder.Lesson]:
    """Return the training data of each sentence; the output of the GPT in each voice takes a minute, so it is cached."""
    lessons_file = out / "lessons.npz"
    if not lessons_file.exists():
        voices = model.conditioning(xtts, model.reference_clips(spoken))
        frames = {
            sentence.language: np.stack([model.vocoder_inputs(xtts, voice, sentence).numpy() for voice in voices])
            for sentence in spoken
        }
        np.savez_compressed(
            lessons_file, embeddings=np.concatenate([voice.embedding.numpy() for voice in voices]), **frames
        )
    with np.load(lessons_file) as stored:
        return [_lesson(sentence, stored[sentence.language], stored["embeddings"]) for sentence in spoken]


def _lesson(sentence: Sentence, frames: np.ndarray, embeddings: np.ndarray) -> vocoder.Lesson:
    samples = soundfile.read(sentence.clip, dtype="float32")[0]
    return vocoder.Lesson(
        frames=torch.from_numpy(frames),
        embeddings=torch.from_numpy(embeddings),
        samples=torch.from_numpy(np.pad(samples, (0, frames.shape[2] * HOP - len(samples)))),
    )


def _learn_sound(xtts: Xtts, lessons: list[vocoder.Lesson], out: Path, steps: int) -> None:
    """Train the vocoder and write its stages as checkpoints."""
    decoder = xtts.hifigan_decoder.waveform_decoder.requires_grad_(True)
    with Losses(out / "vocoder.csv", "step", "loss", "seconds") as losses:

        def log(step: int, loss: float, seconds: float, averaged: nn.Module) -> None:
            losses.add(step, loss, seconds)
            if step in STAGES or step == steps:
                _write_stage(xtts, averaged, out / "run", step, loss)

        averaged = vocoder.train(decoder, lessons, out / "vocoder.pth", steps, log)
    decoder.load_state_dict(averaged.state_dict())


def _write_stage(xtts: Xtts, averaged: nn.Module, run: Path, step: int, loss: float) -> None:
    """Write the current model as a real training checkpoint in float32."""
    run.mkdir(exist_ok=True)
    (run / "vocab.json").write_bytes(weights.VOCAB.read_bytes())
    sound = {f"{VOCODER}{key}": value.numpy() for key, value in averaged.state_dict().items()}
    trainer.write_checkpoint(run, SMALL_GPT, AUDIO_CODES, learnt(xtts) | sound, step=step, loss=loss)


class Losses:
    """A CSV table of losses, printed and written row by row."""

    def __init__(self, path: Path, *names: str) -> None:
        begun = path.exists()
        self.file = path.open("a", newline="", encoding="utf-8")
        self.rows = csv.writer(self.file)
        if not begun:
            self.rows.writerow(names)

    def __enter__(self) -> "Losses":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def add(self, step: int, *values: float) -> None:
        row = [step, *(f"{value:.5g}" for value in values)]
        self.rows.writerow(row)
        self.file.flush()
        print(*row, flush=True)


if __name__ == "__main__":
    main()
