"""Every option, declared once, for the command line, the library, completion and the tables in the docs."""

from verify.options.job import Dtype, Expect, Format, Job
from verify.options.keywords import AnyPath, Options, SourceOptions, job_of
from verify.options.option import given, names_of, options_of
from verify.options.others import HOLDERS, CommandLine, CompareOptions, DemoOptions, JudgeOptions, UiOptions, Workers
from verify.options.places import CHECKS, EVERY, GROUPS, MODEL, SPEECH
from verify.options.reproduce import command, words

__all__ = [
    "CHECKS",
    "EVERY",
    "GROUPS",
    "HOLDERS",
    "MODEL",
    "SPEECH",
    "AnyPath",
    "CommandLine",
    "CompareOptions",
    "DemoOptions",
    "Dtype",
    "Expect",
    "Format",
    "Job",
    "JudgeOptions",
    "Options",
    "SourceOptions",
    "UiOptions",
    "Workers",
    "command",
    "given",
    "job_of",
    "names_of",
    "options_of",
    "words",
]
