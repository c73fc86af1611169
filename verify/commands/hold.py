"""Hold the models of a comparison against one of them: what is better, what is worse, and whether the gate lets them pass."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from verify.errors import OptionError
from verify.files.location import Location
from verify.options import CompareOptions, Job
from verify.results.comparison import LETTERS, ComparisonReport
from verify.results.criteria import Criterion, criteria, with_margins
from verify.results.gate import gate_of
from verify.results.paired import FEWEST, Paired, hold_against


def named(model: str | None, sources: Sequence[Location], job: Job) -> str | None:
    """Return the letter of the model that the user named by its letter or its path; None where no gate was asked for.

    Raises:
        OptionError: it is none of the models, or nothing will be said to hold them against each other by.
    """
    if model is None:
        return None
    letters = LETTERS[: len(sources)]
    by_name = {letter: letter for letter in letters}
    for source, own in zip(sources, letters, strict=True):
        by_name.setdefault(str(source), own)  # of several columns of one model, as --vary makes them, the first
    letter = by_name.get(model) or by_name.get(model.upper() if len(model) == 1 else model.rstrip("/\\"))
    if letter is None:
        message = f"--not-worse-than {model!r} is none of the models"
        raise OptionError("bad-option", message, f"Name one by its letter, {letters[0]} to {letters[-1]}, or its path.")
    if not job.sample:
        raise OptionError(
            "bad-option", "--not-worse-than holds models against each other by what they say: no --no-sample"
        )
    recordings = job.held_out_clips if job.held_out else 0
    takes = (len(job.texts) + recordings or 1) * job.seeds
    if takes < FEWEST and not job.standard_texts:  # which are eight
        message = f"--not-worse-than needs {FEWEST} takes of each model, not {takes}: fewer show nothing"
        raise OptionError("bad-option", message, f"Pass more sentences (--texts standard), or --seeds {FEWEST}.")
    return letter


def held(report: ComparisonReport, gate: str | None, asked: CompareOptions) -> ComparisonReport:
    """Return the report with each model that spoke held against the first that did, or the one of the gate."""
    if report.causes or not report.heard:
        return report
    rows = with_margins(criteria(), _margins(asked.margins))
    against = gate or report.heard[0].name
    paired = tuple(_paired(report, against, rows))
    if not gate:
        return replace(report, paired=paired)
    # One that did not speak has shown nothing, so it does not pass.
    silent = [
        model.name for model in report.models if model.name != gate and model.name not in {p.model for p in paired}
    ]
    shown = (*paired, *(Paired(model=name, against=gate, figures=()) for name in silent))
    return replace(report, paired=paired, gate=gate_of(gate, shown))


def _paired(report: ComparisonReport, against: str, rows: Sequence[Criterion]) -> Iterable[Paired]:
    other = next((model for model in report.heard if model.name == against), None)
    if other is None:
        return
    there = other.samples
    for model in report.heard:
        if model.name != against:
            yield hold_against(model.name, model.samples, against, there, rows)


def _margins(texts: Iterable[str]) -> dict[str, float]:
    """Return the margins by figure; each text is `FIGURE=NUMBER`."""
    return {name: float(number) for name, _, number in (text.rpartition("=") for text in texts)}
