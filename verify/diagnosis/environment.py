"""Say which packages are installed, and turn errors of other packages into causes with a next step."""

import contextlib
import functools
import os
import platform
from collections.abc import Iterator
from importlib import import_module, metadata
from typing import Any

from verify import __version__, resources
from verify.background import without_garbage_collection
from verify.diagnosis import packages, symptoms
from verify.diagnosis.packages import CORE, installed
from verify.errors import CannotSpeakError, Cause, ConversionError, EnvironmentFault, without_urls

# What packages that do not fit together are known to raise while they are imported (ValueError: numpy's changed ABI).
IMPORT_ERRORS = (
    ImportError,
    OSError,
    RuntimeError,
    AttributeError,
    ValueError,
    TypeError,
    NameError,
    SyntaxError,
    LookupError,
    AssertionError,
    SystemError,
    EOFError,
)
# Errors that show that one package calls another through an outdated interface.
_OF_ANOTHER_AGE = (TypeError, AttributeError, NotImplementedError, ImportError)
FOREIGN_ERRORS = (*_OF_ANOTHER_AGE, RuntimeError, ValueError, IndexError, KeyError, AssertionError)
MAX_SAID_CHARACTERS = 300
_WITHOUT = "--no-verify converts without these packages."


def versions() -> dict[str, str | None]:
    """Return the Python version and those of the packages that must fit together; None where one is not installed."""
    return {
        "xtts-verify": __version__,
        "python": platform.python_version(),
        **{name: installed(name) for name in CORE},
    }


def lacking_languages() -> dict[str, tuple[str, ...]]:
    """Return the languages for which coqui-tts needs packages that are not installed, with their names."""
    needs = resources.load("packages")["languages"]
    lacking = {language: tuple(name for name in names if installed(name) is None) for language, names in needs.items()}
    return {language: names for language, names in lacking.items() if names}


def import_coqui(name: str) -> Any:
    """Import a module of ours that needs torch and coqui-tts.

    Raises:
        EnvironmentFault: the installed packages do not import together; the checkpoint is not at fault.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # its warnings about token ids mean nothing for XTTS
    try:
        with without_garbage_collection(), _packages_listed_once():
            return import_module(name)
    except IMPORT_ERRORS as error:
        raise fault("coqui-tts cannot be imported", error) from error


@contextlib.contextmanager
def _packages_listed_once() -> Iterator[None]:
    """Let the standard library list the installed packages once until the block ends.

    coqui-tts asks for the list twice and transformers once, and each time the files of every package are read: 0.2 s.
    """
    listed = metadata.packages_distributions
    metadata.packages_distributions = functools.cache(listed)
    try:
        yield
    finally:
        metadata.packages_distributions = listed


def fault(what: str, error: BaseException | None = None) -> EnvironmentFault:
    """Return the error that says what fails, why if known, which versions are untested, and what to install."""
    match = symptoms.of_error(error) if error else None
    if match and match.symptom.kind != "environment":
        match = None
    compared = packages.compared()
    wrong = packages.misfits(compared)
    reasons = [_meaning(match)] if match else []
    reasons += [quoted(error)] if error else []
    because = f" ({'; '.join(reasons)})" if reasons else ""
    problems = [package.problem for package in wrong]
    listed = ", ".join(f"{package} {version or 'missing'}" for package, version in versions().items())
    return EnvironmentFault(
        "environment",
        f"environment, not checkpoint: {what}{because}; {'; '.join([*problems, listed])}",
        f"{_WITHOUT} {_next_step(match, wrong)}",
    )


def _meaning(match: symptoms.Match) -> str:
    return match.means.removeprefix("environment, not checkpoint: ")


def quoted(error: BaseException) -> str:
    """Return the type and message of an exception, short and without URLs."""
    words = without_urls(" ".join(str(error).split()))
    return f"{type(error).__name__}: {words[:MAX_SAID_CHARACTERS]}"


def _next_step(match: symptoms.Match | None, wrong: tuple[packages.Package, ...]) -> str:
    """Return the next step: what the symptom asks for and every package that is not as tested, in one line to paste."""
    names = dict.fromkeys((*(match.symptom.install if match else ()), *packages.to_install(wrong)))
    if match and not match.symptom.install:
        return match.next
    if names:
        return f"Install what was tested together: {packages.install_line(names)}"
    return f"Every version is a tested one: make a new environment, with nothing else in it, by {packages.install_line(CORE)}"


def speaking_fault(error: Exception) -> ConversionError:
    """Return the error for an exception that coqui, torch or transformers raised while a loaded model spoke."""
    match = symptoms.of_error(error)
    if isinstance(error, _OF_ANOTHER_AGE) or (match and match.symptom.kind == "environment"):
        return fault("coqui-tts and transformers do not fit together", error)
    if match is None or match.symptom.kind not in ("speech", "use"):
        hint = "Compare the inference fields of config.json with those of the base model."
        return CannotSpeakError("cannot-speak", f"the model loads but cannot speak ({quoted(error)})", hint)
    message = f"the model loads but cannot speak: {match.means} ({quoted(error)})"
    return CannotSpeakError(match.symptom.code, message, match.next)


def package_causes(compared: tuple[packages.Package, ...], works: bool, fault_message: str = "") -> tuple[Cause, ...]:
    """Return a cause for each package that is not as tested, and for each set that is known not to work (`package-version`).

    Args:
        works: a tiny model spoke with these packages, so a newer version is only a note.
        fault_message: of a fault that occurred; what it names already is left out here.
    """
    known_broken = () if works else symptoms.known_broken(versions())
    broken = [match.cause() for match in known_broken if _meaning(match) not in fault_message]
    as_versions = [
        package.cause("note" if works and package.within else "warning") for package in compared if package.problem
    ]
    return (*broken, *as_versions)
