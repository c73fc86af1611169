"""Teach the vocoder by heart: the frames that the frozen GPT gives for a sentence become the clip that says it."""

import copy
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import l1_loss

from recipe.sentences import HOP

FFT_SIZES = (256, 512, 1024, 2048)
SEGMENT_FRAMES = 48  # 0.51 s
EDGE_FRAMES = 3  # where a segment is cut out of a clip, the vocoder sees nothing beyond: no loss is asked for there
LEARNING_RATES = 1e-3, 5e-5
WAVEFORM_WEIGHT = 5.0
FLOOR = 1e-2  # magnitudes below are silence: about 60 dB under a voice; what lies there would take most of the lesson
AVERAGED = 0.998  # share of the averaged weights that a step keeps
FLOAT32_SHARE = 0.1  # the last steps compute in float32, as inference does; the others in bfloat16, twice as fast
KEPT_SECONDS = 120
LOGGED_STEPS = 25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """One sentence: frames of each voice `(voices, channels, frames)`, embeddings `(voices, 512, 1)`, samples `(samples,)`."""

    frames: torch.Tensor
    embeddings: torch.Tensor
    samples: torch.Tensor


class Segments:
    """Draw pieces of lessons, longer ones more often, each with a random voice."""

    def __init__(self, lessons: Sequence[Lesson], seed: int) -> None:
        self.lessons, self.picks = lessons, np.random.default_rng(seed)
        lengths = np.array([lesson.frames.shape[2] for lesson in lessons], dtype=float)
        self.odds = lengths / lengths.sum()

    def draw(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, slice]:
        """Return frames `(1, channels, frames)`, embedding `(1, 512, 1)`, samples, and which of the samples count."""
        lesson = self.lessons[self.picks.choice(len(self.lessons), p=self.odds)]
        voice, total = self.picks.integers(len(lesson.frames)), lesson.frames.shape[2]
        # A piece may begin before the clip does, so that its ends are heard as often as its middle.
        start = int(
            np.clip(self.picks.integers(-SEGMENT_FRAMES // 2, total - SEGMENT_FRAMES // 2), 0, total - SEGMENT_FRAMES)
        )
        end = start + SEGMENT_FRAMES
        first, last = (start > 0) * EDGE_FRAMES, SEGMENT_FRAMES - (end < total) * EDGE_FRAMES
        return (
            lesson.frames[voice : voice + 1, :, start:end],
            lesson.embeddings[voice : voice + 1],
            lesson.samples[start * HOP : end * HOP],
            slice(first * HOP, last * HOP),
        )


def distance(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return how far two waveforms `(samples,)` are apart: log magnitudes, spectral convergence, and the samples."""
    total = WAVEFORM_WEIGHT * l1_loss(made, wanted)
    for size in FFT_SIZES:
        window = torch.hann_window(size)
        a, b = (torch.stft(x, size, size // 4, window=window, return_complex=True).abs() for x in (made, wanted))
        magnitudes = l1_loss(a.clamp(min=FLOOR).log(), b.clamp(min=FLOOR).log())
        total = total + (magnitudes + (a - b).norm() / b.norm().clamp(min=1e-2)) / len(FFT_SIZES)
    return total


class Course:
    """A training that two threads share: the weights, their average, the optimizer, and how far it is."""

    def __init__(self, vocoder: nn.Module, state: Path, steps: int, log: Callable[..., None]) -> None:
        self.vocoder, self.state, self.steps, self.log = vocoder, state, steps, log
        self.averaged = copy.deepcopy(vocoder).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(vocoder.parameters(), lr=1.0, betas=(0.8, 0.99), weight_decay=0.0)
        self.step, seconds = self._resume() if state.exists() else (0, 0.0)
        self.began, self.kept, self.losses = time.monotonic() - seconds, time.monotonic(), []

    def advance(self, gradients: Sequence[torch.Tensor], loss: float) -> None:
        """Take one step, average, log and keep."""
        for parameter, gradient in zip(self.vocoder.parameters(), gradients, strict=True):
            parameter.grad = gradient
        nn.utils.clip_grad_norm_(self.vocoder.parameters(), 10.0)
        self.optimizer.param_groups[0]["lr"] = learning_rate(self.step, self.steps)
        self.optimizer.step()
        self.step += 1
        share = min(AVERAGED, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.averaged.parameters()), list(self.vocoder.parameters()), 1 - share)
        self.losses.append(loss)
        if self.step % LOGGED_STEPS == 0:
            self.log(self.step, float(np.mean(self.losses)), time.monotonic() - self.began, self.averaged)
            self.losses.clear()
        if time.monotonic() - self.kept > KEPT_SECONDS or self.step == self.steps:
            self._keep()

    def _keep(self) -> None:
        new, parts = self.state.with_suffix(".new"), (self.vocoder, self.averaged, self.optimizer)
        torch.save(
            {
                "parts": [part.state_dict() for part in parts],
                "step": self.step,
                "seconds": time.monotonic() - self.began,
            },
            new,
        )
        new.replace(self.state)
        self.kept = time.monotonic()

    def _resume(self) -> tuple[int, float]:
        saved = torch.load(self.state, weights_only=True)
        for part, state in zip((self.vocoder, self.averaged, self.optimizer), saved["parts"], strict=True):
            part.load_state_dict(state)
        return saved["step"], saved["seconds"]


def train(
    vocoder: nn.Module, lessons: Sequence[Lesson], state: Path, steps: int, log: Callable[..., None]
) -> nn.Module:
    """Train coqui's `HifiganGenerator` and return its averaged copy; an interrupted training goes on from `state`.

    Two threads each take a segment, with weights that are at most one step old: cores that are busy with other work hold
    up one segment only, where two threads inside each convolution would wait for one another thousands of times.

    Args:
        state: file that holds weights, averages, optimizer and the step; written every two minutes.
        log: called with the step, the loss, the seconds since the start, and the averaged copy.
    """
    course, turn = Course(vocoder, state, steps, log), threading.Lock()
    segments = Segments(lessons, seed=course.step)

    def work(_: int) -> None:
        torch.set_num_threads(1)
        mine = copy.deepcopy(vocoder)
        while True:
            with turn, torch.no_grad():
                if course.step >= steps:
                    return
                torch._foreach_copy_(list(mine.parameters()), list(vocoder.parameters()))
                segment, exact = segments.draw(), course.step >= (1 - FLOAT32_SHARE) * steps
            loss, gradients = _gradients(mine, segment, exact)
            with turn:
                course.advance(gradients, loss)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    return course.averaged


def learning_rate(step: int, steps: int) -> float:
    """Return a rate that rises over 50 steps, then falls along half a cosine."""
    high, low = LEARNING_RATES
    return min(1.0, (step + 1) / 50) * (low + (high - low) * 0.5 * (1 + math.cos(math.pi * step / steps)))


def _gradients(vocoder: nn.Module, segment: Any, exact: bool) -> tuple[float, Sequence[torch.Tensor]]:
    frames, embedding, samples, counted = segment
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not exact):
        made = vocoder(frames, g=embedding)[0, 0]
    loss = distance(made.float()[counted], samples[counted])
    return loss.item(), torch.autograd.grad(loss, list(vocoder.parameters()))
