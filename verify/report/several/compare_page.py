"""The comparison as one file to open in a browser: the same sentence by each model, equally loud, with names or blind."""

from pathlib import Path
from typing import Any

from verify.report import pictures, templating
from verify.report.several import answers, listen_page
from verify.report.several.compare_terminal import PAGE, facts_of, figure_in_words, layers_in_words
from verify.report.words import check_state
from verify.results.comparison import ComparedModel, ComparisonReport, Row, figures, rows

MOST_FAULTS, MOST_ANSWERS = 2, 3  # told below the headline, so that the players stay on the first screen
LETTER_PERCENT = 8.0  # of a bar's width


def write_page(report: ComparisonReport, folder: Path) -> Path:
    """Write compare.html beside the clips that it holds."""
    path = folder / PAGE
    path.write_text(render(report, folder), encoding="utf-8", newline="\n")
    return path


def render(report: ComparisonReport, folder: Path) -> str:
    """Return the page as HTML that needs nothing but itself."""
    judged = [model for model in report.models if model.checks]
    table, told = rows(judged), [(model, figures(model)) for model in judged]
    return templating.render(
        "compare.html.j2",
        **listen_page.listening(folder, _takes(report, folder), report.reference),
        title=headline(report),
        lines=_lines(report),
        next=_next(report),
        facts=facts_of,
        layers=layers_in_words,
        figure=figure_in_words,
        report=report,
        answers=answers,
        gain_bar=pictures.gain_bar,
        judged=judged,
        figures=told,
        figure_names=[name for name in told[0][1] if any(of[name] is not None for _, of in told)] if told else [],
        rows=table,
        failing=[row for row in table if any(check and not check.ok for check in row.cells)],
        bars={row.name: _bar(row, judged) for row in table},
    )


def headline(report: ComparisonReport) -> str:
    """Return what the comparison says, in one sentence: who fails, else the answer of the only pair, else who was compared."""
    names = [model.name for model in report.models]
    wrong = [model.name for model in report.models if model.verdict in ("fail", "error")]
    if report.gate:
        asked = f"no worse than {report.gate.against}"
        return (
            f"None is shown to be worse than {report.gate.against}"
            if report.gate.passes
            else f"Not shown to be {asked}"
        )
    if wrong and len(wrong) < len(names):
        return f"{_listed(wrong)} {'fails' if len(wrong) == 1 else 'fail'}; {_listed([n for n in names if n not in wrong])} {'does' if len(names) - len(wrong) == 1 else 'do'} not"
    if len(report.paired) == 1:
        return answers.sentence(report.paired[0])
    return f"{_listed(names)} side by side"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _lines(report: ComparisonReport) -> list[str]:
    """Return what belongs below the headline: the first models' faults, then the gate, or the answers; the tables have all."""
    causes = [(model.name, model.report.sound_cause) for model in report.models if model.report]
    lines = [f"{name}: {cause.says.rstrip('.')}" for name, cause in causes if cause][:MOST_FAULTS]
    if report.gate:
        return [*lines, *answers.gate_in_words(report.gate)[:MOST_ANSWERS]]
    if len(report.paired) == 1:
        return [*lines, answers.in_words(report.paired[0])]
    said = [answers.sentence(paired) for paired in report.paired[:MOST_ANSWERS]]
    return [*lines, ". ".join(said)] if said else lines


def _next(report: ComparisonReport) -> list[str]:
    """Return the next steps: of what is heard wrong, and what would tell where these takes do not."""
    found = [(model.name, model.report.sound_cause) for model in report.models if model.report]
    steps = [f"{name}: {cause.next}" for name, cause in found if cause]
    more = answers.enough(report.paired)
    return [*steps, *([more] if more else [])]


def _bar(row: Row, judged: list[ComparedModel]) -> dict[str, Any] | None:
    """Return where the models lie in the allowed span of a check; of several limits there is no one span."""
    present = [check for check in row.cells if check]
    if len({(check.low, check.high) for check in present}) != 1:
        return None
    found = pictures.span_bar(
        present[0].low, present[0].high, [check.measured if check else None for check in row.cells]
    )
    if not found:
        return None
    states = [
        check_state(check.ok, model.demands(check)) if check else None
        for check, model in zip(row.cells, judged, strict=True)
    ]
    marks = [
        {"name": model.name, "at": at, "state": state.name, "words": state.words}
        for model, at, state in zip(judged, found["at"], states, strict=True)
        if at is not None and state
    ]
    return {**found, "at": marks, "labels": _labels(marks)}


def _labels(marks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the letters above the bar; those that would lie upon each other stand together."""
    labels: list[dict[str, Any]] = []
    for mark in sorted(marks, key=lambda mark: mark["at"]):
        if labels and mark["at"] - labels[-1]["at"] < LETTER_PERCENT:
            labels[-1]["name"] += mark["name"]
        else:
            labels.append(dict(mark))
    return labels


def _takes(report: ComparisonReport, folder: Path) -> list[dict[str, Any]]:
    """Return each sentence and seed, with the models that said it."""
    takes: list[dict[str, Any]] = []
    speakers = [(model, model.samples) for model in report.heard]
    for number in range(max((len(samples) for _, samples in speakers), default=0)):
        said = [(model, samples[number]) for model, samples in speakers if number < len(samples)]
        voices = [
            listen_page.voice(model.name, model.title, model.title, sample, folder / sample["path"], sample["path"])
            for model, sample in said
        ]
        takes.append(listen_page.take(said[0][1], voices))
    return takes
