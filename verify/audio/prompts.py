"""Decide before the long work which sentences to speak, in which language and voice; refuse what cannot work. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verify import resources
from verify.audio import clips as audio
from verify.audio import recordings
from verify.audio.languages import choose_language, has_figures, spelt
from verify.audio.recordings import HeldOut
from verify.audio.references import Voices, choose_voice, reference_warnings
from verify.audio.whisper import Whisper
from verify.errors import Cause, SourceError, counted
from verify.files.local import missing, require_regular_file
from verify.files.text import decode_text
from verify.options import Job
from verify.source.companions import Source
from verify.source.held_out import held_out_rows
from verify.source.sampling import Sampling, sampling_of
from verify.source.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Script:
    """The sentences to speak, their language, the reference clips of the voice, and where those were found (in words).

    Where `voice` names one of the model's own speakers file, there are no clips.
    """

    texts: tuple[str, ...]
    language: str
    clips: tuple[audio.Clip, ...]
    reference: str
    sampling: Sampling = field(default_factory=lambda: sampling_of({}))
    voice: str | None = None
    warnings: tuple[Cause, ...] = ()
    whisper: Whisper | None = None  # that was asked to write down what is said
    at_hand: tuple[Whisper, ...] = ()  # those of which one may do so unasked, where it costs less than the speech
    held_out: HeldOut | None = None  # recordings of the speaker, whose texts are among the sentences


def prepare(job: Job, source: Source, config: Mapping[str, Any], vocabulary: Vocabulary, voices: Voices) -> Script:
    """Return what to speak; without a text, a short sentence in the run's language.

    Args:
        voices: those of the model's own speakers file.

    Raises:
        SourceError: a text is empty or too long, the model does not have the language or the voice, or a clip cannot
            be used.
    """
    spoken = choose_language(job.language, source.language, config, vocabulary)
    standard = standard_texts(spoken) if job.standard_texts else ()
    named = (*job.texts, *standard)
    for text in named:
        require_text(text)
    require_few(len(named) + (job.held_out_clips if job.held_out else not named), job.seeds)
    if spoken not in vocabulary.languages:
        raise SourceError(
            "bad-vocab",
            f"vocab.json has no [{spoken}] token, so the model cannot be told to speak {spoken!r}",
            f"It has {' '.join(vocabulary.languages) or 'no language at all'}: pass one of them with --language.",
        )
    voice, clips, reference = choose_voice(job, source, voices, config)
    held_out = _held_out(job, source, spoken, clips)
    sentences = (*named, *(held_out.texts if held_out else ())) or (default_sentence(spoken, source),)
    require_text(sentences[-1])
    warnings = [*reference_warnings(clips, config), *(held_out.causes if held_out else ())]
    if job.language is None and source.language and spelt(source.language) != spoken:
        message = (
            f"the run's language {source.language[:40]!r} is not one of this model's; {spoken!r} is spoken instead"
        )
        warnings.append(
            Cause(code="language-fallback", severity="warning", message=message, hint="Pass --language CODE.")
        )
    return Script(
        texts=tuple(dict.fromkeys(sentences)) if held_out else sentences,
        language=spoken,
        clips=tuple(clips),
        held_out=held_out,
        reference=reference,
        sampling=sampling_of(config, job),
        voice=voice,
        warnings=tuple(warnings),
    )


def _held_out(job: Job, source: Source, language: str, reference: Sequence[audio.Clip]) -> HeldOut | None:
    """Return the recordings that the samples are held against, where the user asks for that.

    Raises:
        SourceError: there are none, or none that could serve.
    """
    if job.held_out is None:
        return None
    found = held_out_rows(job.held_out, source.config, job.follow, language)
    return recordings.choose(found, job.held_out_clips, language, reference)


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
