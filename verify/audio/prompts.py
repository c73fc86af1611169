"""Decide before the long work what is to be said, in which language and in whose voice; refuse what cannot be. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify import resources
from verify.audio import clips as audio
from verify.errors import Cause, SourceError, counted
from verify.files.local import missing, require_regular_file
from verify.files.text import decode_text
from verify.source.companions import Found, Source
from verify.source.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Script:
    """Sentences, their language, the reference clips of the voice, and in words where they were found."""

    texts: tuple[str, ...]
    language: str
    clips: tuple[audio.Clip, ...]
    reference: str
    warnings: tuple[Cause, ...] = ()
    whisper: Path | None = None  # the folder of the model that writes down what was said


def prepare(
    texts: Sequence[str],
    seeds: int,
    language: str | None,
    source: Source,
    config: Mapping[str, Any],
    vocabulary: Vocabulary,
) -> Script:
    """Return what to say; no text means: a short sentence in the run's language.

    Raises:
        SourceError: nothing to say, too much, a language that the model has not, or a clip that cannot be used.
    """
    spoken = choose_language(language, source, config)
    chosen = tuple(texts) or (resources.load("sentences")[spoken]["text"],)
    for text in chosen:
        require_text(text)
    require_few(len(chosen), seeds)
    if spoken not in vocabulary.languages:
        raise SourceError(
            "bad-vocab",
            f"vocab.json has no [{spoken}] token, so the model cannot be told to speak {spoken!r}",
            f"It has {' '.join(vocabulary.languages) or 'no language at all'}: pass one of them with --language.",
        )
    clips, reference = reference_clips(source.clips)
    warnings = [*reference_warnings(clips)]
    if language is None and source.language and spelt(source.language) != spoken:
        message = (
            f"the run's language {source.language[:40]!r} is not one of this model's; {spoken!r} is spoken instead"
        )
        warnings.append(
            Cause(code="language-fallback", severity="warning", message=message, hint="Pass --language CODE.")
        )
    return Script(texts=chosen, language=spoken, clips=tuple(clips), reference=reference, warnings=tuple(warnings))


def read_texts(path: Path) -> tuple[str, ...]:
    """Return the sentences in a text file, one a line, empty lines aside.

    Raises:
        SourceError: it is not there, too large, no text, or holds none.
    """
    if not path.exists():
        raise missing(path)
    size = require_regular_file(path)
    limit = resources.load("limits")["text"]["largest_file_bytes"]
    try:
        text = decode_text(path.read_bytes()) if size <= limit else ""
    except UnicodeDecodeError as error:
        raise SourceError("bad-text", f"{path} is not UTF-8: {error.reason}", "Save it as UTF-8.") from error
    lines = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not lines:
        reason = f"has {size:,} bytes; {limit:,} is the limit" if size > limit else "holds no sentence"
        raise SourceError("bad-text", f"{path} {reason}", "Pass a text file with one sentence a line.")
    return lines


def require_few(sentences: int, seeds: int) -> None:
    """Check that the takes can be listened to.

    Raises:
        SourceError: there are too many.
    """
    most = resources.load("limits")["text"]["most_takes"]
    if sentences * seeds > most:
        raise SourceError(
            "too-many-takes",
            f"{counted(sentences, 'sentence')} with {counted(seeds, 'seed')} each make {sentences * seeds:,} takes; {most} is the limit",
            "Pass fewer sentences or a smaller --seeds.",
        )


def choose_language(wanted: str | None, source: Source, config: Mapping[str, Any]) -> str:
    """Return the language to speak: the user's, else the run's, else English.

    Raises:
        SourceError: it is none that XTTS knows, or none of this model's.
    """
    known = resources.load("sentences").keys()
    allowed = [name for name in known if name in config.get("languages", known)] or list(known)
    language = spelt(wanted or source.language or "en")
    if language in allowed:
        return language
    if wanted is None:
        return "en" if "en" in allowed else allowed[0]
    raise SourceError(
        "bad-language",
        f"language {wanted[:40]!r} is not one of this model's",
        f"Pass --language with one of: {' '.join(allowed)}.",
    )


def spelt(language: str) -> str:
    """Return the code as XTTS writes it: `zh` is `zh-cn`, `pt-BR` is `pt`."""
    code = language.lower()
    return "zh-cn" if code.startswith("zh") else code.split("-")[0]


def seconds_range(text: str, language: str) -> tuple[float, float]:
    """Return the shortest and longest plausible reading of the text, in seconds."""
    pace = resources.load("sentences")[language]
    return len(text) / pace["fastest"], len(text) / pace["slowest"] + 1.0


def require_text(text: str) -> None:
    """Check that there is something to say, and not too much.

    Raises:
        SourceError: there is not.
    """
    longest = resources.load("limits")["text"]["longest_characters"]
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise SourceError("bad-text", "--text is not valid Unicode", "Pass it as UTF-8.")
    if not any(char.isalnum() for char in text):
        raise SourceError("bad-text", f"--text {text[:40]!r} holds nothing to say", "Pass a sentence with words in it.")
    if len(text) > longest:
        raise SourceError(
            "text-too-long", f"--text has {len(text):,} characters; {longest} is the limit", "Pass one sentence."
        )


def reference_clips(found: Sequence[Found]) -> tuple[list[audio.Clip], str]:
    """Return the reference clips and where they came from.

    What the user named must be usable, all of it; of what the run's config names the first usable clip serves, best
    one of the advised length; else the clip that ships with the project.

    Raises:
        SourceError: a clip that the user named cannot be used.
    """
    if found and found[0].origin == "--speaker-wav":
        clips = [audio.read_clip(item.path) for item in found]
        for clip in clips:
            audio.require_usable(clip)
        return clips, ", ".join(f"{item.path} (--speaker-wav)" for item in found)
    usable: list[tuple[audio.Clip, Found]] = []
    for item in found:
        try:
            clip = audio.read_clip(item.path)
            audio.require_usable(clip)
        except SourceError:
            continue  # the user did not choose it: the next one may do
        usable.append((clip, item))
        if clip.seconds >= resources.load("limits")["reference"]["advised_seconds"]:
            break
    if usable:
        clip, item = max(usable, key=lambda pair: pair[0].seconds)
        return [clip], f"{item.path} ({item.origin})"
    return [audio.read_clip(resources.DEFAULT_REFERENCE)], "the clip that ships with this project"


def reference_warnings(clips: Sequence[audio.Clip]) -> tuple[Cause, ...]:
    """Return a warning for each way in which the clips are less than advised."""
    limits, found = resources.load("limits")["reference"], []
    total = sum(clip.seconds for clip in clips)
    if total < limits["advised_seconds"]:
        found.append(
            f"the reference is {total:.2f} s long; {limits['advised_seconds']:g} s and more give a truer voice"
        )
    lowest = min(clip.rate_hz for clip in clips)
    if lowest < limits["advised_rate_hz"]:
        found.append(
            f"the reference is sampled at {lowest:,} Hz; {limits['advised_rate_hz']:,} Hz and more give a truer voice"
        )
    return tuple(Cause(code="reference-clip", severity="warning", message=message) for message in found)
