"""Build the untrained demo model with coqui's trainer class, and record what its GPT passes to its vocoder."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import librosa
import numpy as np
import soundfile
import torch
from TTS.tts.layers.xtts.trainer.gpt_trainer import GPTTrainer
from TTS.tts.models.xtts import Xtts

from recipe.sentences import Sentence
from verify import resources
from verify.audio.clips import Clip
from verify.coqui.synthesis import Voice, condition, speak
from verify.demo import trainer, weights
from verify.demo.demo import AUDIO_CODES, SMALL_GPT

VOICES = 16


def build() -> Xtts:
    """Return an untrained `Xtts` of the demo's size; its speaker encoder has the weights of its seed."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        parts = Path(folder)
        torch.save(trainer.small_dvae(AUDIO_CODES).state_dict(), parts / "dvae.pth")
        torch.save(torch.rand(80) + 0.5, parts / "mel_stats.pth")
        (parts / "vocab.json").write_bytes(weights.VOCAB.read_bytes())
        model = GPTTrainer(trainer.training_config(parts, parts, SMALL_GPT, AUDIO_CODES)).xtts
    for key, values in model.state_dict().items():
        if weights.is_seeded(key, tuple(values.shape)):
            values.copy_(torch.from_numpy(weights.seeded(key, tuple(values.shape))))
        elif key.startswith(weights.SPEAKER_ENCODER) and key.endswith(".bias"):
            values.zero_()
    model.eval()  # returns nothing
    return model


def reference_clips(sentences: Sequence[Sentence]) -> list[Clip]:
    """Return reference clips of many voices: pieces of the project's own clips, higher and lower, louder and quieter."""
    picks = np.random.default_rng(1)
    paths = [resources.DEFAULT_REFERENCE, *(sentence.clip for sentence in sentences)]
    audio = np.concatenate([librosa.load(path, sr=24000)[0] for path in paths])
    clips = [
        Clip(
            samples=soundfile.read(paths[0], dtype="float32")[0],
            rate_hz=soundfile.info(paths[0]).samplerate,
            path=paths[0],
        )
    ]
    for _ in range(VOICES - 1):
        start, length = picks.integers(len(audio) - 6 * 24000), int(picks.uniform(2, 6) * 24000)
        rate_hz = 1000 * int(picks.integers(18, 33))  # a filter bank for 23,917 Hz would take seconds
        clips.append(
            Clip(samples=audio[start : start + length] * picks.uniform(0.2, 1.2), rate_hz=rate_hz, path=paths[0])
        )
    return clips


@torch.no_grad()
def conditioning(model: Xtts, clips: Sequence[Clip]) -> list[Voice]:
    """Return the conditioning of each clip."""
    return [condition(model, [clip]) for clip in clips]


@torch.no_grad()
def vocoder_inputs(model: Xtts, voice: Voice, sentence: Sentence) -> torch.Tensor:
    """Return the frames `(channels, frames)` that `Xtts.inference` passes to the vocoder for the sentence."""
    vocoder, recorded = model.hifigan_decoder.waveform_decoder, []

    def record(frames: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        recorded.append(frames)
        return torch.zeros(1, 1, 2)  # `Xtts.inference` needs more than one sample

    vocoder.forward = record
    try:
        sample = speak(model, voice, sentence.text, sentence.language, 0, lambda _: None)
    finally:
        del vocoder.forward
    if sample.codes != sentence.codes or not sample.stopped:
        raise SystemExit(f"the GPT has not learnt {sentence.text!r}: {sample.codes}")
    return recorded[0].clone()
