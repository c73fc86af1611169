"""The command `env`: whether the installed packages and devices work together, without any checkpoint."""

from verify.checks import Check
from verify.diagnosis import environment, packages
from verify.errors import Cause, EnvironmentFault
from verify.progress import Watch, timed
from verify.report.env import EnvironmentReport

_CUDA_HINT = (
    "If this machine has an NVIDIA GPU, take the line that PyTorch's own site gives for your system and CUDA "
    "(pytorch.org, Get Started); on Windows the torch of pip alone is the CPU build."
)


def examine(watch: Watch) -> EnvironmentReport:
    """Compare the versions with the tested ones, import coqui-tts, and generate with a tiny random model."""
    versions, seconds = packages.compared(), dict[str, float]()
    causes = _languages()
    devices: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    try:
        with watch.step("importing coqui-tts"), timed(seconds, "import"):
            selftest = environment.import_coqui("verify.coqui.selftest")
        devices = selftest.devices()
        causes += [] if selftest.cuda_version() or selftest.has_gpu() else [_cpu_build()]
        with watch.step("letting a tiny model generate"), timed(seconds, "rehearse"):
            checks = (selftest.check_tiny_model(),)
        if not checks[0].ok:
            raise environment.fault(f"cached generation is off by {checks[0].measured:.2g} {checks[0].unit}")
    except EnvironmentFault as error:
        causes.append(error.cause)
    generates, messages = any(check.ok for check in checks), " ".join(cause.message for cause in causes)
    causes = [*environment.package_causes(versions, generates, messages), *causes]
    return EnvironmentReport(packages=versions, causes=tuple(causes), devices=devices, checks=checks, seconds=seconds)


def _cpu_build() -> Cause:
    message = f"torch {packages.installed('torch')} is a build for the CPU: it sees no GPU"
    return Cause(code="cpu-build", severity="note", message=message, hint=_CUDA_HINT)


def _languages() -> list[Cause]:
    return [
        Cause(
            code="language-package",
            severity="note",
            message=f"{language!r} cannot be spoken: coqui-tts needs {' and '.join(names)} for it",
            hint=f'pip install "coqui-tts[{language.split("-")[0]}]"',
        )
        for language, names in environment.lacking_languages().items()
    ]
