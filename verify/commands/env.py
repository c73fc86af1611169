"""The command `env`: which packages and devices are there, whether they work together, without any checkpoint."""

from verify.checks import Check
from verify.diagnosis import environment
from verify.diagnosis.environment import package_causes
from verify.diagnosis.environment import packages as tested
from verify.errors import Cause, EnvironmentFault
from verify.progress import Watch, timed
from verify.report.env import Surroundings


def look_around(watch: Watch) -> Surroundings:
    """Look at the versions, import coqui-tts, and let a tiny random model generate."""
    packages, seconds = tested(), dict[str, float]()
    causes = [*package_causes(packages), *_languages()]
    devices: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    try:
        with watch.step("importing coqui-tts"), timed(seconds, "import"):
            selftest = environment.import_coqui("verify.coqui.selftest")
        devices = selftest.devices()
        with watch.step("letting a tiny model generate"), timed(seconds, "rehearse"):
            checks = (selftest.check_tiny_model(),)
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
