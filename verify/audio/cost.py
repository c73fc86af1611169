"""Say before the long work what it will take: how many sentences, how much sound, how many models."""

from verify import resources
from verify.audio.languages import has_figures
from verify.audio.prompts import Script
from verify.errors import counted

# `slowest` in sentences.toml is half of a calm reading, `fastest` twice a quick one; in between lies what is usual.
_CALM, _QUICK = 2.0, 0.5


def in_words(script: Script, seeds: int, models: int = 1) -> str:
    """Return what will be said; empty for a single take of one model."""
    takes = len(script.texts) * seeds * models
    if takes == 1:
        return ""
    said = counted(len(script.texts), "sentence")
    said += f" with {seeds} seeds" if seeds > 1 else ""
    said += f" by {models} models" if models > 1 else ""
    told = f" ({counted(takes, 'take')})" if takes > len(script.texts) else ""
    loaded = "each model is loaded once" if models > 1 else "the model is loaded once"
    return f"to say: {said}{told}, about {seeds * models * _seconds(script):.0f} s of sound; {loaded}"


def _seconds(script: Script) -> float:
    """Return how long the sentences take: as long as the speaker took where that is known, else by the usual pace."""
    known = (
        {recording.text: recording.clip.seconds for recording in script.held_out.recordings} if script.held_out else {}
    )
    return sum(known.get(text) or len(text) / _pace(script.language) for text in script.texts) / script.sampling.speed


def _pace(language: str) -> float:
    pace = resources.load("sentences")[language if has_figures(language) else "en"]
    return float(_CALM * pace["slowest"] + _QUICK * pace["fastest"]) / 2
