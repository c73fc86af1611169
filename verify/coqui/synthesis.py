"""Synthesize with a loaded `Xtts`: condition on a reference voice, speak one sentence, check its tokens."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import librosa
import numpy as np
import torch
import torchaudio
from transformers import StoppingCriteria, StoppingCriteriaList
from TTS.tts.models.xtts import Xtts

from verify import resources
from verify.audio.clips import Clip, Sample
from verify.audio.languages import longest_seconds
from verify.checks import Check
from verify.diagnosis import environment
from verify.errors import DeviceMemoryError, EnvironmentFault, SourceError
from verify.source.sampling import NAMES, Sampling, sampling_of

CONDITIONING_RATE_HZ = 22050  # Xtts.get_conditioning_latents loads at this rate
LARGEST_RATIO = 1000  # 96 kHz over 22.05 kHz is 640 to 147


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Voice:
    """Conditioning of a reference voice: latents `(1, 32, channels)` for the GPT, embedding `(1, 512, 1)` for the vocoder.

    `stranger` is the similarity of the nearest other voice, where the model's encoder tells voices apart.
    """

    latents: torch.Tensor
    embedding: torch.Tensor
    stranger: float | None = None


class _TokenCounter(StoppingCriteria):
    """Never stops the generation; reports each new token as progress."""

    def __init__(self, progress: Callable[[int], None]) -> None:
        self.progress = progress

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        self.progress(1)
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


def condition(model: Xtts, clips: Sequence[Clip]) -> Voice:
    """Return the voice of the clips as `Xtts.get_conditioning_latents` computes it, but without FFmpeg.

    Uses `max_ref_len`, `gpt_cond_len` and `gpt_cond_chunk_len` of the model's config, in seconds.
    """
    config = model.config
    audios, embeddings = [], []
    for clip in clips:
        audio = at_conditioning_rate(clip)
        audio = audio[:, : CONDITIONING_RATE_HZ * config.max_ref_len].clamp(-1, 1)
        if config.sound_norm_refs:
            audio = audio / audio.abs().max() * 0.75
        embeddings.append(speaker_embedding(model, audio, CONDITIONING_RATE_HZ))
        audios.append(audio)
    latents = model.get_gpt_cond_latents(
        torch.cat(audios, dim=-1),
        CONDITIONING_RATE_HZ,
        length=config.gpt_cond_len,
        chunk_length=config.gpt_cond_chunk_len,
    )
    return Voice(latents=latents, embedding=torch.stack(embeddings).mean(dim=0))


def speaker_embedding(model: Xtts, audio: torch.Tensor, rate_hz: int) -> torch.Tensor:
    """Return what the model's speaker encoder makes of audio `(1, samples)`: `(1, 512, 1)`."""
    return model.get_speaker_embedding(audio, rate_hz)


def at_conditioning_rate(clip: Clip) -> torch.Tensor:
    """Return the clip `(1, samples)` at 22050 Hz, resampled as coqui does it unless that would need too much memory.

    torchaudio's filter bank grows with the reduced ratio of the rates: 44101 Hz would need 12 GB.
    """
    samples = clip.samples
    if clip.rate_hz // math.gcd(clip.rate_hz, CONDITIONING_RATE_HZ) > LARGEST_RATIO:
        samples = librosa.resample(samples, orig_sr=clip.rate_hz, target_sr=CONDITIONING_RATE_HZ)
        return torch.from_numpy(samples).unsqueeze(0)
    return torchaudio.functional.resample(torch.from_numpy(samples).unsqueeze(0), clip.rate_hz, CONDITIONING_RATE_HZ)


def speak(
    model: Xtts,
    voice: Voice,
    text: str,
    language: str,
    seed: int,
    progress: Callable[[int], None],
    sampling: Sampling | None = None,
) -> Sample:
    """Synthesize `text`; the seed makes it reproducible on one machine.

    Args:
        sampling: the settings; those of the model's config where there are none.

    Raises:
        EnvironmentFault: transformers and coqui-tts are incompatible.
        ConversionError: the GPU is out of memory (`out-of-memory`).
    """
    bound, settings = token_bound(model, text, language), sampling or sampling_of_model(model)
    torch.manual_seed(seed)
    start = time.perf_counter()
    limits = {"max_new_tokens": bound, "stopping_criteria": StoppingCriteriaList([_TokenCounter(progress)])}
    with _recorded_codes(model, progress, bound) as codes, _reported_layers(model, progress), device_faults(model):
        result = model.inference(text, language, voice.latents, voice.embedding, **settings.to_json(), **limits)
    seconds = time.perf_counter() - start
    stopped = bool(codes[-1][0, -1] == model.args.gpt_stop_audio_token)
    tokens = codes[-1][0].tolist()
    return Sample(
        samples=np.atleast_1d(result["wav"]).astype(np.float32),
        rate_hz=model.args.output_sample_rate,
        text=text,
        language=language,
        device=str(model.device),
        seed=seed,
        tokens=len(tokens) - stopped,
        token_bound=bound,
        stopped=stopped,
        synthesis_seconds=seconds,
        codes=tuple(tokens[: len(tokens) - stopped]),
    )


def sampling_of_model(model: Xtts) -> Sampling:
    """Return the settings of the model's config."""
    return sampling_of({name: getattr(model.config, name) for name in NAMES if name != "speed"})


@contextlib.contextmanager
def _recorded_codes(model: Xtts, progress: Callable[[int], None], bound: int) -> Iterator[list[torch.Tensor]]:
    """Record the codes `(1, tokens)` of `gpt.generate` inside `Xtts.inference`, which returns only the audio.

    Tokens of the bound that were not needed are reported as progress.
    """
    codes: list[torch.Tensor] = []
    generate = model.gpt.generate

    def recorded(*args: Any, **kwargs: Any) -> torch.Tensor:
        """Generate as ever, and keep the codes."""
        codes.append(generate(*args, **kwargs))
        progress(max(bound - codes[-1].shape[-1], 0))
        return codes[-1]

    model.gpt.generate = recorded
    try:
        yield codes
    finally:
        del model.gpt.generate


@contextlib.contextmanager
def _reported_layers(model: Xtts, progress: Callable[[int], None]) -> Iterator[None]:
    """Report each layer of the vocoder as progress: on a CPU it works for seconds after the last token."""

    def report(*_: Any) -> None:  # what a hook returns would replace the layer's output
        progress(1)

    hooks = [layer.register_forward_hook(report) for layer in _vocoder_layers(model)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _vocoder_layers(model: Xtts) -> list[torch.nn.Module]:
    convolutions = (torch.nn.Conv1d, torch.nn.ConvTranspose1d)
    return [layer for layer in model.hifigan_decoder.waveform_decoder.modules() if isinstance(layer, convolutions)]


@contextlib.contextmanager
def device_faults(model: Xtts) -> Iterator[None]:
    """Translate foreign exceptions: out of memory, incompatible packages, or a model that cannot speak."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryError(
            "out-of-memory", f"{model.device} ran out of memory while speaking", "Run again with --device cpu."
        ) from error
    except environment.FOREIGN_ERRORS as error:
        raise environment.speaking_fault(error) from error


def encode(model: Xtts, text: str, language: str) -> torch.Tensor:
    """Return the text as token ids `(1, tokens)` on the model's device.

    Raises:
        EnvironmentFault: the installed coqui-tts lacks a package for the language.
        SourceError: the text is too long for the model.
    """
    try:
        ids = model.tokenizer.encode(text.strip().lower(), lang=language)
    except ImportError as error:
        extra = language.split("-")[0]
        raise EnvironmentFault(
            "language-package",
            f"coqui-tts needs another package to read {language!r}: {error}",
            f'pip install "coqui-tts[{extra}]"',
        ) from error
    except (ValueError, OverflowError, IndexError, KeyError, NotImplementedError) as error:
        # num2words and similar packages raise these on odd numbers, and on any number in Hindi
        raise SourceError(
            "bad-text",
            f"coqui-tts cannot read the text ({type(error).__name__}: {str(error)[:200]})",
            "Pass another --text.",
        ) from error
    if len(ids) >= model.args.gpt_max_text_tokens:
        raise SourceError(
            "text-too-long",
            f"the text has {len(ids)} tokens; the model takes fewer than {model.args.gpt_max_text_tokens}",
            "Pass a shorter --text.",
        )
    return torch.tensor(ids, dtype=torch.int32, device=model.device).unsqueeze(0)


def known_check(model: Xtts, ids: torch.Tensor) -> Check:
    """Return the check that the vocabulary covers the text: the share of `[UNK]` among its token ids `(1, tokens)`."""
    unknown = model.tokenizer.tokenizer.token_to_id("[UNK]")
    share = float((ids == unknown).float().mean()) if unknown is not None and ids.numel() else 0.0
    limit = resources.load("limits")["text"]["unknown_share"]
    return Check(
        name="known tokens",
        ok=share <= limit,
        measured=share,
        high=limit,
        unit="share of [UNK]",
        hint="vocab.json does not know these letters: another vocabulary, or another script than the language's.",
    )


def speaking_steps(model: Xtts, text: str, language: str) -> int:
    """Return how many steps `speak` reports: the bound of the tokens, and the layers of the vocoder."""
    return token_bound(model, text, language) + len(_vocoder_layers(model))


def token_bound(model: Xtts, text: str, language: str) -> int:
    """Return how many audio tokens the slowest plausible reading of the text needs, plus a second of pause.

    No more than coqui-tts itself generates: of `gpt_max_audio_tokens` positions it needs three for the latents.
    """
    tokens_per_second = model.args.input_sample_rate / model.args.gpt_code_stride_len
    seconds = longest_seconds(text, language)
    return min(int(seconds * tokens_per_second), model.gpt.max_gen_mel_tokens)
