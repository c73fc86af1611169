"""Make a genuine small XTTS run: coqui's own GPTTrainer and Trainer write every file in it."""

import logging
import sys
from pathlib import Path

import numpy as np
import soundfile

from verify import resources
from verify.demo import demo

RATE_HZ = 22050
# The longest clip that it trains on, and so what it may speak, in audio tokens of 46 ms: 605 in a real run. Barely trained
# weights never stop, and most of what a sentence costs on a processor is the vocoder.
LONGEST_CLIP_TOKENS = 20
SHORT_SECONDS = 0.7  # of the clips that it trains on; the trainer leaves out what has under half a second


def write_dataset(folder: Path, count: int = 6) -> None:
    """Fill `folder` with clips cut from the reference that ships with the project, in LJSpeech form.

    Those of 3.3 s and more serve as voices; as many short ones are for the training.
    """
    import librosa

    audio, rate = soundfile.read(resources.DEFAULT_REFERENCE, dtype="float32")
    audio = librosa.resample(audio, orig_sr=rate, target_sr=RATE_HZ)
    (folder / "wavs").mkdir(parents=True)
    rows = []
    for number in range(count):
        clip = np.roll(audio, -number * RATE_HZ // 2)[: int((3.4 + 0.3 * number) * RATE_HZ)]
        soundfile.write(folder / "wavs" / f"clip{number}.wav", clip, RATE_HZ)
        soundfile.write(folder / "wavs" / f"short{number}.wav", clip[: int(SHORT_SECONDS * RATE_HZ)], RATE_HZ)
        rows += [
            f"{name}{number}|this is clip number {number}.|this is clip number {number}." for name in ("clip", "short")
        ]
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def use_true_stderr() -> None:
    """Point the loggers that coqui set up away from the captured stream of whatever test imported it first."""
    for name in ("trainer", "TTS"):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream.closed:
                handler.setStream(sys.__stderr__)


def close_log() -> None:
    """Close the log of the run, so that later messages do not go into it."""
    log = logging.getLogger("trainer")
    for handler in [handler for handler in log.handlers if isinstance(handler, logging.FileHandler)]:
        log.removeHandler(handler)
        handler.close()


def set_up(config, out: Path, epochs: int) -> None:
    """Point the config at the dataset, and make the training short."""
    from TTS.config.shared_configs import BaseDatasetConfig

    config.output_path, config.run_name, config.epochs = str(out / "training"), "XTTS_FT", epochs
    config.batch_size = config.eval_batch_size = 2
    config.num_loader_workers = config.num_eval_loader_workers = 0
    config.lr_scheduler, config.lr_scheduler_params = "MultiStepLR", {"milestones": [900000], "gamma": 0.5}
    config.datasets = [
        BaseDatasetConfig(
            formatter="ljspeech",
            dataset_name="ft",
            path=str(out / "dataset"),
            meta_file_train="metadata.csv",
            language="en",
        )
    ]


def train(out: Path, epochs: int = 1, callbacks=None) -> Path:
    """Train and return the run folder."""
    import torch
    import torchaudio
    from trainer import Trainer, TrainerArgs
    from TTS.tts.datasets import load_tts_samples
    from TTS.tts.layers.xtts.trainer.gpt_trainer import GPTTrainer

    from verify.coqui import selftest
    from verify.demo import trainer

    use_true_stderr()

    def load_audio(path, *_, **__):  # torchaudio.load needs FFmpeg's libraries since 2.9; soundfile does not
        audio, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
        return torch.from_numpy(audio.T.copy()), rate

    kept_load, torchaudio.load = torchaudio.load, load_audio
    try:
        torch.manual_seed(0)
        selftest.write_vocab(out / "vocab.json")
        write_dataset(out / "dataset")
        torch.save(trainer.small_dvae(demo.AUDIO_CODES).state_dict(), out / "dvae.pth")
        torch.save(torch.rand(80) + 0.5, out / "mel_stats.pth")
        sizes = {**demo.SMALL_GPT, "gpt_max_audio_tokens": LONGEST_CLIP_TOKENS}
        config = trainer.training_config(out, out, sizes, demo.AUDIO_CODES)
        set_up(config, out, epochs)
        rows, _ = load_tts_samples(config, eval_split=False)
        short = [row for row in rows if soundfile.info(row["audio_file"]).duration <= SHORT_SECONDS]
        Trainer(
            TrainerArgs(),
            config,
            output_path=config.output_path,
            model=GPTTrainer(config),
            train_samples=short[2:],
            eval_samples=short[:2],
            callbacks=callbacks,
        ).fit()
    finally:
        torchaudio.load = kept_load
        close_log()
    return next((out / "training").iterdir())
