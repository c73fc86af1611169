"""One measurement held against its limit: the form in which every judge of values or of sound speaks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One measurement held against its limit; `measured` is None where there was nothing to measure."""

    name: str
    ok: bool
    measured: float | None
    limit: str
    unit: str
    hint: str = ""
