"""The report of `env`: packages, devices and how a tiny model fared with them; as JSON, and for people."""

from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verify import resources
from verify.checks import Check
from verify.diagnosis import environment
from verify.diagnosis.packages import Package
from verify.document import check_as_json, document, verdict
from verify.errors import EXIT_COULD_NOT_RUN, EXIT_VERIFIED, Cause, any_error
from verify.report.screen import say, show_cause, show_verdict, table
from verify.report.words import check_state, number


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentReport:
    """What was found: the packages, the devices that torch sees, and how a tiny model fared with them."""

    packages: tuple[Package, ...]
    causes: tuple[Cause, ...]
    devices: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """`fail` where nothing can be verified here, `warn` where a version is not a tested one, else `pass`."""
        return verdict(self.causes)

    @property
    def exit_code(self) -> int:
        """2 where nothing can be verified here, else 0."""
        return EXIT_COULD_NOT_RUN if any_error(self.causes) else EXIT_VERIFIED

    def to_json(self) -> dict[str, Any]:
        """Return the document of schema 1."""
        found: dict[str, Any] = {**environment.versions(), "devices": list(self.devices)}
        found["packages"] = [asdict(package) for package in self.packages]
        return document(
            verdict=self.verdict,
            causes=self.causes,
            environment=found,
            checks=[check_as_json(check, True) for check in self.checks],
            seconds={name: round(value, 3) for name, value in self.seconds.items()},
        )


def show(report: EnvironmentReport, screen: Console, is_quiet: bool) -> None:
    """Print the packages beside the tested versions, the devices, and what a tiny model did; quiet, only what is wrong."""
    if not is_quiet:
        screen.print(_packages(report))
        for device in report.devices:
            screen.print(Text(f"device: {device}"))
        for check in report.checks:
            state = check_state(check.ok, demanded=True)
            figure = f"{check.name} {number(check.measured)}, the limit is {check.limit} {check.unit}"
            say(Text.assemble((f"{state.mark}  ", state.colour), f"a tiny model generates: {figure}"), screen)
    for cause in report.causes:
        if not is_quiet or cause.severity == "error":
            show_cause(cause, screen)
    if not is_quiet or report.verdict == "fail":
        show_verdict(report.verdict, ", for the environment; no checkpoint was read", screen)


def _packages(report: EnvironmentReport) -> Table:
    rows = table("", "package", "installed", "tested with", "works with")
    rows.add_row("", "python", environment.versions()["python"], "", resources.python_range())
    for package in report.packages:
        rows.add_row(
            _mark(package), package.name, package.installed or "missing", package.tested or "", package.wanted or "any"
        )
    return rows


def _mark(package: Package) -> Text:
    """Return a tick for a tested version, a question mark where nobody has tried it, and a cross where it is missing or known not to fit."""
    if package.fits:
        return Text("✓", "green")
    return Text("?", "yellow") if package.within else Text("✗", "red")
