"""The command `env`: which packages and devices are there, whether they work together, without any checkpoint."""

from dataclasses import asdict, dataclass, field
from typing import Any

from verify.checks import Check
from verify.diagnosis import environment
from verify.diagnosis.environment import Package
from verify.errors import EXIT_COULD_NOT_RUN, EXIT_VERIFIED, Cause, EnvironmentFault, any_error
from verify.plan import timed
from verify.reporting.report import check_as_json, document, verdict
from verify.watch import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
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


def look_around(watch: Watch) -> Surroundings:
    """Look at the versions, import coqui-tts, and let a tiny random model generate."""
    packages, seconds = environment.packages(), dict[str, float]()
    causes = [*environment.package_causes(packages), *_languages()]
    devices: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    try:
        with watch.step("importing coqui-tts"), timed(seconds, "import"):
            room = environment.import_room("verify.rehearsal")
        devices = room.devices()
        with watch.step("letting a tiny model generate"), timed(seconds, "rehearse"):
            checks = (room.rehearse(),)
        if not checks[0].ok:
            raise environment.fault(f"cached generation is off by {checks[0].measured:.2g} {checks[0].unit}")
    except EnvironmentFault as error:
        causes.append(error.cause)
    return Surroundings(packages=packages, causes=tuple(causes), devices=devices, checks=checks, seconds=seconds)


def _languages() -> list[Cause]:
    return [
        Cause(
            code="language-package",
            severity="note",
            message=f"{language!r} cannot be spoken: coqui-tts needs {' and '.join(names)} for it",
            hint=f"pip install 'coqui-tts[{language.split('-')[0]}]'",
        )
        for language, names in environment.lacking_languages().items()
    ]
