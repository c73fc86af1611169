"""Turn an XTTS training checkpoint into a model folder that has loaded strictly and spoken.

    from verify import Job, Request, convert, inspect, verify
    report = convert(Job(request=Request(source=Path("run/XTTS_FT-..."))))

Importing this package imports neither torch nor coqui-tts; `convert` and `verify` do.
"""

from verify.checkpoint.source import Request
from verify.errors import Cause, ConversionError
from verify.pipeline import convert, inspect, verify
from verify.plan import Job
from verify.reporting.report import Report

__version__ = "0.1.0"
__all__ = ["Cause", "ConversionError", "Job", "Report", "Request", "convert", "inspect", "verify"]
