"""The comparison as one file to open in a browser: the same sentence by each model, equally loud, with names or blind."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from verify.report import listen_page, templating
from verify.report.compare_terminal import PAGE, facts_of, figure_in_words, layers_in_words
from verify.results.comparison import ComparisonReport, changed_share, figures, rows


def write_page(report: ComparisonReport, folder: Path) -> Path:
    """Write compare.html beside the clips that it holds."""
    path = folder / PAGE
    path.write_text(render(report, folder), encoding="utf-8", newline="\n")
    return path


def render(report: ComparisonReport, folder: Path) -> str:
    """Return the page as HTML that needs nothing but itself."""
    takes = _takes(report, folder)
    judged = [model for model in report.models if model.checks]
    return templating.render(
        "compare.html.j2",
        facts=facts_of,
        layers=layers_in_words,
        figure=figure_in_words,
        report=report,
        changed_share=lambda part: changed_share(asdict(part)),
        takes=takes,
        sound=listen_page.put_sound(folder, [voice for take in takes for voice in take["voices"]]) if takes else None,
        reference=report.reference,
        judged=judged,
        figures=[(model, figures(model)) for model in judged],
        rows=rows(judged),
    )


def _takes(report: ComparisonReport, folder: Path) -> list[dict[str, Any]]:
    """Return each sentence and seed, with the models that said it."""
    takes: list[dict[str, Any]] = []
    for number in range(max((len(model.samples) for model in report.heard), default=0)):
        said = [(model, model.samples[number]) for model in report.heard if number < len(model.samples)]
        voices = [
            listen_page.voice(model.name, model.title, sample, folder / sample["path"], sample["path"])
            for model, sample in said
        ]
        takes.append(listen_page.take(said[0][1], voices))
    return takes
