"""Overfit the vocoder: it learns to turn the frames of the frozen GPT into the clip of the sentence."""

import copy
import math
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import l1_loss

from recipe.sentences import HOP

FFT_SIZES = (64, 256, 512, 1024, 2048)
SEGMENT_FRAMES = 48  # 0.51 s
EDGE_FRAMES = 3  # no loss at the edges of a segment, where the vocoder lacks context
LEARNING_RATES = 1e-3, 5e-5
WAVEFORM_WEIGHT = 5.0
SLOPE_WEIGHT = 20.0  # of the differences between samples: without it the sharp onsets of the glottis are lost in the high frequencies
FLOOR = 1e-2  # magnitudes below are silence: about 60 dB under a voice; without the floor they would dominate the loss
AVERAGED = 0.99  # share of the averaged weights that a step keeps
FLOAT32_SHARE = 0.05  # the last steps compute in float32, as inference does; the others in bfloat16, twice as fast
SAVE_SECONDS = 120
WORKERS = 2
LOGGED_STEPS = 25


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """One sentence: frames of each voice `(voices, channels, frames)`, embeddings `(voices, 512, 1)`, samples `(samples,)`."""

    frames: torch.Tensor
    embeddings: torch.Tensor
    samples: torch.Tensor


class Segments:
    """Draw random segments of the lessons, each with a random voice."""

    def __init__(self, lessons: Sequence[Lesson], seed: int) -> None:
        self.lessons, self.picks = lessons, np.random.default_rng(seed)

    def draw(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, slice]:
        """Return frames `(1, channels, frames)`, embedding `(1, 512, 1)`, samples, and the slice of samples that counts in the loss."""
        lesson = self.lessons[self.picks.integers(len(self.lessons))]
        voice, total = self.picks.integers(len(lesson.frames)), lesson.frames.shape[2]
        # Positions beyond the ends are moved to them, so that the ends are trained as often as the middle.
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


def distance(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the distance of two waveforms `(samples,)`: log magnitudes, spectral convergence, samples and slopes."""
    total = WAVEFORM_WEIGHT * l1_loss(output, target) + SLOPE_WEIGHT * l1_loss(output.diff(), target.diff())
    for size in FFT_SIZES:
        window = torch.hann_window(size)
        a, b = (torch.stft(x, size, size // 4, window=window, return_complex=True).abs() for x in (output, target))
        magnitudes = l1_loss(a.clamp(min=FLOOR).log(), b.clamp(min=FLOOR).log())
        total = total + (magnitudes + (a - b).norm() / b.norm().clamp(min=1e-2)) / len(FFT_SIZES)
    return total


class SharedTraining:
    """The state of the training in shared memory: the weights, their average, Adam's moments and the step."""

    def __init__(self, vocoder: nn.Module, state: Path, steps: int) -> None:
        self.vocoder, self.state, self.steps = vocoder, state, steps
        self.averaged = copy.deepcopy(vocoder).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(vocoder.parameters(), lr=1.0, betas=(0.8, 0.99), weight_decay=0.0)
        for parameter in vocoder.parameters():
            moments = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
            self.optimizer.state[parameter] = {"step": torch.zeros(()), **moments}
        self.step, self.seconds = torch.zeros((), dtype=torch.int64), 0.0
        if state.exists():
            self._resume()
        moments = [tensor for tensors in self.optimizer.state.values() for tensor in tensors.values()]
        for tensor in (*vocoder.parameters(), *self.averaged.parameters(), *moments, self.step):
            tensor.share_memory_()

    def advance(self, gradients: Sequence[torch.Tensor]) -> int:
        """Take one step, average, and return how many steps were taken."""
        for parameter, gradient in zip(self.vocoder.parameters(), gradients, strict=True):
            parameter.grad = gradient
        nn.utils.clip_grad_norm_(self.vocoder.parameters(), 10.0)
        done = int(self.step)
        self.optimizer.param_groups[0]["lr"] = learning_rate(done, self.steps)
        self.optimizer.step()
        self.step += 1
        share = min(AVERAGED, (done + 1) / (done + 11))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.averaged.parameters()), list(self.vocoder.parameters()), 1 - share)
        return done + 1

    def save(self, seconds: float) -> None:
        """Write the state to a new file, then rename it over the old one."""
        new, parts = self.state.with_suffix(".new"), (self.vocoder, self.averaged, self.optimizer)
        whole = {"parts": [part.state_dict() for part in parts], "step": int(self.step), "seconds": seconds}
        torch.save(whole, new)
        new.replace(self.state)

    def _resume(self) -> None:
        saved = torch.load(self.state, weights_only=True)
        for part, state in zip((self.vocoder, self.averaged, self.optimizer), saved["parts"], strict=True):
            part.load_state_dict(state)
        self.step.fill_(saved["step"])
        self.seconds = saved["seconds"]


def train(
    vocoder: nn.Module, lessons: Sequence[Lesson], state: Path, steps: int, log: Callable[..., None]
) -> nn.Module:
    """Train coqui's `HifiganGenerator` and return its averaged copy; an interrupted training goes on from `state`.

    Two processes of one thread each take a segment, with weights that are at most one step old: on busy
    cores, two threads inside each convolution would wait for each other thousands of times. Needs `fork`.

    Args:
        state: file that holds weights, averages, optimizer and the step; written every two minutes.
        log: called with the step, the loss and the seconds since the start, and the averaged copy.
    """
    training, processes = SharedTraining(vocoder, state, steps), multiprocessing.get_context("fork")
    lock, finished = processes.Lock(), processes.Queue()
    for number in range(WORKERS):
        segments = Segments(lessons, seed=WORKERS * int(training.step) + number)
        processes.Process(target=_work, args=(training, segments, lock, finished), daemon=True).start()
    start, saved_at, losses = time.monotonic() - training.seconds, time.monotonic(), []
    for _ in range(int(training.step), steps):
        step, loss = finished.get()
        losses.append(loss)
        if step % LOGGED_STEPS and step != steps and time.monotonic() - saved_at < SAVE_SECONDS:
            continue
        with lock:
            seconds = time.monotonic() - start
            if step % LOGGED_STEPS == 0:
                log(step, float(np.mean(losses)), seconds, training.averaged)
                losses.clear()
            if step == steps or time.monotonic() - saved_at > SAVE_SECONDS:
                training.save(seconds)
                saved_at = time.monotonic()
    return training.averaged


def _work(training: SharedTraining, segments: Segments, lock: Any, finished: Any) -> None:
    """Take steps until all are done, in a session of its own: some schedulers give each session an equal share."""
    os.setsid()
    local = copy.deepcopy(training.vocoder)
    while True:
        with lock, torch.no_grad():
            done = int(training.step)
            torch._foreach_copy_(list(local.parameters()), list(training.vocoder.parameters()))
        if done >= training.steps or not multiprocessing.parent_process().is_alive():
            return
        loss, gradients = _gradients(local, segments.draw(), exact=done >= (1 - FLOAT32_SHARE) * training.steps)
        with lock:
            if int(training.step) < training.steps:
                finished.put((training.advance(gradients), loss))


def learning_rate(step: int, steps: int) -> float:
    """Return a rate that rises over 50 steps, then falls along half a cosine."""
    high, low = LEARNING_RATES
    return min(1.0, (step + 1) / 50) * (low + (high - low) * 0.5 * (1 + math.cos(math.pi * step / steps)))


def _gradients(vocoder: nn.Module, segment: Any, exact: bool) -> tuple[float, Sequence[torch.Tensor]]:
    frames, embedding, samples, counted = segment
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not exact):
        output = vocoder(frames, g=embedding)[0, 0]
    loss = distance(output.float()[counted], samples[counted])
    return loss.item(), torch.autograd.grad(loss, list(vocoder.parameters()))
