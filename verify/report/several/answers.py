"""What paired differences say, in words: better, worse, as good, or too few to tell, with the figure that decides."""

from collections.abc import Sequence

from verify.report.words import number, signed
from verify.results.gate import Gate, GatedModel
from verify.results.paired import AS_GOOD, BETTER, UNTOLD, WORSE, Paired, PairedDifference
from verify.results.trend import DECLINING, IMPROVING, LEVEL, NO, PERHAPS, YES, Trend

_SENTENCES = {
    BETTER: "{model} is better than {against}",
    WORSE: "{model} is worse than {against}",
    AS_GOOD: "{model} is as good as {against}",
    UNTOLD: "Whether {model} is better than {against} cannot be told from so few takes",
}
_ANSWERS = {BETTER: "pass", AS_GOOD: "pass", WORSE: "fail", UNTOLD: "warn"}


def sentence(paired: Paired) -> str:
    """Return the answer as a sentence."""
    return _SENTENCES[paired.answer].format(model=paired.model, against=paired.against)


def answer_class(answer: str) -> str:
    """Return the class that an answer has on a page."""
    return _ANSWERS[answer]


def span(item: PairedDifference) -> str:
    """Return the interval of a difference in words; nothing where there are too few takes for one."""
    return "" if item.low is None or item.high is None else f"{signed(item.low)} to {signed(item.high)}"


def over(item: PairedDifference) -> str:
    """Return what a difference is the mean of: `8 sentences`."""
    return f"{item.takes} {item.over if item.takes != 1 else item.over.removesuffix('s')}"


def evidence(item: PairedDifference) -> str:
    """Return a difference in one line: `DNSMOS overall +0.31 (+0.12 to +0.5), over 8 sentences`."""
    interval = f" ({span(item)})" if span(item) else ""
    return f"{item.figure} {signed(item.mean)}{interval}, over {over(item)}" if interval else over(item)


def in_words(paired: Paired) -> str:
    """Return the answer with the figure that decides."""
    return f"{sentence(paired)}: {evidence(paired.decisive)}" if paired.decisive else sentence(paired)


def enough(paired: Sequence[Paired]) -> str:
    """Return what would tell where these takes do not; nothing where all is told."""
    items = [item.decisive for item in paired if item.answer == UNTOLD and item.decisive]
    needed = max((item.needed or 0 for item in items), default=0)
    if not needed:
        return ""
    what = next(item for item in items if item.needed == needed)
    how = "pass more sentences (--texts standard, or a file of yours) or more --seeds."
    if all(item.low is None for item in items):
        return f"At least {needed} takes of each are needed to tell: {how}"
    return f"About {needed:,} {what.over} would tell, if the rest come out as these did: {how}"


def gate_in_words(gate: Gate) -> list[str]:
    """Return how each model stands at the gate, a line each."""
    return [_gated(model, gate.against) for model in gate.models]


def _gated(model: GatedModel, against: str) -> str:
    if model.passes:
        return f"{model.name} is not worse than {against}"
    if not model.paired.figures:
        return f"{model.name} is not shown to be no worse than {against}: nothing was heard of both"
    worst = "; ".join(
        f"{evidence(item)}, where {signed(-item.margin if item.better == 'higher' else item.margin)} is the margin"
        for item in model.open
    )
    return f"{model.name} is not shown to be no worse than {against}: {worst}"


def course_in_words(trend: Trend) -> str:
    """Return whether a run is still getting better, with the figure that decides."""
    last, best = f"step {trend.last_step:,}", f"step {trend.best_step:,}, the best before it"
    says = {
        IMPROVING: f"Still getting better: {last} is better than {best}",
        LEVEL: f"No longer getting better: {last} is as good as {best}",
        DECLINING: f"It got worse: {last} is worse than {best}",
        UNTOLD: f"Whether it is still getting better cannot be told from so few takes: {last} against {best}",
    }[trend.course]
    return f"{says} ({evidence(trend.paired.decisive)})" if trend.paired.decisive else says


def overfit_in_words(trend: Trend) -> str:
    """Return whether a run overfits, by what its losses say; nothing where they say nothing."""
    courses = [
        f"{course.name} was least at step {course.least_step:,} ({number(course.least)}) and is {number(course.last)} at step {course.last_step:,}"
        if course.least_step != course.last_step
        else f"{course.name} is least at the last step ({number(course.last)})"
        for course in trend.losses
    ]
    said = {YES: "It overfits", PERHAPS: "It may overfit", NO: "No sign of overfitting", None: ""}[trend.overfit]
    return f"{said}: {'; '.join(courses)}" if said and courses else said
