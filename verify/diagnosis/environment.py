"""Say which packages are installed, and turn an import that fails into a fault of the environment."""

import os
import platform
import re
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from verify import __version__, resources
from verify.background import uncollected
from verify.errors import Cause, EnvironmentFault

if TYPE_CHECKING:
    from packaging.requirements import Requirement

# What packages that do not fit together are known to raise while they are imported (ValueError: numpy's changed ABI).
_IMPORT_ERRORS = (
    ImportError,
    OSError,
    RuntimeError,
    AttributeError,
    ValueError,
    TypeError,
    NameError,
    SyntaxError,
    KeyError,
)
PACKAGES = ("torch", "torchaudio", "torchcodec", "coqui-tts", "transformers")
# what an import error says -> what it means
KNOWN_FAULTS = (
    (r"different CUDA|CUDA version", "torch and torchaudio are built for different CUDA versions"),
    (r"libc10_cuda|libcudart|libtorch_cuda", "torch is the CPU build and torchaudio the CUDA build, or the reverse"),
    (r"torchcodec", "torchcodec is missing or built for another torch; coqui-tts does not import without it"),
    (r"isin_mps_friendly|BeamSearchScorer|GenerationMixin|transformers", "this transformers is not one that coqui-tts works with"),
    (r"numpy\.dtype size changed|_ARRAY_API|numpy 1\.x", "numpy is of another major version than the others were built for"),
)  # fmt: skip


def versions() -> dict[str, str | None]:
    """Return the Python version and those of the packages that must fit together; None where one is not installed."""
    return {
        "xtts-verify": __version__,
        "python": platform.python_version(),
        **{name: installed(name) for name in PACKAGES},
    }


def installed(name: str) -> str | None:
    """Return the version of an installed package, or None."""
    from importlib import metadata  # slow to import, and only what loads the model asks

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def lacking_languages() -> dict[str, tuple[str, ...]]:
    """Return the languages for which coqui-tts needs packages that are not installed, with their names."""
    needs = resources.load("packages")["languages"]
    lacking = {language: tuple(name for name in names if installed(name) is None) for language, names in needs.items()}
    return {language: names for language, names in lacking.items() if names}


def import_coqui(name: str) -> Any:
    """Import a room that needs torch and coqui-tts.

    Raises:
        EnvironmentFault: the installed packages do not import together; the checkpoint is not at fault.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # its warnings about token ids mean nothing for XTTS
    try:
        with uncollected():
            return import_module(name)
    except _IMPORT_ERRORS as error:
        raise fault("coqui-tts cannot be imported", error) from error


def fault(what: str, error: BaseException | None = None) -> EnvironmentFault:
    """Return the error that says what does not work, why where that is known, with the versions and what to install."""
    said = f"{type(error).__name__}: {str(error)[:300]}" if error else ""
    known = next((means for pattern, means in KNOWN_FAULTS if re.search(pattern, said, re.IGNORECASE)), None)
    because = "; ".join(part for part in (known, said) if part)
    listed = ", ".join(f"{package} {version or 'missing'}" for package, version in versions().items())
    together = " ".join(f"'{line}'" for line in resources.requirements() if line.startswith(PACKAGES))
    return EnvironmentFault(
        "environment",
        f"environment, not checkpoint: {what}{f' ({because})' if because else ''}; {listed}",
        f"Install the versions that fit, together: pip install {together}. --no-verify converts without them.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package that must fit: the installed version, None where there is none, and the versions that were tested."""

    name: str
    installed: str | None
    wanted: str
    fits: bool


def packages() -> tuple[Package, ...]:
    """Return what this project needs, as `pyproject.toml` states it, beside what is installed."""
    from packaging.requirements import (
        Requirement,  # takes longer to import than all else that `convert` needs of this module
    )

    found = []
    for line in resources.requirements():
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        there = installed(wanted.name)
        found.append(
            Package(name=wanted.name, installed=there, wanted=str(wanted.specifier), fits=_fits(there, wanted))
        )
    return tuple(found)


def _fits(there: str | None, wanted: "Requirement") -> bool:
    from packaging.version import InvalidVersion

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
