"""Pictures for the page: a waveform and bars as numbers for inline SVG, a mel spectrogram as PNG."""

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import soxr

from verify.audio import mel
from verify.results.paired import PairedDifference

COLUMNS = 600  # of a waveform: more than a phone has pixels, fewer than bloat the page
SPECTROGRAM_COLUMNS, BANDS, WINDOW = 800, 96, 1024
SHADES = 64  # few, so that noise, which packs badly, stays small
# matplotlib's `magma` in that many steps, as red, green and blue: it stays readable for colour-blind eyes.
MAGMA = bytes.fromhex(
    "0000030101090303110605190a07220e0a2a120d33170f3c1c10462211502811592f1062350f6a3c0f71430f754a1079"
    "52127c58157e5e177f651a806b1c80711f817721817e24818426818a2881912a80972c7f9e2e7ea4307dab337cb1357a"
    "b93778c03a75c63c73cd3f70d3426dd9466ade4a67e44e64e85461ed595ff0605df3675bf66e5bf8755cf97d5dfb8460"
    "fc8e63fd9567fd9d6bfda470feac75feb37bfebb80fec286fec98dfdd193fdd89afddfa1fce6a8fceeb0fcf5b7fbfcbf"
)
DEEPEST_DB = 80.0
TICKS_HZ = (500, 1000, 2000, 4000)


def waveform(samples: np.ndarray, height: int = 100) -> str:
    """Return the outline of the lowest and highest sample of each column, as the points of an SVG polygon."""
    columns = min(COLUMNS, len(samples))
    if not columns:
        return ""
    pieces = np.array_split(np.clip(samples, -1, 1), columns)
    top = [(x, height / 2 * (1 - float(piece.max()))) for x, piece in enumerate(pieces)]
    low = [(x, height / 2 * (1 - float(piece.min())) + 0.5) for x, piece in enumerate(pieces)]
    return " ".join(f"{x},{y:.1f}" for x, y in [*top, *reversed(low)])


def spectrogram(samples: np.ndarray, rate_hz: int) -> bytes:
    """Return a mel spectrogram from 0 to 8 kHz as PNG, 80 dB deep; colours that stay apart for colour-blind eyes."""
    from PIL import Image  # only where a page is written

    at_16_khz = soxr.resample(samples.astype(np.float32), rate_hz, mel.RATE_HZ)
    hop = max(128, math.ceil(len(at_16_khz) / SPECTROGRAM_COLUMNS))
    power = mel.mel_power(at_16_khz, window=WINDOW, hop=hop, bands=BANDS)
    levels = mel.decibel(power, max(float(power.max()), 1e-10))
    shades = np.round((levels.T[::-1] / DEEPEST_DB + 1) * (SHADES - 1)).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(shades))
    picture.putpalette(MAGMA)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def ticks() -> list[tuple[str, float]]:
    """Return the frequencies to write beside a spectrogram, and how high each lies, in percent."""
    full = 15 + math.log(mel.RATE_HZ / 2 / 1000) * 27 / math.log(6.4)  # Slaney's scale, as in verify.audio.mel
    places = [hz * 3 / 200 if hz < 1000 else 15 + math.log(hz / 1000) * 27 / math.log(6.4) for hz in TICKS_HZ]
    names = [f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz" for hz in TICKS_HZ]
    return [(name, 100 * place / full) for name, place in zip(names, places, strict=True)]


def limit_bar(check: dict[str, Any]) -> dict[str, float] | None:
    """Return where the allowed span begins and ends and where the measurement lies, in percent of a bar."""
    bar = span_bar(check["low"], check["high"], [check["measured"]])
    return {"low": bar["low"], "high": bar["high"], "at": bar["at"][0]} if bar else None


def span_bar(low: float | None, high: float | None, measured: Sequence[float | None]) -> dict[str, Any] | None:
    """Return the same for several measurements; `at` has a place, or None, for each."""
    known = [value for value in measured if value is not None and math.isfinite(value)]
    if not known or low is high is None:
        return None
    least, most = -math.inf if low is None else low, math.inf if high is None else high
    ends = [value for value in (least, most, *known) if math.isfinite(value)]
    margin = (max(ends) - min(ends)) * 0.3 or max(abs(known[0]), 1.0) * 0.3
    left, right = min(ends) - margin, max(ends) + margin
    if min(ends) >= 0 > left:
        left = 0.0  # what cannot be negative begins at zero
    places = [_place(value, left, right) if value in known else None for value in measured]
    return {"low": _place(least, left, right), "high": _place(most, left, right), "at": places}


def gain_bar(item: PairedDifference) -> dict[str, float | None]:
    """Return where a difference, its span and the margins lie, in percent of a bar whose middle is no difference, better to the right."""
    sign = 1 if item.better == "higher" else -1
    low, high = item.gains or (None, None)
    reach = 1.15 * max(abs(value) for value in (item.mean, item.margin, low or 0.0, high or 0.0)) or 1.0

    def place(value: float | None) -> float | None:
        return None if value is None else _place(value, -reach, reach)

    ends = {"margin_low": place(-item.margin), "margin_high": place(item.margin)}
    return {**ends, "low": place(low), "high": place(high), "at": place(sign * item.mean)}


def _place(value: float, left: float, right: float) -> float:
    return round(min(100.0, max(0.0, 100 * (value - left) / (right - left))), 1)


def key_bar(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the groups of the ledger with their share of the bytes and where each begins in a stacked bar, in percent."""
    total = sum(group["bytes"] for group in groups) or 1
    bars, begin = [], 0.0
    for group in groups:
        share = 100 * group["bytes"] / total
        bars.append({**group, "share": share, "begin": begin})
        begin += share
    return bars
