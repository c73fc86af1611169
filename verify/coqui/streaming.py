"""Let a sentence come through `inference_stream`, chunk by chunk, and hold it against what `inference` says."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from TTS.tts.models.xtts import Xtts

from verify import resources
from verify.audio import pieces, vad_mos
from verify.audio.checks import judge_speech
from verify.audio.clips import Sample
from verify.checks import Check
from verify.coqui import synthesis
from verify.coqui.synthesis import Voice
from verify.errors import counted
from verify.source.sampling import Sampling

# Names of the checks, by which a model of random weights is compared.
RUNS, ENDS, LENGTH, SEAMS, SPEECH = "stream runs", "stream ends", "stream length", "stream seams", "stream speech"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Streamed:
    """A sentence in chunks `(samples,)`, and how they came."""

    chunks: tuple[np.ndarray, ...]
    rate_hz: int
    codes: tuple[int, ...]  # audio tokens without the stop token
    stopped: bool
    first_chunk_seconds: float
    synthesis_seconds: float

    @property
    def samples(self) -> np.ndarray:
        """The whole sentence `(samples,)`."""
        return np.concatenate([np.zeros(0, np.float32), *self.chunks])

    @property
    def seconds(self) -> float:
        return sum(map(len, self.chunks)) / self.rate_hz


def stream(model: Xtts, voice: Voice, sample: Sample, sampling: Sampling) -> Streamed:
    """Stream the sentence of the sample with its seed, and the same settings.

    Raises:
        EnvironmentFault: coqui's stream does not work with the installed packages.
        ConversionError: the GPU is out of memory, or the model cannot stream.
    """
    torch.manual_seed(sample.seed)
    start, first, chunks = time.perf_counter(), 0.0, list[np.ndarray]()
    with _recorded(model) as tokens, synthesis.device_faults(model):
        generator = model.inference_stream(
            sample.text,
            sample.language,
            voice.latents,
            voice.embedding,
            **sampling.to_json(),
            max_new_tokens=sample.token_bound,
        )
        for chunk in generator:
            first = first or time.perf_counter() - start
            chunks.append(np.atleast_1d(chunk.detach().float().cpu().numpy()).astype(np.float32))
    stop = model.args.gpt_stop_audio_token
    return Streamed(
        chunks=tuple(chunks),
        rate_hz=sample.rate_hz,
        codes=tuple(token for token in tokens if token != stop),
        stopped=stop in tokens,
        first_chunk_seconds=first,
        synthesis_seconds=time.perf_counter() - start,
    )


@contextlib.contextmanager
def _recorded(model: Xtts) -> Iterator[list[int]]:
    """Record the tokens that `gpt.get_generator` hands to `inference_stream`, which yields only the audio."""
    tokens: list[int] = []
    get_generator = model.gpt.get_generator

    def recorded(*args: Any, **kwargs: Any) -> Iterator[Any]:
        """Yield what the generator yields, and keep its tokens."""
        for token, latent in get_generator(*args, **kwargs):
            tokens.append(int(token[0]))
            yield token, latent

    model.gpt.get_generator = recorded
    try:
        yield tokens
    finally:
        del model.gpt.get_generator


def checks(streamed: Streamed, sample: Sample, speed: float, failed: Sequence[Check]) -> tuple[Check, ...]:
    """Return the checks of a stream against the sample that `inference` made with the same seed.

    Where both have the same tokens, their sound must have the same length, without a click where chunks meet. Where they
    have not, as sampling may part over a rounding error, the stream must pass every sound check that the sample passes.

    Args:
        failed: the checks of sound that the sample fails.
    """
    ends = Check(
        name=ENDS,
        ok=streamed.stopped or not sample.stopped,
        measured=len(streamed.codes),
        high=sample.token_bound,
        unit="tokens",
        basic=True,
        hint="inference ended the sentence and the stream did not.",
    )
    found = (ends, _seams(streamed, sample))
    if streamed.codes == sample.codes:
        return (*found, _length(streamed, sample))
    return (*found, _speech(streamed, sample, speed, {check.name for check in failed}))


def _length(streamed: Streamed, sample: Sample) -> Check:
    limit = resources.load("limits")["stream"]["difference_seconds"]
    lost = sample.seconds - streamed.seconds
    return Check(
        name=LENGTH,
        ok=abs(lost) <= limit,
        measured=round(lost, 4),
        low=-limit,
        high=limit,
        unit="s shorter",
        basic=True,
        hint=f"The stream has {streamed.seconds:.3f} s, inference {sample.seconds:.3f} s of the same {len(sample.codes)} tokens.",
    )


def _seams(streamed: Streamed, sample: Sample) -> Check:
    """Count the clicks at the borders of chunks; of the same tokens, less those that the sample has there too."""
    borders = np.cumsum([len(chunk) for chunk in streamed.chunks])[:-1] / streamed.rate_hz
    clicks = _clicks_at(streamed.samples, streamed.rate_hz, borders)
    if streamed.codes == sample.codes:
        clicks = max(0, clicks - _clicks_at(sample.samples, sample.rate_hz, borders))
    hint = "A click where two chunks meet: coqui's fade does not join them."
    return Check(
        name=SEAMS,
        ok=clicks == 0,
        measured=clicks,
        high=0,
        unit=f"clicks at {counted(len(borders), 'seam')}",
        hint=hint,
    )


def _clicks_at(samples: np.ndarray, rate_hz: int, borders: np.ndarray) -> int:
    """Return how many of the borders, in seconds, have a discontinuity within the fade that begins there."""
    limits = resources.load("limits")["stream"]
    found = pieces.seams(vad_mos.at_network_rate(np.nan_to_num(samples), rate_hz))
    around = [
        slice(max(0, int(1000 * (border - limits["reach_seconds"]))), int(1000 * (border + reach)) + 1)
        for border in borders
        for reach in [limits["fade_seconds"] + limits["reach_seconds"]]
    ]
    return sum(bool(found[span].any()) for span in around)


def _speech(streamed: Streamed, sample: Sample, speed: float, failed: set[str]) -> Check:
    judged = judge_speech(streamed.samples, streamed.rate_hz, sample.text, sample.language, speed)
    worse = [check.name for check in judged if not check.ok and check.name not in failed]
    return Check(
        name=SPEECH,
        ok=not worse,
        measured=len(worse),
        high=0,
        unit="checks that inference passes",
        hint=f"The stream says other tokens than inference, and fails: {', '.join(worse)}." if worse else "",
    )


def broken(error: Exception) -> Check:
    """Return the check of a stream that ended with an error."""
    return Check(name=RUNS, ok=False, measured=None, unit="", basic=True, hint=str(error))
