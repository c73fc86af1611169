"""The typed results of the steps of a run: load, byte comparison, samples, cast, profile and files. No torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from verify.checks import Check
from verify.errors import Cause, any_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One tensor whose shape in the file is not the model's."""

    key: str
    checkpoint: tuple[int, ...]
    model: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """How the file fits the model, with complete lists; `strict` says whether `load_state_dict(strict=True)` succeeded."""

    strict: bool
    matched: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[Mismatch, ...] = ()

    @property
    def fits(self) -> bool:
        return not (self.missing or self.unexpected or self.mismatched)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whether the loaded tensors are the source's, byte for byte; `different` names those that are not."""

    tensors: int
    bytes: int
    different: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.different

    def to_json(self) -> dict[str, Any]:
        """Return the `identical` part of report.json; the tensors that differ are listed in a cause."""
        return {"tensors": self.tensors, "bytes": self.bytes, "ok": self.ok}


@dataclass(frozen=True, slots=True, kw_only=True)
class WordErrors:
    """How the words that a Whisper heard differ from the text: words replaced, lost and added, and whether the last one came."""

    words: int  # of the text
    substitutions: int
    deletions: int
    insertions: int
    last_word_heard: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamResult:
    """The first sentence once more, through `inference_stream` with the same seed."""

    first_chunk_seconds: float  # until the first chunk came
    chunks: int
    seconds: float  # of audio
    synthesis_seconds: float
    tokens: int
    stopped: bool  # whether the stop token came
    same_tokens: bool  # as `inference` said with this seed
    path: str | None


_OF_A_WHISPER = {"transcript", "character_error_rate", "word_errors", "heard_by"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleResult:
    """One sentence spoken with one seed: how it was generated, its file, and its checks.

    `path` is None where no file was written; `transcript`, what is measured of it and `heard_by` are None where no Whisper listened.
    """

    text: str
    language: str
    device: str
    seed: int
    tokens: int
    token_bound: int
    stopped: bool  # whether the stop token came
    seconds: float  # of audio
    synthesis_seconds: float
    real_time_factor: float
    path: str | None
    reference: str  # where the clips of the voice were found, in words
    speaker_similarity_of_base: float | None
    speaker_similarity: float | None
    transcript: str | None = None
    character_error_rate: float | None = None
    word_errors: WordErrors | None = None
    heard_by: str | None = None  # the name of the Whisper
    recording: int | None = None  # the number of the speaker's own recording of this text; None without `--held-out`
    held_out_similarity: float | None = None  # to the speaker's other recordings, which the model never heard
    checks: tuple[Check, ...] = ()
    codes: tuple[int, ...] = ()  # the audio tokens
    sampling: Mapping[str, float] = field(default_factory=dict)  # the settings, by coqui's names
    stream: StreamResult | None = None  # only with `--stream`, of the first sample

    def to_json(self) -> dict[str, Any]:
        """Return one of the `samples` of report.json without its checks, which the result adds, and its tokens."""
        absent = {"checks", "codes"}
        absent |= set() if self.transcript is not None else _OF_A_WHISPER
        absent |= set() if self.stream else {"stream"}
        absent |= set() if self.recording else {"recording", "held_out_similarity"}
        return {name: value for name, value in asdict(replace(self, checks=(), codes=())).items() if name not in absent}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingResult:
    """A recording that a model is held against: the clip, what is said in it, and what the judge finds in it.

    `path` is None where no copy of it was written; `similarity` is to the speaker's other recordings.
    """

    clip: str
    text: str
    seconds: float
    path: str | None
    similarity: float | None = None
    transcript: str | None = None
    character_error_rate: float | None = None
    word_errors: WordErrors | None = None
    checks: tuple[Check, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as schema 1 has it, without its checks, whose figures `held_out.figures` has."""
        failed = [check.name for check in self.checks if not check.ok]
        return {name: value for name, value in asdict(replace(self, checks=())).items() if name != "checks"} | {
            "failed": failed
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class GapFigure:
    """One figure of a model beside the recordings', over all takes.

    `gap` is the median over the takes, in its own unit; `low` and `high` bound what is no fault, both None where nothing is
    asked of it; `least` and `greatest` bound the mean with a confidence of 95 %, None where there are too few sentences to say.
    `failed` counts the takes beyond what is no fault; `ok` is None where nothing was asked.
    """

    figure: str
    unit: str
    model: float  # the median
    recording: float
    gap: float
    gap_unit: str
    low: float | None
    high: float | None
    least: float | None
    greatest: float | None
    takes: int
    failed: int
    ok: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutResult:
    """What a model says beside the speaker's own recordings; `trained_on` says in words why they were perhaps trained on."""

    origin: str
    trained_on: str
    recordings: tuple[RecordingResult, ...]
    figures: tuple[GapFigure, ...]

    def without_copies(self) -> "HeldOutResult":
        """Return it for a folder that holds no copies of the recordings."""
        return replace(self, recordings=tuple(replace(recording, path=None) for recording in self.recordings))

    def to_json(self) -> dict[str, Any]:
        """Return the `held_out` part of report.json."""
        return {
            "origin": self.origin,
            "trained_on": self.trained_on or None,
            "recordings": [recording.to_json() for recording in self.recordings],
            "figures": [asdict(figure) for figure in self.figures],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CastPart:
    """The rounding errors of one part: the worst relative error of an element and of a tensor, and how many became zero."""

    part: str
    tensors: int
    worst_element: float
    worst_tensor: float
    tensor: str  # the key of the tensor with the worst error
    to_zero: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CastResult:
    """The rounding errors of a cast to another dtype, by part."""

    dtype: str
    parts: tuple[CastPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileResult:
    """The profile that the folder was checked against, and whether the folder has the files that it needs."""

    name: str
    title: str
    zip: bool
    files: tuple[str, ...]
    put: str
    bundle: str | None  # the name of the ZIP
    twice: bool
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceResult:
    """How the model fared in another Python: with which packages, how far it came, what it said there, and why it failed.

    `stage` is where it ended: "import", "load" or "speak"; None where it did all that was asked. `tokens` and what follows
    are None where it did not speak; `same_tokens` compares with the sample that was spoken here.
    """

    python: str
    version: str
    packages: Mapping[str, str]
    device: str | None
    stage: str | None
    causes: tuple[Cause, ...]
    tokens: int | None = None
    stopped: bool | None = None
    sound_seconds: float | None = None
    same_tokens: bool | None = None
    path: str | None = None  # of its sample
    checks: tuple[Check, ...] = ()
    demanded: frozenset[str] = frozenset()
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        """The checks of its sound that decide and did not pass."""
        return tuple(check for check in self.checks if not check.ok and check.name in self.demanded)

    @property
    def ok(self) -> bool:
        """Whether it did all that was asked, and sounds as it must: a failed check has its cause."""
        return not any_error(self.causes)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """One file of the output."""

    name: str
    bytes: int
    sha256: str
