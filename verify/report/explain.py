"""The report on a load error that someone pasted: as JSON, and for people."""

from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from verify.diagnosis.explain import Scare
from verify.errors import EXIT_CODES, counted
from verify.report.terminal import show_cause
from verify.report.words import VERDICTS
from verify.result import document, verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ScareReport:
    """A load error explained from its text alone; no file was read."""

    scare: Scare

    @property
    def verdict(self) -> str:
        """`fail` where the text names a cause, `warn` on any warning, `pass` where nothing is wrong."""
        return verdict(self.scare.causes)

    @property
    def exit_code(self) -> int:
        """1 where the text names a cause, 0 where it is only a scare."""
        return EXIT_CODES[self.verdict]

    def to_json(self) -> dict[str, Any]:
        """Return the document of schema 1."""
        scare = self.scare
        mismatched = [
            {"key": key, "checkpoint": file and list(file), "model": model and list(model)}
            for key, (file, model) in scare.mismatched.items()
        ]
        counts = {"names": len(scare.names), "bogus": len(scare.bogus), "true": len(scare.names) - len(scare.bogus)}
        lists = {"missing": list(scare.missing), "unexpected": list(scare.unexpected), "mismatched": mismatched}
        part = {**counts, **lists, "cut_off": list(scare.cut_off)}
        return document(verdict=self.verdict, causes=scare.causes, scare=part)


def show(report: ScareReport, screen: Console, is_quiet: bool) -> None:
    """Print how many names are bogus, then the causes of the true ones; quiet, only what is wrong."""
    scare = report.scare
    if not is_quiet and scare.names:
        true = len(scare.names) - len(scare.bogus)
        screen.print(
            Text(
                f"{counted(len(scare.names), 'name')}: {counted(len(scare.bogus), 'bogus second name')}, {true:,} true\n",
                "bold",
            )
        )
    for cause in scare.causes:
        if not is_quiet or cause.severity != "note":
            show_cause(cause, screen)
    if not is_quiet or report.verdict != "pass":
        words = (f"verdict: {report.verdict}", VERDICTS[report.verdict])
        screen.print(Text.assemble(words, " by what the text says; no file was read"))
