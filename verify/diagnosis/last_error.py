"""Find the last error of a text that matches no symptom: where it was raised, and whether it concerns the weights."""

import re
from dataclasses import dataclass

from verify import resources
from verify.diagnosis import symptoms
from verify.errors import Cause

_EXCEPTION = re.compile(
    r"(?P<type>\b[A-Za-z_][\w.]{0,80}(?:Error|Exception|Interrupt|Fault|Exit))\b(?:: ?(?P<words>.{0,400}))?"
)
_IS_CLASS = re.compile(r"(?:\w+\.)*[A-Z]\w*|(?:\w+\.)+\w+|error")  # not a word of a sentence
_WORDS = re.compile(
    r"(?i)\b(?:error|failed|failure|fatal|cannot|can't|could ?n[o']t|unable to|not found|aborted|killed|segmentation fault|core dumped|panicked|missing|unrecognized|unsupported|is not supported)\b"
)
_FRAME = re.compile(r'File "(?P<file>[^"\n]{1,300})", line (?P<line>\d{1,7})(?:, in (?P<function>[\w<>.]{1,80}))?')
_LOOKS_LIKE_LOG = re.compile(r"(?i)error|fail|exception|traceback|warn|\u274c|\[!\]|fatal|killed|abort|fault")
MOST_LINES = 4000  # from the end
SHOWN_CHARACTERS = 300
SHOWN_PATH_CHARACTERS = 60

_ELSEWHERE = (
    "nothing in it says that it is about the weights",
    "Whether the model is whole and speaks: verify DIR. Whether the packages fit: env. If a program wants another folder: --profile NAME.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastError:
    """The last error of a text: its line, and the innermost frame above it."""

    line: str
    frame: str
    text: str


def find(text: str) -> LastError | None:
    """Return the last error of a text, or None."""
    lines = text.split("\n")[-MOST_LINES:]
    best: tuple[int, str] | None = None
    for number in range(len(lines) - 1, -1, -1):
        line = " ".join(lines[number].split())
        if not line or "Warning:" in line:
            continue
        match = next((match for match in _EXCEPTION.finditer(line[:2000]) if _is_error(match, line)), None)
        if match:
            return _at(lines, number, line[match.start() :])
        if best is None and _WORDS.search(line[:2000]) and _LOOKS_LIKE_LOG.search(line[:2000]):
            best = number, line
    return _at(lines, *best) if best else None


def _is_error(match: re.Match[str], line: str) -> bool:
    """Whether it is the class of an exception as Python prints it, and no word of a sentence."""
    is_whole_line = match.end() == len(line) and not line[: match.start()].strip("│| >-*!\u274c[]():")
    return bool(_IS_CLASS.fullmatch(match["type"])) and (match["words"] is not None or is_whole_line)


def _at(lines: list[str], number: int, line: str) -> LastError:
    frames = [match for above in lines[max(0, number - 60) : number + 1] for match in _FRAME.finditer(above)]
    frame = ""
    if frames:
        last = frames[-1]
        frame = f"{_shown(last['file'])}, line {last['line']}" + (
            f", in {last['function']}" if last["function"] else ""
        )
    return LastError(line=line[:SHOWN_CHARACTERS], frame=frame, text="\n".join(lines[max(0, number - 60) : number + 1]))


def _shown(file: str) -> str:
    """Return the path of a file whole, or its last three parts where it is long."""
    return file if len(file) <= SHOWN_PATH_CHARACTERS else "…/" + "/".join(re.split(r"[\\/]", file)[-3:])


def cause(error: LastError, program: symptoms.Program | None) -> Cause:
    """Return the cause for an error that no symptom knows: what it is, where, whether it is about the weights, and where to go on."""
    lower = f"{error.text}\n{error.line}".lower()
    rows = resources.load("symptoms/moments")["moment"]
    moment, hint = next(
        ((row["means"], row["next"]) for row in rows if any(word in lower for word in row["words"])), _ELSEWHERE
    )
    where = f" ({error.frame})" if error.frame else ""
    if program:
        hint += f" It came from {program.name}: --profile {program.profile} makes the folder that it takes."
    return Cause(
        code="unknown-error", severity="error", message=f"no known error: {error.line}{where}; {moment}", hint=hint
    )
