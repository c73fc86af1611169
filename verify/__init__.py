"""Turn an XTTS training checkpoint into a model folder that has loaded strictly and spoken.

    from verify import Job, Request, convert, inspect, verify
    report = convert(Job(request=Request(source=Path("run/XTTS_FT-..."))))

Importing this package imports nothing else; its names are looked up when they are asked for, so that `--help` is quick
and Ctrl-C is heard from the start. Only `convert` and `verify` import torch and coqui-tts, when they run.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from verify.checkpoint.source import Request
    from verify.diagnosis.scare import explain_load
    from verify.errors import Cause, ConversionError
    from verify.loading import load_xtts
    from verify.pipeline import convert, inspect, verify
    from verify.plan import Job
    from verify.reporting.report import Report

__version__ = "0.1.0"
__all__ = [
    "Cause",
    "ConversionError",
    "Job",
    "Report",
    "Request",
    "convert",
    "explain_load",
    "inspect",
    "load_xtts",
    "verify",
]
_HOMES = {
    "Cause": "errors",
    "ConversionError": "errors",
    "Job": "plan",
    "Report": "reporting.report",
    "Request": "checkpoint.source",
    "convert": "pipeline",
    "explain_load": "diagnosis.scare",
    "inspect": "pipeline",
    "load_xtts": "loading",
    "verify": "pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
