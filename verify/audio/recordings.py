"""Choose recordings of the speaker that the model is held against, and say what is wrong with those that cannot serve. No torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from verify import resources
from verify.audio.checks import judge_speech
from verify.audio.clips import Clip, read_clip, require_usable
from verify.checks import WORDS, Check
from verify.errors import Cause, SourceError, counted
from verify.source.dataset import Row, clip_path
from verify.source.held_out import HeldOutRows

SPEECH, LENGTH = "speech share", "plausible length"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """A clip that the model was not trained on, what is said in it, and what the judge finds in it."""

    clip: Clip
    name: str  # as the metadata file has it
    text: str
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeldOut:
    """The recordings that the model is held against, in words where they come from, and whether it was trained on them.

    `trained_on` is empty where the run's config says that it was not.
    """

    recordings: tuple[Recording, ...]
    origin: str
    trained_on: str = ""
    causes: tuple[Cause, ...] = ()

    @property
    def clips(self) -> tuple[Clip, ...]:
        """The clips, in their order."""
        return tuple(recording.clip for recording in self.recordings)

    @property
    def texts(self) -> tuple[str, ...]:
        """What is said in them, in their order."""
        return tuple(recording.text for recording in self.recordings)


def choose(found: HeldOutRows, count: int, language: str, reference: Sequence[Clip]) -> HeldOut:
    """Return the first usable recordings of the speaker of the reference.

    Args:
        reference: the clips that the model hears: it must not be measured by them.

    Raises:
        SourceError: none is usable; the message says why.
    """
    chosen, problems = list[Recording](), list[str]()
    for row in _in_order(found.rows, reference):
        if len(chosen) == count or len(chosen) + len(problems) == resources.load("held_out")["clips"]["most_tried"]:
            break
        try:
            recording = _recording(found, row, language, reference)
        except (SourceError, OSError) as error:
            problems.append(_told(row, error))
            continue
        if recording:
            chosen.append(recording)
    if not chosen:
        why = _listed(problems) or "no row has a text of a usable length"
        raise SourceError("no-held-out", f"no recording in {found.metadata} can serve as a yardstick: {why}", _MEND)
    causes = (*_unusable(problems, len(chosen)), *_trained(found))
    return HeldOut(recordings=tuple(chosen), origin=found.origin, trained_on=found.trained_on, causes=causes)


_MEND = "Mend those rows, or pass another metadata file: --held-out metadata.csv. A model that was trained on such rows has learned from them."


def _in_order(rows: Sequence[Row], reference: Sequence[Clip]) -> Iterator[Row]:
    """Yield the rows of the reference's speaker whose texts can be said, each text once, those that tell most first."""
    limits, seen = resources.load("held_out")["rows"], set[str]()
    stems = {str(clip.path).replace("\\", "/").rpartition("/")[2].rpartition(".")[0] for clip in reference}
    own = {row.speaker for row in rows if row.clip.replace("\\", "/").rpartition("/")[2].removesuffix(".wav") in stems}
    of_speaker = [row for row in rows if not own or row.speaker in own]

    def is_best(row: Row) -> bool:
        length = limits["best_fewest_characters"] <= len(row.text) <= limits["best_most_characters"]
        return length and not any(char.isdigit() for char in row.text)

    for row in sorted(of_speaker, key=lambda row: not is_best(row)):
        fits = limits["fewest_characters"] <= len(row.text) <= limits["most_characters"]
        if fits and row.text not in seen and row.text.isprintable() and any(char.isalpha() for char in row.text):
            seen.add(row.text)
            yield row


def _recording(found: HeldOutRows, row: Row, language: str, reference: Sequence[Clip]) -> Recording | None:
    """Return the recording of a row; None where it is a reference clip itself.

    Raises:
        SourceError: it is not there, is no clip of a plausible length, holds no speech, or says something else.
        OSError: it cannot be read.
    """
    limits = resources.load("held_out")["rows"]
    path = clip_path(found.folder, row)
    if path is None:
        raise SourceError("missing", f"{row.clip[:200]} is not there")
    clip = read_clip(path, longest_seconds=limits["longest_seconds"])
    if clip.file_seconds > limits["longest_seconds"]:
        raise SourceError(
            "bad-clip", f"{path} is {clip.file_seconds:,.0f} s long; {limits['longest_seconds']:g} s is the most"
        )
    require_usable(clip)
    if clip.seconds < limits["shortest_seconds"]:
        raise SourceError(
            "bad-clip", f"{path} is {clip.seconds:.2f} s long; {limits['shortest_seconds']:g} s is the least"
        )
    if any(_is_same(clip, other) for other in reference):
        return None
    checks = judge_speech(clip.samples, clip.rate_hz, row.text, language)
    _require_told(row, checks, limits["least_speech_share"])
    return Recording(clip=clip, name=row.clip, text=row.text, checks=checks)


def _is_same(clip: Clip, other: Clip) -> bool:
    """Whether two clips are one recording: one of them may have been written again with 16 bits, and cut."""
    length = min(len(clip.samples), len(other.samples))
    return clip.rate_hz == other.rate_hz and bool(np.allclose(clip.samples[:length], other.samples[:length], atol=1e-4))


def _require_told(row: Row, checks: Sequence[Check], least_speech: float) -> None:
    """Check that a recording holds speech, and not plainly something else than its text.

    Raises:
        SourceError: it does not.
    """
    by_name = {check.name: check for check in checks}
    speech, length, words = by_name[SPEECH], by_name[LENGTH], by_name.get(WORDS)
    if (speech.measured or 0.0) < least_speech:
        raise SourceError("bad-clip", f"{row.clip[:200]} holds no speech")
    if not length.ok:
        measured = f"{length.measured:g} s, and its text takes {length.limit} s"
        raise SourceError("bad-clip", f"the text of {row.clip[:200]} does not fit: it has {measured}")
    if words and not words.ok:
        raise SourceError(
            "bad-clip",
            f"the text of {row.clip[:200]} does not fit: {words.hint[:1].lower()}{words.hint[1:].rstrip('.')}",
        )


def _told(row: Row, error: Exception) -> str:
    """Return what is wrong with a row, with its clip named."""
    text = str(error) if isinstance(error, SourceError) else f"{row.clip[:200]} cannot be read"
    return text.removeprefix("the reference clip ")


def _listed(problems: Sequence[str]) -> str:
    most = resources.load("held_out")["clips"]["most_named"]
    more = f"; and {len(problems) - most} more" if len(problems) > most else ""
    return "; ".join(problems[:most]) + more


def _unusable(problems: Sequence[str], chosen: int) -> Iterator[Cause]:
    if problems:
        tried = counted(len(problems) + chosen, "held-out recording")
        message = f"{len(problems)} of {tried} cannot be used: {_listed(problems)}"
        yield Cause(code="held-out-clips", severity="warning", message=message, hint=_MEND)


def _trained(found: HeldOutRows) -> Iterator[Cause]:
    if found.trained_on:
        message = f"the model was perhaps trained on the recordings that it is held against: {found.trained_on}"
        hint = "Read the gaps with that in mind: a model that learned them by heart comes close. Pass others: --held-out metadata.csv."
        yield Cause(code="held-out-trained", severity="note", message=message, hint=hint)
