"""What a sweep says, in words, for the terminal and the page: what came of the checkpoints, which leads, what to do next."""

from verify.errors import counted
from verify.report.several import answers
from verify.results.paired import UNTOLD, WORSE
from verify.results.sweep import SweepReport
from verify.results.swept import SweptCheckpoint

NO_SPEECH = "no speech"
_SHORT = {UNTOLD: "too few takes"}
TOLD = 3  # checkpoints named in a line; the table has all


def headline(report: SweepReport) -> str:
    """Return in one sentence which checkpoint leads, or that none speaks yet."""
    if not report.heard:
        return "None could be heard"
    if not report.speaking:
        return "None speaks yet"
    if len(report.heard) == 1:
        return f"{report.heard[0].name} speaks"
    unsure = sum(standing(report, checkpoint) not in ("", WORSE, NO_SPEECH) for checkpoint in report.heard)
    if unsure:
        return f"{report.heard[0].name} ranks first; {counted(unsure, 'other')} may be as good"
    return f"{report.heard[0].name} is the best"


def standing(report: SweepReport, checkpoint: SweptCheckpoint) -> str:
    """Return how a checkpoint stands to the first in rank; one that makes noise is worse than any that speaks."""
    if checkpoint.speaks or not report.speaking:
        return report.answers.get(checkpoint.name, "")
    return NO_SPEECH


def standing_in_column(report: SweepReport, checkpoint: SweptCheckpoint) -> str:
    """Return the same, short enough for a column."""
    answer = standing(report, checkpoint)
    return _SHORT.get(answer, answer)


def tally(report: SweepReport) -> str:
    """Return what came of the checkpoints: how many speak, make noise, are copies, could not be heard."""
    noise = len(report.heard) - len(report.speaking)
    found = len(report.checkpoints) - len(report.copies)
    parts = [
        f"{len(report.speaking)} of {counted(found, 'checkpoint')} {'speaks' if len(report.speaking) == 1 else 'speak'}"
    ]
    parts += [f"{noise} {'makes' if noise == 1 else 'make'} noise"] if noise else []
    parts += [f"{len(report.mute)} could not be heard"] if report.mute else []
    parts += (
        ["1 more is a copy" if len(report.copies) == 1 else f"{len(report.copies)} more are copies"]
        if report.copies
        else []
    )
    return ", ".join(parts)


def lead(report: SweepReport) -> str:
    """Return how the others stand to the first in rank; nothing where there are none."""
    if not report.paired or not report.speaking:
        return ""
    groups: dict[str, list[str]] = {}
    for checkpoint in report.heard[1:]:
        groups.setdefault(standing(report, checkpoint), []).append(checkpoint.name)
    return f"against {report.heard[0].name}, " + "; ".join(
        f"{answer}: {_named(names)}" for answer, names in groups.items()
    )


def _named(names: list[str]) -> str:
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return f"{', '.join(names[:TOLD])}{more}"


def next_steps(report: SweepReport) -> list[str]:
    """Return what to do next: train on, hear more takes, or take one."""
    if not report.speaking:
        cause = report.heard[0].failed if report.heard else []
        furthest = max((c.step for c in report.heard if c.step is not None), default=None)
        at = f" after {furthest:,} steps" if furthest is not None else ""
        heard = (
            f"what is heard{at} is no speech ({', '.join(check['name'] for check in cause[:TOLD])})" if cause else ""
        )
        return [f"Train on: {heard}." if heard else "See why the checkpoints could not be heard."]
    speaking = {checkpoint.name for checkpoint in report.speaking}
    more = answers.enough([paired for paired in report.paired if paired.model in speaking])
    return [more] if more else []
