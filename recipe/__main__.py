"""Train the model that speaks again: `python -m recipe OUT`. Interrupted, it goes on where it was."""

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
STAGES = (25, 200, 600, 1200)  # steps of the vocoder's training whose model is kept as a training checkpoint


def main() -> None:
    """Do what is not done yet of the training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "out",
        type=Path,
        help="folder for the training's state, its losses, the run folder of its stages, and weights.npz",
    )
    parser.add_argument("--steps", type=int, default=4000, help="steps of the vocoder's training (default: 4000)")
    parser.add_argument("--clips", action="store_true", help="let flite and pico2wave say the sentences again first")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # two threads share the work otherwise; see recipe/vocoder.py
    if args.clips:
        for sentence in sentences():
            make_clip(sentence)
    said, xtts = sentences(), model.build()
    _learn_codes(xtts, said, args.out)
    _learn_sound(xtts, _lessons(xtts, said, args.out), args.out, args.steps)
    np.savez_compressed(args.out / "weights.npz", **weights.packed(learnt(xtts)))
    print(f"{args.out / 'weights.npz'}: {(args.out / 'weights.npz').stat().st_size:,} bytes")


def learnt(xtts: Xtts) -> dict[str, np.ndarray]:
    """Return the tensors that were learnt, and those that are no weights, by their names in an `Xtts` that loads."""
    second = ("gpt.gpt_inference.", "gpt.gpt.wte.")  # names of the same, made for inference
    return {
        key: values.detach().numpy()
        for key, values in xtts.state_dict().items()
        if not (key.startswith(second) or weights.is_fixed(key) or weights.is_seeded(key, tuple(values.shape)))
    }


def _learn_codes(xtts: Xtts, said: Sequence[Sentence], out: Path) -> None:
    """Train all but the vocoder, and give the model the weights that will be shipped: the vocoder learns what those say."""
    kept = out / "gpt.npz"
    if not kept.exists():
        clips = model.reference_clips(said)
        speaker.measure(xtts, clips)
        latents = torch.cat([voice.latents for voice in model.conditioning(xtts, clips)])
        with Losses(out / "gpt.csv", "step", "codes", "text", "spread of voices") as losses:
            gpt.train(xtts, latents, said, losses.add)
        with Losses(out / "conditioning.csv", "step", "codes", "text", "spread of voices") as losses:
            gpt.train_conditioning(xtts, clips, said, losses.add)
        mute = {key: values for key, values in learnt(xtts).items() if not key.startswith(VOCODER)}
        np.savez_compressed(kept, **weights.packed(mute))
    with np.load(kept) as stored:
        tensors = {key: torch.from_numpy(values) for key, values in weights.unpacked(dict(stored)).items()}
    xtts.load_state_dict(tensors, strict=False)  # what it lacks is the vocoder, and what has only a seed


def _lessons(xtts: Xtts, said: Sequence[Sentence], out: Path) -> list[vocoder.Lesson]:
    """Return each sentence's lesson; what the GPT says in each voice takes a minute, and is kept for the next time."""
    kept = out / "lessons.npz"
    if not kept.exists():
        voices = model.conditioning(xtts, model.reference_clips(said))
        frames = {
            s.language: np.stack([model.vocoder_inputs(xtts, voice, s).numpy() for voice in voices]) for s in said
        }
        np.savez_compressed(kept, embeddings=np.concatenate([voice.embedding.numpy() for voice in voices]), **frames)
    with np.load(kept) as stored:
        return [_lesson(s, stored[s.language], stored["embeddings"]) for s in said]


def _lesson(sentence: Sentence, frames: np.ndarray, embeddings: np.ndarray) -> vocoder.Lesson:
    samples = soundfile.read(sentence.clip, dtype="float32")[0]
    return vocoder.Lesson(
        frames=torch.from_numpy(frames),
        embeddings=torch.from_numpy(embeddings),
        samples=torch.from_numpy(np.pad(samples, (0, frames.shape[2] * HOP - len(samples)))),
    )


def _learn_sound(xtts: Xtts, lessons: list[vocoder.Lesson], out: Path, steps: int) -> None:
    """Train the vocoder and keep its stages."""
    decoder = xtts.hifigan_decoder.waveform_decoder.requires_grad_(True)
    with Losses(out / "vocoder.csv", "step", "loss", "seconds") as losses:

        def log(step: int, loss: float, seconds: float, averaged: nn.Module) -> None:
            losses.add(step, loss, seconds)
            if step in STAGES or step == steps:
                _write_stage(xtts, averaged, out / "run", step, loss)

        averaged = vocoder.train(decoder, lessons, out / "vocoder.pth", steps, log)
    decoder.load_state_dict(averaged.state_dict())


def _write_stage(xtts: Xtts, averaged: nn.Module, run: Path, step: int, loss: float) -> None:
    """Write the model as it is as a genuine training checkpoint, its weights in float32."""
    run.mkdir(exist_ok=True)
    (run / "vocab.json").write_bytes(weights.VOCAB.read_bytes())
    sound = {f"{VOCODER}{key}": value.numpy() for key, value in averaged.state_dict().items()}
    trainer.write_checkpoint(run, SMALL_GPT, AUDIO_CODES, learnt(xtts) | sound, step=step, loss=loss)


class Losses:
    """A table of losses, shown and written as they come."""

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
