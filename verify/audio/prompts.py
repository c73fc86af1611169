"""Decide before the long work which sentences to speak, in which language and voice; refuse what cannot work. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify import resources
from verify.audio import clips as audio
from verify.audio.languages import choose_language, has_figures, spelt
from verify.errors import Cause, SourceError, counted
from verify.files.local import missing, require_regular_file
from verify.files.text import decode_text
from verify.options import Job
from verify.source.companions import Found, Source
from verify.source.sampling import Sampling, sampling_of
from verify.source.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Script:
    """The sentences to speak, their language, the reference clips of the voice, and where those were found (in words)."""

    texts: tuple[str, ...]
    language: str
    clips: tuple[audio.Clip, ...]
    reference: str
    sampling: Sampling
    warnings: tuple[Cause, ...] = ()
    whisper: Path | None = None  # the folder of the model that transcribes the samples


def prepare(job: Job, source: Source, config: Mapping[str, Any], vocabulary: Vocabulary) -> Script:
    """Return what to speak; without a text, a short sentence in the run's language.

    Raises:
        SourceError: a text is empty or too long, the model does not have the language, or a clip cannot be used.
    """
    spoken = choose_language(job.language, source.language, config, vocabulary)
    standard = standard_texts(spoken) if job.standard_texts else ()
    sentences = (*job.texts, *standard) or (default_sentence(spoken, source),)
    for text in sentences:
        require_text(text)
    require_few(len(sentences), job.seeds)
    if spoken not in vocabulary.languages:
        raise SourceError(
            "bad-vocab",
            f"vocab.json has no [{spoken}] token, so the model cannot be told to speak {spoken!r}",
            f"It has {' '.join(vocabulary.languages) or 'no language at all'}: pass one of them with --language.",
        )
    clips, reference = reference_clips(source.clips)
    warnings = [*reference_warnings(clips)]
    if job.language is None and source.language and spelt(source.language) != spoken:
        message = (
            f"the run's language {source.language[:40]!r} is not one of this model's; {spoken!r} is spoken instead"
        )
        warnings.append(
            Cause(code="language-fallback", severity="warning", message=message, hint="Pass --language CODE.")
        )
    return Script(
        texts=sentences,
        language=spoken,
        clips=tuple(clips),
        reference=reference,
        sampling=sampling_of(config, job),
        warnings=tuple(warnings),
    )


def standard_texts(language: str) -> tuple[str, ...]:
    """Return the eight sentences that ship for a language: short and long, with what models stumble over.

    Raises:
        SourceError: none ship for it.
    """
    shipped = resources.load("standard_texts")
    if language not in shipped:
        raise SourceError(
            "bad-text",
            f"no standard texts ship for {language!r}",
            "Pass a text file with one sentence a line: --texts FILE.",
        )
    return tuple(shipped[language])


def default_sentence(language: str, source: Source) -> str:
    """Return the sentence to speak where the user names none; beyond the 17 languages of XTTS it is the run's own.

    Raises:
        SourceError: the run has no sentence in the language.
    """
    if has_figures(language):
        return str(resources.load("sentences")[language]["text"])
    own = next((text for code, text in source.sentences.items() if spelt(code) == language), None)
    if own is None:
        raise SourceError(
            "no-sentence",
            f"no sentence in {language!r} is known: neither the test sentences nor the dataset of the run has one",
            "Pass one with --text.",
        )
    return own


def read_texts(path: Path) -> tuple[str, ...]:
    """Return the sentences of a text file, one per line; empty lines are skipped.

    Raises:
        SourceError: the file is missing, too large, not UTF-8, or holds no sentence.
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
    """Check that there are not too many samples to listen to.

    Raises:
        SourceError: there are too many.
    """
    limit = resources.load("limits")["text"]["most_takes"]
    if sentences * seeds > limit:
        raise SourceError(
            "too-many-takes",
            f"{counted(sentences, 'sentence')} with {counted(seeds, 'seed')} each make {sentences * seeds:,} takes; {limit} is the limit",
            "Pass fewer sentences or a smaller --seeds.",
        )


def require_text(text: str) -> None:
    """Check that a text can be spoken.

    Raises:
        SourceError: it holds no letter or digit, is too long, or is not valid Unicode.
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


def reference_clips(candidates: Sequence[Found]) -> tuple[list[audio.Clip], str]:
    """Return the reference clips and where they came from.

    Every clip that the user named must be usable. Of those that the run's config names, take the first usable one of the
    advised length, else the longest usable one, else the clip that ships with the project.

    Raises:
        SourceError: a clip that the user named cannot be used.
    """
    if candidates and candidates[0].origin == "--speaker-wav":
        clips = [audio.read_clip(item.path) for item in candidates]
        for clip in clips:
            audio.require_usable(clip)
        return clips, ", ".join(f"{item.path} (--speaker-wav)" for item in candidates)
    usable: list[tuple[audio.Clip, Found]] = []
    for item in candidates:
        try:
            clip = audio.read_clip(item.path)
            audio.require_usable(clip)
        except SourceError:
            continue  # the user did not choose it, so try the next one
        usable.append((clip, item))
        if clip.seconds >= resources.load("limits")["reference"]["advised_seconds"]:
            break
    if usable:
        clip, item = max(usable, key=lambda pair: pair[0].seconds)
        return [clip], f"{item.path} ({item.origin})"
    return [audio.read_clip(resources.DEFAULT_REFERENCE)], "the clip that ships with this project"


def reference_warnings(clips: Sequence[audio.Clip]) -> tuple[Cause, ...]:
    """Return a warning where the clips are shorter, and one where their rate is lower, than advised."""
    limits, messages = resources.load("limits")["reference"], []
    total = sum(clip.seconds for clip in clips)
    if total < limits["advised_seconds"]:
        messages.append(
            f"the reference is {total:.2f} s long; {limits['advised_seconds']:g} s and more give a truer voice"
        )
    lowest = min(clip.rate_hz for clip in clips)
    if lowest < limits["advised_rate_hz"]:
        messages.append(
            f"the reference is sampled at {lowest:,} Hz; {limits['advised_rate_hz']:,} Hz and more give a truer voice"
        )
    return tuple(Cause(code="reference-clip", severity="warning", message=message) for message in messages)
