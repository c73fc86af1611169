"""What the stages of a run find, as typed values: the load, the bytes, the samples, the profile, the files. No torch."""

from dataclasses import asdict, dataclass
from typing import Any

from verify.checks import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One tensor whose shape in the file is not the model's."""

    key: str
    checkpoint: tuple[int, ...]
    model: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """How the file fits the model, all lists complete; `strict` says whether `load_state_dict(strict=True)` succeeded."""

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
        """Return the `identical` part of report.json; a cause names the tensors that differ."""
        return {"tensors": self.tensors, "bytes": self.bytes, "ok": self.ok}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleResult:
    """One sentence that the model said with one seed: how it came about, where it is, and its checks.

    `path` is None where it was not written; `transcript` and `character_error_rate` where no Whisper listened.
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
    reference: str  # in words, where the clips of the voice were found
    speaker_similarity_of_base: float | None
    speaker_similarity: float | None
    transcript: str | None = None
    character_error_rate: float | None = None
    checks: tuple[Check, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return one of the `samples` of report.json, without its checks: which of them count, the result knows."""
        absent = {"checks"} if self.transcript is not None else {"checks", "transcript", "character_error_rate"}
        return {name: value for name, value in asdict(self).items() if name not in absent}


@dataclass(frozen=True, slots=True, kw_only=True)
class CastPart:
    """What casting cost one part: the worst relative error of an element and of a whole tensor, and what became zero."""

    part: str
    tensors: int
    worst_element: float
    worst_tensor: float
    tensor: str  # the one that lost most
    to_zero: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CastResult:
    """What casting to a dtype cost, by part."""

    dtype: str
    parts: tuple[CastPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileResult:
    """The program that the folder was held against, and whether it finds there what it looks for."""

    name: str
    title: str
    zip: bool
    files: tuple[str, ...]
    put: str
    bundle: str | None  # the name of the ZIP
    twice: bool
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFile:
    """One file of the result."""

    name: str
    bytes: int
    sha256: str
