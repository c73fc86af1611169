"""What is known of a language: how its code is written, which are spoken, how fast they are read. No torch."""

from collections.abc import Mapping
from typing import Any

from verify import resources
from verify.errors import SourceError
from verify.source.vocabulary import Vocabulary


def spelt(language: str) -> str:
    """Return the language code as XTTS writes it: `zh` is `zh-cn`, `pt-BR` is `pt`."""
    code = language.lower()
    return "zh-cn" if code.startswith("zh") else code.split("-")[0]


def has_figures(language: str) -> bool:
    """Whether it is known how fast the language is read: only of the 17 languages of XTTS."""
    return language in resources.load("sentences")


def choose_language(
    requested: str | None, of_run: str | None, config: Mapping[str, Any], vocabulary: Vocabulary
) -> str:
    """Return the language to speak: the user's, else the run's, else English.

    One beyond the 17 of XTTS can be spoken where the vocabulary has its token, whatever the config lists: fine-tunes
    that add a language seldom list it.

    Args:
        of_run: the language of the run's datasets, if they name one.

    Raises:
        SourceError: this model does not have the language.
    """
    supported = resources.load("sentences").keys()
    listed = [name for name in supported if name in config.get("languages", supported)] or list(supported)
    allowed = [*listed, *(language for language in vocabulary.added_languages)]
    language = spelt(requested or of_run or "en")
    if language in allowed:
        return language
    if requested is None:
        return "en" if "en" in allowed else allowed[0]
    raise SourceError(
        "bad-language",
        f"language {requested[:40]!r} is not one of this model's",
        f"Pass --language with one of: {' '.join(allowed)}.",
    )


def seconds_range(text: str, language: str, speed: float = 1.0) -> tuple[float, float] | None:
    """Return the shortest and the longest plausible duration of the spoken text, in seconds; None without figures.

    Args:
        speed: how many times as fast as usual it is spoken.
    """
    pace = resources.load("sentences").get(language)
    return (len(text) / pace["fastest"] / speed, (len(text) / pace["slowest"] + 1.0) / speed) if pace else None


def longest_seconds(text: str, language: str) -> float:
    """Return the seconds of the slowest plausible reading and a pause; of a language without figures, by the slowest of all.

    It bounds a model that never stops, so it may be too generous, never too strict.
    """
    paces = resources.load("sentences")
    slowest = paces[language]["slowest"] if language in paces else min(pace["slowest"] for pace in paces.values())
    return float(len(text) / slowest + 1.0)
