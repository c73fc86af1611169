"""The result of `judge`: sound files and their checks, as one frozen value and as JSON."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify.audio.causes import SoundCause, diagnose
from verify.checks import Check
from verify.document import SCHEMA, cause_as_json, check_as_json
from verify.errors import EXIT_CODES, Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedClip:
    """A sound file and its checks, or why it could not be read."""

    path: Path
    seconds: float = 0.0
    rate_hz: int = 0
    checks: tuple[Check, ...] = ()
    cause: Cause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsReport:
    """The result for several sound files; under `--expect sound` only the basic checks decide the verdict."""

    clips: tuple[JudgedClip, ...]
    expect: str = "speech"
    output: None = None  # nothing is written

    def failed(self, clip: JudgedClip) -> tuple[Check, ...]:
        """Return the checks of a clip that decide the verdict and did not pass."""
        return tuple(check for check in clip.checks if not check.ok and self.demands(check))

    def sound_cause(self, clip: JudgedClip) -> SoundCause | None:
        """Return the likeliest cause of a bad sound, for a clip that fails."""
        return diagnose(self.failed(clip), [check for check in clip.checks if check.ok])

    def demands(self, check: Check) -> bool:
        """Whether the check decides the verdict."""
        return self.expect == "speech" or check.basic

    @property
    def verdict(self) -> str:
        """`error` where a file could not be read, `fail` where a check failed, else `pass`."""
        if any(clip.cause for clip in self.clips):
            return "error"
        return "fail" if any(self.failed(clip) for clip in self.clips) else "pass"

    @property
    def exit_code(self) -> int:
        """0, 1 where a check failed, 2 where a file could not be read."""
        return EXIT_CODES[self.verdict]

    def to_json(self) -> dict[str, Any]:
        """Return the document of schema 1; the reason why a file could not be read is in `causes`."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict,
            "causes": [cause_as_json(clip.cause) for clip in self.clips if clip.cause],
            "clips": [self._clip(clip) for clip in self.clips],
        }

    def _clip(self, clip: JudgedClip) -> dict[str, Any]:
        cause = self.sound_cause(clip)
        if clip.cause:
            return {
                "path": str(clip.path),
                "verdict": "error",
                "seconds": None,
                "rate_hz": None,
                "sound": None,
                "checks": None,
            }
        return {
            "path": str(clip.path),
            "verdict": "fail" if self.failed(clip) else "pass",
            "seconds": round(clip.seconds, 3),
            "rate_hz": clip.rate_hz,
            "sound": cause.to_json() if cause else None,
            "checks": [check_as_json(check, self.demands(check)) for check in clip.checks],
        }
