"""Turn an XTTS training checkpoint into a model folder that has loaded strictly and spoken.

    from verify import convert, inspect, load_xtts
    report = convert("runs/XTTS_FT-...", speaker_wavs="me.wav")

Importing this package imports nothing else; its names are looked up when they are asked for, so that `--help` is quick
and Ctrl-C is heard from the start. Torch and coqui-tts are imported by the functions that need them, when they run.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verify.api import (
        compare,
        condition,
        convert,
        count_votes,
        dry_run,
        explain,
        inspect,
        inspect_environment,
        judge,
        list_profiles,
        load_xtts,
        read_clip,
        speak,
        sweep,
        verify,
    )
    from verify.diagnosis.explain import explain_load
    from verify.errors import Cause, ConversionError
    from verify.options import Job, Options
    from verify.resources import DEFAULT_REFERENCE
    from verify.result import Result
    from verify.training.callback import export_best


__version__ = "0.1.0"
__all__ = [
    "DEFAULT_REFERENCE",
    "Cause",
    "ConversionError",
    "Job",
    "Options",
    "Result",
    "compare",
    "condition",
    "convert",
    "count_votes",
    "dry_run",
    "explain",
    "explain_load",
    "export_best",
    "inspect",
    "inspect_environment",
    "judge",
    "list_profiles",
    "load_xtts",
    "read_clip",
    "speak",
    "sweep",
    "verify",
]
_HOMES = {
    "DEFAULT_REFERENCE": "resources",
    "Cause": "errors",
    "ConversionError": "errors",
    "Job": "options",
    "Options": "options",
    "Result": "result",
    "compare": "api",
    "condition": "api",
    "convert": "api",
    "count_votes": "api",
    "dry_run": "api",
    "explain": "api",
    "explain_load": "diagnosis.explain",
    "export_best": "training.callback",
    "inspect": "api",
    "inspect_environment": "api",
    "judge": "api",
    "list_profiles": "api",
    "load_xtts": "api",
    "read_clip": "api",
    "speak": "api",
    "sweep": "api",
    "verify": "api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
