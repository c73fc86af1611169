"""The comparison for a terminal: which models, how their tensors differ, and the judge's figures side by side."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verify.conversion.diff import Difference, LayerChange
from verify.diagnosis.attribution import summary
from verify.errors import counted
from verify.report.details import check_cell, facts
from verify.report.screen import say, show_cause, show_verdict, table
from verify.report.several import answers
from verify.report.terminal import show_failures
from verify.report.words import number, percent, printable, signed
from verify.results.comparison import ComparedModel, ComparisonReport, Row, figures, rows
from verify.results.paired import Paired

PAGE = "compare.html"


def show(report: ComparisonReport, screen: Console, is_quiet: bool, has_details: bool = False) -> None:
    """Print the comparison, of the checks those that a model fails, with details all; quiet, only what is wrong."""
    if not is_quiet:
        screen.print(_heads(report))
        for model in report.models:
            if model.difference:
                _show_difference(model, model.difference, screen)
        if report.heard:
            _show_said(report, screen)
        if any(model.checks for model in report.models):
            _show_figures(report, screen, has_details)
        if has_details and report.paired:
            screen.print(_differences(report.paired))
        screen.print()
    if not is_quiet or report.verdict not in ("pass", "warn"):
        show_outcome(report, screen)


def show_outcome(report: ComparisonReport, screen: Console) -> None:
    """Print what decides: the causes and failed checks of each model, the verdict, and where to listen."""
    for model in report.models:
        failed = model.report.failed_checks if model.report else ()
        if model.causes or failed:
            screen.print(_name(model), soft_wrap=True)
        for cause in model.causes:
            show_cause(cause, screen)
        if model.report:
            show_failures(model.report, screen)
    for cause in report.causes:
        show_cause(cause, screen)
    verdicts = ", ".join(f"{model.name} {model.verdict}" for model in report.models)
    gate = f", gate {'pass' if report.gate.passes else 'fail'}" if report.gate else ""
    show_verdict(report.verdict, f" ({verdicts}{gate}) in {sum(report.seconds.values()):.1f} s", screen)
    for paired in report.paired:
        say(answers.in_words(paired), screen)
    for line in answers.gate_in_words(report.gate) if report.gate else ():
        say(f"gate: {line}", screen)
    if more := answers.enough(report.paired):
        say(f"  → {more}", screen)
    if report.output and report.heard:
        screen.print(Text("listen: ") + printable(f"{report.output}/{PAGE}"), soft_wrap=True)


def _name(model: ComparedModel) -> Text:
    return Text(f"{model.name}  ", "bold") + printable(model.title)


def _heads(report: ComparisonReport) -> Table:
    """Return the models: letter, path, and what the archive says of the training."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for model in report.models:
        grid.add_row(Text(model.name, "bold"), printable(model.title))
        known = facts_of(model)
        grid.add_row("", printable(known) if known else Text("could not be read", "red"))
    return grid


def facts_of(model: ComparedModel) -> str:
    """Return in words what the archive says of itself and of the training; nothing where it could not be read."""
    return facts(model.report) if model.report else ""


def _show_difference(model: ComparedModel, found: Difference, screen: Console) -> None:
    screen.print()
    head = f"{model.name} against {model.against}"
    if found.identical:
        same = counted(sum(part.tensors for part in found.parts), "tensor")
        screen.print(Text.assemble((head, "bold"), f": the same model, all {same} byte for byte"))
        return
    screen.print(_parts(head, found))
    if found.layers:
        screen.print(Text(f"layers of the GPT that moved: {layers_in_words(found.layers)}"))
    for keys, what in ((found.only_here, model.name), (found.only_there, model.against)):
        if keys:
            screen.print(printable(f"only in {what}: {counted(len(keys), 'tensor')}: {summary(keys)}"), soft_wrap=True)
    for tensor in found.other_shapes[:10]:
        here, there = list(tensor.here), list(tensor.there)
        screen.print(printable(f"another shape: {tensor.key} is {here} in {model.name}, {there} in {model.against}"))
    if len(found.other_shapes) > 10:
        screen.print(Text(f"and {counted(len(found.other_shapes) - 10, 'tensor')} more of another shape"))


def _parts(head: str, found: Difference) -> Table:
    numbers = ("tensors", "identical", "bytes changed", "moved by", "furthest")
    rows = table("part", *numbers, "tensor that moved furthest", right=numbers, title=Text(head, "bold"))
    for part in found.parts:
        share = part.changed_share
        moved = (f"{share:.1%}", percent(part.relative_change), percent(part.largest))
        cells = ("", "", "") if part.identical == part.tensors else moved
        rows.add_row(part.part, f"{part.tensors:,}", f"{part.identical:,}", *cells, printable(part.largest_key or ""))
    return rows


def layers_in_words(layers: tuple[LayerChange, ...]) -> str:
    """Return each layer with how far it moved; of many, only the few that moved furthest, and the span of the rest."""
    if len(layers) <= 6:
        return ", ".join(f"{change.layer} by {percent(change.relative_change)}" for change in layers)
    ranked = sorted(layers, key=lambda change: -(change.relative_change or 0.0))
    least = ranked[-1]
    furthest = ", ".join(f"{change.layer} by {percent(change.relative_change)}" for change in ranked[:4])
    return f"{len(layers)}; furthest {furthest}; least {least.layer} by {percent(least.relative_change)}"


def _show_said(report: ComparisonReport, screen: Console) -> None:
    screen.print()
    seeds = ", ".join(map(str, report.seeds))
    for text in report.texts:
        screen.print(printable(f"{report.language}, seed {seeds}: “{text}”", "italic"), soft_wrap=True)
    screen.print(Text("in the voice of ") + printable(report.reference or ""), soft_wrap=True)


def _show_figures(report: ComparisonReport, screen: Console, has_details: bool) -> None:
    """Print figures and checks side by side; without details only the checks that a model fails."""
    models = [model for model in report.models if model.checks]
    found = rows(models)
    wanted = [row for row in found if has_details or any(check and not check.ok for check in row.cells)]
    screen.print(_figures(models, wanted))
    legend = _legend(models, wanted)
    if legend:
        screen.print(Text(legend, "dim"))
    if len(wanted) < len(found):
        screen.print(Text(f"{len(found) - len(wanted)} of {len(found)} checks pass in every model that has them"))


def _legend(models: Sequence[ComparedModel], shown: Sequence[Row]) -> str:
    """Return what the marks mean that need it, of those that the table has."""
    cells = [(model, check) for row in shown for model, check in zip(models, row.cells, strict=True)]
    spared = any(check and not check.ok and not model.demands(check) for model, check in cells)
    meanings = ["(✗) fails, not demanded"] if spared else []
    meanings += ["– not measured"] if any(check is None or check.measured is None for _, check in cells) else []
    return "; ".join(meanings)


def _figures(models: Sequence[ComparedModel], checks: Sequence[Row]) -> Table:
    """Return figures and checks as rows, models as columns."""
    names = [model.name for model in models]
    shown = table("check", *names, "limit", "unit", right=(*names, "limit"))
    values = [figures(model) for model in models]
    for name in values[0]:
        if any(of_model[name] is not None for of_model in values):
            cells = [
                Text(f"{figure_in_words(name, of[name], model)}  ") for of, model in zip(values, models, strict=True)
            ]
            shown.add_row(name, *cells, "", "")
    for row in checks:
        cells = [
            check_cell(check, check is not None and model.demands(check))
            for model, check in zip(models, row.cells, strict=True)
        ]
        shown.add_row(row.name, *cells, row.limit, row.unit)
    return shown


def _differences(paired: Sequence[Paired]) -> Table:
    """Return the figures of each model less those of the other, with their intervals and answers."""
    numbers = ("difference", "from", "to", "counts from")
    shown = table("figure", "models", *numbers, "over", "answer", right=numbers, title=Text("Take by take", "bold"))
    for pair in paired:
        for item in pair.figures:
            ends = [signed(end) if end is not None else "–" for end in (item.low, item.high)]
            numbers_of = (signed(item.mean), *ends, number(item.margin))
            shown.add_row(
                item.figure, f"{pair.model} less {pair.against}", *numbers_of, answers.over(item), item.answer
            )
    return shown


def figure_in_words(name: str, value: float | None, model: ComparedModel) -> str:
    """Return a figure of a model's takes; of stop tokens, how many of the takes had one."""
    if name == "stop tokens" and value is not None:
        return f"{value:.0f} of {len(model.samples)}"
    return number(value)
