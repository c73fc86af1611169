"""Say which of the packages that must fit together are installed in a tested version."""

from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.version import InvalidVersion

from verify import settings
from verify.diagnosis.environment import installed
from verify.errors import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package that must fit: the installed version, None where there is none, and the versions that were tested."""

    name: str
    installed: str | None
    wanted: str
    fits: bool


def packages() -> tuple[Package, ...]:
    """Return what this project needs, as `pyproject.toml` states it, beside what is installed."""
    found = []
    for line in settings.requirements():
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        there = installed(wanted.name)
        found.append(
            Package(name=wanted.name, installed=there, wanted=str(wanted.specifier), fits=_fits(there, wanted))
        )
    return tuple(found)


def _fits(there: str | None, wanted: Requirement) -> bool:
    if there is None:
        return False
    try:
        return wanted.specifier.contains(there, prereleases=True)
    except InvalidVersion:  # a build by hand: nobody can say
        return True


def package_causes(found: tuple[Package, ...]) -> tuple[Cause, ...]:
    """Return a warning for each package that is not one of the tested versions (`package-version`)."""
    return tuple(
        Cause(
            code="package-version",
            severity="warning",
            message=f"{package.name} {package.installed or 'is not installed'}: tested with {package.wanted or 'any version'}",
            hint=f"pip install '{package.name}{package.wanted}'",
        )
        for package in found
        if not package.fits
    )
