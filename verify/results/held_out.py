"""Put the figures of a model beside those of the speaker's recordings, over all takes of the same sentences."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from verify.audio.gaps import Figures, gap, gap_rows
from verify.checks import Check
from verify.findings import GapFigure
from verify.results.paired import FEWEST, interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A take and the recording of its sentence: their figures, and the checks of the gaps between them."""

    text: str
    own: Figures
    recorded: Figures
    gaps: tuple[Check, ...]


def gap_figures(pairs: Sequence[Pair]) -> tuple[GapFigure, ...]:
    """Return each figure that a take and its recording both have, those that the gaps decide first."""
    names = dict.fromkeys(name for pair in pairs for name in pair.own if name in pair.recorded)
    in_order = [*(name for name in gap_rows() if name in names), *(name for name in names if name not in gap_rows())]
    return tuple(figure for name in in_order if (figure := _figure(name, pairs)))


def _figure(name: str, pairs: Sequence[Pair]) -> GapFigure | None:
    both = [pair for pair in pairs if name in pair.own and name in pair.recorded]
    by_text: dict[str, list[float]] = {}
    for pair in both:
        if (distance := gap(name, pair.own[name][0], pair.recorded[name][0])) is not None:
            by_text.setdefault(pair.text, []).append(distance)
    if not by_text:
        return None
    gaps = [distance for distances in by_text.values() for distance in distances]
    means = [statistics.fmean(distances) for distances in by_text.values()]
    least, greatest = interval(means) if len(means) >= FEWEST else (None, None)
    unit, row = both[0].own[name][1], gap_rows().get(name)
    checks = [check for pair in both for check in pair.gaps if check.name == f"{name} gap"]
    failed = sum(not check.ok for check in checks)
    return GapFigure(
        figure=name,
        unit=unit,
        model=statistics.median(pair.own[name][0] for pair in both),
        recording=statistics.median(pair.recorded[name][0] for pair in both),
        gap=round(statistics.median(gaps), 4),
        gap_unit=row.unit_of(unit) if row else unit,
        low=checks[0].low if checks else None,
        high=checks[0].high if checks else None,
        least=least,
        greatest=greatest,
        takes=len(gaps),
        failed=failed,
        ok=2 * failed <= len(checks) if checks else None,
    )
