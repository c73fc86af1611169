"""Hold the takes of a model against the speaker's own recordings of the same sentences."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from TTS.tts.models.xtts import Xtts

from verify.audio import clips
from verify.audio.clips import Sample
from verify.audio.gaps import (
    OF_TEXT,
    SIMILARITY,
    Figures,
    excused,
    figures,
    gap_check,
    gap_checks,
    usual_failures,
)
from verify.audio.recordings import HeldOut, Recording
from verify.audio.transcription import against
from verify.checks import ERROR_RATE, Check
from verify.coqui.likeness import Likeness, likeness, similarity
from verify.coqui.synthesis import Voice
from verify.errors import Cause
from verify.findings import HeldOutResult, RecordingResult, WordErrors
from verify.results.held_out import Pair, gap_figures

_COSINE = "cosine to other recordings"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """A recording, how like the others it is, and what a Whisper heard in it."""

    recording: Recording
    similarity: float | None
    checks: tuple[Check, ...]
    transcript: str | None = None
    character_error_rate: float | None = None
    word_errors: WordErrors | None = None

    @property
    def misfits(self) -> bool:
        """Whether a Whisper heard another text, so that nothing of the text can be held against the recording."""
        return any(check.name == ERROR_RATE and not check.ok for check in self.checks)

    @property
    def figures(self) -> Figures:
        """Its figures; those of the text only where it has that text."""
        found = {**figures(self.checks, self.word_errors), **_alike(self.similarity)}
        return {name: figure for name, figure in found.items() if not (self.misfits and name in OF_TEXT)}

    @property
    def failed(self) -> frozenset[str]:
        """The names of the checks that it fails, as far as they are its own fault."""
        return frozenset(
            check.name for check in self.checks if not check.ok and not (self.misfits and check.name in OF_TEXT)
        )


def _alike(cosine: float | None) -> Figures:
    return {} if cosine is None else {SIMILARITY: (round(cosine, 3), _COSINE)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Yardstick:
    """The recordings that the takes are held against, as far as they are measured."""

    held_out: HeldOut
    heard: tuple[Heard, ...]
    voices: Likeness | None
    unasked: bool = False  # whether the Whisper that heard was asked for by nobody
    causes: tuple[Cause, ...] = field(default=())

    def place(self, text: str) -> int | None:
        """Return the place of the recording with this text."""
        return next((place for place, heard in enumerate(self.heard) if heard.recording.text == text), None)

    def similarity(self, model: Xtts, sample: Sample) -> float | None:
        """Return how like the speaker's other recordings a take is; None where there is no recording of its sentence."""
        place = self.place(sample.text)
        return None if place is None or self.voices is None else similarity(model, self.voices, sample, place)

    def transcribed(self, transcripts: Sequence[str], language: str, unasked: bool = False) -> "Yardstick":
        """Return it with what a Whisper heard in each of the recordings, and a warning where that is not their text.

        Args:
            unasked: whether nobody asked for the Whisper, which then may be one that errs on right texts.
        """
        pairs = zip(self.heard, transcripts, strict=True)
        heard = tuple(_transcribed(one, text, language, unasked) for one, text in pairs)
        wrong = [one for one in heard if one.misfits]
        return replace(
            self,
            heard=heard,
            unasked=unasked,
            causes=(*self.causes, *((_other_text(wrong, len(heard)),) if wrong else ())),
        )

    def hold(
        self, text: str, checks: Sequence[Check], words: WordErrors | None, alike: float | None, speed: float
    ) -> tuple[tuple[Check, ...], Pair | None]:
        """Return the checks of a take, those that are no fault of the model excused, with those of its gaps, and its pair.

        Args:
            alike: how like the other recordings it is.
            speed: how many times as fast as usual it was spoken.
        """
        usual, place = usual_failures([one.failed for one in self.heard]), self.place(text)
        if place is None:
            return excused(checks, (), usual), None
        recorded, own = self.heard[place], {**figures(checks, words, speed), **_alike(alike)}
        # A Whisper at hand may hear right texts wrong, one more than the other; only another text counts then.
        gaps = [
            gap for gap in gap_checks(own, recorded.figures) if not (self.unasked and gap.name == f"{ERROR_RATE} gap")
        ]
        gaps += self._voice_gap(own, recorded.figures)
        pair = Pair(text=text, own=own, recorded=recorded.figures, gaps=tuple(gaps))
        return (*excused(checks, gaps, usual | recorded.failed), *gaps), pair

    def _voice_gap(self, own: Figures, recorded: Figures) -> tuple[Check, ...]:
        if self.voices is None or SIMILARITY not in own or SIMILARITY not in recorded:
            return ()
        measured, limit = own[SIMILARITY][0] - recorded[SIMILARITY][0], -self.voices.widest_gap
        hint = "Another voice: it is further from the speaker's recordings than they are from each other, on the way to a stranger."
        return (gap_check(SIMILARITY, measured, limit, None, "cosine", hint),)

    def result(self, pairs: Sequence[Pair | None], written: bool) -> HeldOutResult:
        """Return what the report has of it."""
        recordings = tuple(
            RecordingResult(
                clip=heard.recording.name,
                text=heard.recording.text,
                seconds=round(heard.recording.clip.seconds, 3),
                path=_name(number) if written else None,
                similarity=None if heard.similarity is None else round(heard.similarity, 3),
                transcript=heard.transcript,
                character_error_rate=heard.character_error_rate,
                word_errors=heard.word_errors,
                checks=heard.checks,
            )
            for number, heard in enumerate(self.heard, 1)
        )
        found = gap_figures([pair for pair in pairs if pair])
        origin, trained_on = self.held_out.origin, self.held_out.trained_on
        return HeldOutResult(origin=origin, trained_on=trained_on, recordings=recordings, figures=found)

    def write(self, folder: Path) -> None:
        """Write a copy of each recording."""
        for number, heard in enumerate(self.heard, 1):
            clip = heard.recording.clip
            clips.write_wav(folder / _name(number), clip.samples, clip.rate_hz)


def _name(number: int) -> str:
    return f"held-out-{number:02}.wav"


def yardstick(model: Xtts, voice: Voice, held_out: HeldOut) -> Yardstick:
    """Return the recordings with the likeness of their voices, by this model's own encoder."""
    voices, causes = likeness(model, voice, held_out)
    alike = voices.alike if voices else (None,) * len(held_out.recordings)
    heard = tuple(
        Heard(recording=recording, similarity=value, checks=recording.checks)
        for recording, value in zip(held_out.recordings, alike, strict=True)
    )
    return Yardstick(held_out=held_out, heard=heard, voices=voices, causes=causes)


def _transcribed(heard: Heard, transcript: str, language: str, unasked: bool) -> Heard:
    found, check = against(heard.recording.text, transcript, language, unasked)
    return replace(heard, checks=(*heard.checks, check), **found)


def _other_text(wrong: Sequence[Heard], count: int) -> Cause:
    first = wrong[0]
    message = (
        f"Whisper hears another text in {len(wrong)} of {count} held-out recordings: in {first.recording.name} "
        f"“{(first.transcript or '')[:80]}”, whose text is “{first.recording.text[:80]}”"
    )
    hint = "Mend the metadata file: a model that was trained on wrong texts says wrong words. Their words are held against no recording here."
    return Cause(code="held-out-text", severity="warning", message=message, hint=hint)
