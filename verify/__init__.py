"""Turn an XTTS training checkpoint into a model folder that has loaded strictly and spoken.

    from verify import convert, inspect, load_xtts
    report = convert("runs/XTTS_FT-...", speaker_wavs="me.wav")

Importing this package imports nothing else; its names are looked up when they are asked for, so that `--help` is quick
and Ctrl-C is heard from the start. Only `convert`, `verify`, `compare` and `load_xtts` import torch and coqui-tts, when they run.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verify.api import compare, convert, inspect, judge, load_xtts, verify
    from verify.diagnosis.explain import explain_load
    from verify.errors import Cause, ConversionError
    from verify.options import Job, Options
    from verify.result import Result
    from verify.training.callback import export_best


__version__ = "0.1.0"
__all__ = [
    "Cause",
    "ConversionError",
    "Job",
    "Options",
    "Result",
    "compare",
    "convert",
    "explain_load",
    "export_best",
    "inspect",
    "judge",
    "load_xtts",
    "verify",
]
_HOMES = {
    "Cause": "errors",
    "ConversionError": "errors",
    "Job": "options",
    "Options": "options",
    "Result": "result",
    "compare": "api",
    "convert": "api",
    "explain_load": "diagnosis.explain",
    "export_best": "training.callback",
    "inspect": "api",
    "judge": "api",
    "load_xtts": "api",
    "verify": "api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
