"""Hold what is said against an English text without a download: pocketsphinx, whose wheel carries a model. No torch.

The text is aligned to the clip: each sound of it takes the frames where it fits best. How well it fits there, beside the
sound that fits best of all, tells whether the words are in the clip. Nothing is written down, so nothing can be misheard.
"""

import math
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from verify import resources
from verify.audio import signal, vad_mos
from verify.checks import ONLY_WORDS, WORDS, Check

LANGUAGE = "en"
_WORD = re.compile(r"[a-z](?:[a-z'.]*[a-z])?")
_UNDERFLOW = 1e-300  # a score below the smallest float comes back as 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Where one word was aligned, in frames of 10 ms, and how well it fits there: the mean log-likelihood beside the best sound's."""

    word: str
    first: int
    last: int
    score: float  # 0 where nothing fits better


def word_checks(samples: np.ndarray, rate_hz: int, text: str | None, language: str) -> tuple[Check, ...]:
    """Return the checks that the words of the text are in mono samples `(samples,)`, and that hardly anything else is.

    Nothing where that cannot be said: pocketsphinx is not installed, the text is not English, or has a word that the
    dictionary lacks.
    """
    words = known_words(text, language) if text else None
    if not words:
        return ()
    finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    sound = vad_mos.at_network_rate(np.pad(finite, (0, max(0, rate_hz // 10 - len(finite)))), rate_hz)
    fits = align(sound, words)
    audible = ~signal.silent_frames(signal.frame_levels(sound, vad_mos.RATE_HZ))
    return _all_there(fits), _nothing_else(fits, audible)


def _all_there(fits: tuple[Fit, ...]) -> Check:
    limits = resources.load("limits")["words"]
    misfits = [fit.word for fit in fits if fit.score < limits["word_score"]]
    share = len(misfits) / len(fits) if fits else 1.0
    missed = f"not heard: {', '.join(dict.fromkeys(misfits))}" if fits else "they cannot be found in the sample"
    return Check(
        name=WORDS,
        ok=share <= limits["misfit_share"],
        measured=round(share, 2),
        high=limits["misfit_share"],
        unit="of the words do not fit",
        hint=f"Other words than the text: {missed[:120]}.",
    )


def _nothing_else(fits: tuple[Fit, ...], audible: np.ndarray) -> Check:
    limit = resources.load("limits")["words"]["covered_share"]
    covered = np.zeros(len(audible), bool)
    for fit in fits:
        covered[fit.first : fit.last + 1] = True
    share = float(np.sum(covered & audible)) / max(1, int(np.sum(audible)))
    return Check(
        name=ONLY_WORDS,
        ok=share >= limit,
        measured=round(share, 2),
        low=limit,
        unit="of what is heard",
        hint="More is said than the text.",
    )


def known_words(text: str, language: str) -> tuple[str, ...] | None:
    """Return the words of an English text as the dictionary spells them; None where it lacks one."""
    if language != LANGUAGE or find_spec("pocketsphinx") is None:
        return None
    from verify.audio.transcription import numbers_in_words

    folded = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    folded = numbers_in_words(folded, language).replace("-", " ")
    if any(char.isalnum() and not char.isascii() for char in folded):
        return None
    words = tuple(_WORD.findall(folded))
    return words if words and _dictionary().issuperset(words) else None


def align(samples: np.ndarray, words: tuple[str, ...]) -> tuple[Fit, ...]:
    """Return how each word fits in samples `(samples,)` at 16 kHz, not none; nothing where the words cannot be brought into them."""
    decoder = _decoder()
    decoder.reinit_feat()  # it would carry the mean of the last clip over
    decoder.set_align_text(" ".join(words))
    decoder.start_utt()
    decoder.process_raw((np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes(), no_search=False, full_utt=True)
    decoder.end_utt()
    if decoder.hyp() is None:
        return ()
    spoken = [part for part in decoder.seg() if part.word[0] not in "<[("]  # not <sil>, [NOISE], (NULL)
    return tuple(_fit(part) for part in spoken)


def _fit(part: Any) -> Fit:
    score = math.log(max(part.ascore, _UNDERFLOW)) / (part.end_frame - part.start_frame + 1)
    return Fit(word=part.word.split("(")[0], first=part.start_frame, last=part.end_frame, score=score)


@cache
def _decoder() -> Any:
    from pocketsphinx import Decoder

    return Decoder(lm=None, samprate=float(vad_mos.RATE_HZ), loglevel="FATAL")


@cache
def _dictionary() -> frozenset[str]:
    from pocketsphinx import get_model_path

    lines = Path(get_model_path("en-us/cmudict-en-us.dict")).read_text(encoding="utf-8").splitlines()
    return frozenset(line.split(" ", 1)[0] for line in lines)
