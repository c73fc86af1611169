"""The report on an error that somebody pasted: as JSON, and for people."""

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from verify.diagnosis.explain import Explanation
from verify.document import document, verdict
from verify.errors import EXIT_CODES, Cause, counted
from verify.report.screen import show_cause, show_verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationReport:
    """An error explained from its text alone; no file was read."""

    explanation: Explanation

    @property
    def causes(self) -> tuple[Cause, ...]:
        """What is wrong, errors first."""
        return self.explanation.causes

    @property
    def verdict(self) -> str:
        """`fail` where the text names a cause, `warn` on any warning, `pass` where nothing is wrong."""
        return verdict(self.explanation.causes)

    @property
    def exit_code(self) -> int:
        """1 where the text names a cause, 0 where nothing is wrong."""
        return EXIT_CODES[self.verdict]

    def to_json(self) -> dict[str, Any]:
        """Return the document of schema 1."""
        explanation = self.explanation
        mismatched = [
            {"key": key, "checkpoint": file and list(file), "model": model and list(model)}
            for key, (file, model) in explanation.mismatched.items()
        ]
        counts = {
            "names": len(explanation.names),
            "bogus": len(explanation.second_names),
            "true": len(explanation.names) - len(explanation.second_names),
        }
        lists = {
            "missing": list(explanation.missing),
            "unexpected": list(explanation.unexpected),
            "mismatched": mismatched,
        }
        part = {**counts, **lists, "cut_off": list(explanation.cut_off)}
        return document(verdict=self.verdict, causes=explanation.causes, scare=part)


def show(report: ExplanationReport, screen: Console, is_quiet: bool) -> None:
    """Print how many names are bogus, then the causes of the true ones; quiet, only what is wrong."""
    explanation = report.explanation
    if not is_quiet and explanation.names:
        true = len(explanation.names) - len(explanation.second_names)
        screen.print(
            Text(
                f"{counted(len(explanation.names), 'name')}: {counted(len(explanation.second_names), 'bogus second name')}, {true:,} true\n",
                "bold",
            )
        )
    for cause in explanation.causes:
        if not is_quiet or cause.severity != "note":
            show_cause(cause, screen)
    if not is_quiet or report.verdict != "pass":
        show_verdict(report.verdict, " by what the text says; no file was read", screen)
