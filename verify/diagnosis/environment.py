"""Say which packages are installed, and turn an import that fails into a fault of the environment."""

import os
import platform
from importlib import import_module, metadata
from typing import Any

from verify import __version__
from verify.errors import EnvironmentFault

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


def versions() -> dict[str, str | None]:
    """Return the Python version and those of the packages that must fit together; None where one is not installed."""
    found: dict[str, str | None] = {"xtts-verify": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def import_room(name: str) -> Any:
    """Import a room that needs torch and coqui-tts.

    Raises:
        EnvironmentFault: the installed packages do not import together; the checkpoint is not at fault.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # its warnings about token ids mean nothing for XTTS
    try:
        return import_module(name)
    except _IMPORT_ERRORS as error:
        installed = ", ".join(f"{package} {version or 'missing'}" for package, version in versions().items())
        raise EnvironmentFault(
            "environment",
            f"environment, not checkpoint: coqui-tts cannot be imported ({type(error).__name__}: {str(error)[:300]}); {installed}",
            "Install the versions that pyproject.toml pins, together: pip install 'torch==2.11.*' 'torchaudio==2.11.*' "
            "'torchcodec==0.11.*' 'coqui-tts==0.28.*'. --no-verify converts without them.",
        ) from error
