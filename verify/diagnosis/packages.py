"""Compare the installed packages with the tested versions, and give the line that installs those."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from verify import resources
from verify.errors import Cause

if TYPE_CHECKING:  # packaging takes longer to import than all else that a conversion needs of this module
    from packaging.requirements import Requirement
    from packaging.version import Version

# What must fit together; of everything else, a newer one within the range is no news.
CORE = ("torch", "torchaudio", "torchcodec", "coqui-tts", "transformers")
_TOGETHER = ("torch", "torchaudio", "torchcodec")  # of one build, so never one of them alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package that this project needs: what is installed, which versions it takes, and the newest that was tested.

    `within` says whether the installed one is in the range of `pyproject.toml`, `problem` in words what is wrong with it.
    """

    name: str
    installed: str | None
    wanted: str
    tested: str | None
    fits: bool
    within: bool
    problem: str = ""

    def cause(self, severity: str) -> Cause:
        """Return the problem as a cause, with the line that installs what was tested (`package-version`)."""
        names = _TOGETHER if self.name in _TOGETHER else (self.name,)
        return Cause(code="package-version", severity=severity, message=self.problem, hint=install_line(names))


def installed(name: str) -> str | None:
    """Return the version of an installed package, or None."""
    from importlib import metadata  # slow to import, and only what loads the model asks

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def compared() -> tuple[Package, ...]:
    """Return what this project needs, as `pyproject.toml` states it, beside what is installed and what was tested."""
    return tuple(_compared(wanted) for wanted in _requirements() if _applies(wanted))


def _requirements() -> "list[Requirement]":
    from packaging.requirements import Requirement

    return [Requirement(line) for line in resources.requirements()]


def _applies(wanted: "Requirement") -> bool:
    return wanted.marker is None or wanted.marker.evaluate({"extra": ""})


def _compared(wanted: "Requirement") -> Package:
    version, newest = installed(wanted.name), tested().get(wanted.name)
    problem = _problem(wanted, version, newest)
    return Package(
        name=wanted.name,
        installed=version,
        wanted=str(wanted.specifier),
        tested=newest,
        fits=not problem,
        within=is_in(version, str(wanted.specifier)),
        problem=f"{wanted.name} {problem}" if problem else "",
    )


def _problem(wanted: "Requirement", version: str | None, newest: str | None) -> str:
    """Return what is wrong with an installed version, in words that follow the name of the package."""
    range_ = str(wanted.specifier) or "any version"
    if version is None and wanted.name == "torchcodec" and is_in(installed("torch"), "<2.9"):
        return ""  # coqui-tts asks for it only beside torch 2.9 and newer
    if version is None:
        return f"is not installed: tested with {newest or range_}"
    parsed, last = _version(version), _version(newest)
    if parsed is None or _is_by_hand(parsed):
        return f"{version} was built by hand or is a pre-release, so nobody can tell whether it fits: tested with {newest or range_}"
    within = wanted.specifier.contains(parsed, prereleases=True)
    if last is not None and parsed.release > last.release and (wanted.name in CORE or not within):
        return f"{version} is newer than {newest}, the newest this was tested with"
    if not within:
        is_older = last is not None and parsed.release < last.release
        return f"{version} is {'older' if is_older else 'another'} than what this was tested with ({range_})"
    return ""


def _version(text: str | None) -> "Version | None":
    from packaging.version import InvalidVersion, Version

    try:
        return Version(text) if text else None
    except InvalidVersion:
        return None


def _is_by_hand(version: "Version") -> bool:
    """Whether no registry has such a version; `+cpu` and `+cu130` are of PyTorch's own."""
    return version.is_prerelease or bool(version.local and not re.fullmatch(r"cpu|cu\d+|rocm[\d.]+|xpu", version.local))


def is_in(version: str | None, wanted: str) -> bool:
    """Whether an installed version is one of those that a specifier names."""
    from packaging.specifiers import SpecifierSet

    parsed = _version(version)
    return parsed is not None and SpecifierSet(wanted).contains(parsed, prereleases=True)


@cache
def tested() -> dict[str, str]:
    """Return the version of each package that was tested with this Python on this system, from `constraints.txt`."""
    from packaging.requirements import InvalidRequirement, Requirement

    versions = {}
    for line in resources.constraints().splitlines():
        try:
            wanted = Requirement(line.split("#")[0].strip())
        except InvalidRequirement:  # a comment, an option, an empty line
            continue
        exact = [specifier.version for specifier in wanted.specifier if specifier.operator == "=="]
        if exact and _applies(wanted):
            versions[wanted.name] = exact[0]
    return versions


def install_line(names: Iterable[str]) -> str:
    """Return the one line that installs the tested versions of these packages; double quotes are taken by bash, PowerShell and cmd."""
    ranges = {wanted.name: str(wanted.specifier) for wanted in _requirements()}
    pinned = [
        f"{name}=={tested()[name]}" if name in tested() else f"{name}{ranges.get(name, '')}"
        for name in dict.fromkeys(names)
    ]
    return " ".join(["pip install", *(f'"{item}"' for item in pinned)]) if pinned else ""


def misfits(compared_packages: Iterable[Package]) -> tuple[Package, ...]:
    """Return the packages that must fit together and are not as tested."""
    return tuple(package for package in compared_packages if package.problem and package.name in (*CORE, "numpy"))


def to_install(wrong: Iterable[Package]) -> tuple[str, ...]:
    """Return the names of what is to be installed in one command, so that what must fit together does."""
    names = {package.name for package in wrong}
    if names & {*_TOGETHER}:
        names |= {*_TOGETHER}
    return tuple(name for name in (*CORE, "numpy") if name in names)
