"""Try the model in each Python that the user named, and say of each how it fared: the same sentence, seed and judge as here."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from verify import resources, shell
from verify.audio import clips
from verify.audio.causes import diagnose
from verify.audio.checks import judge_speech, stop_check
from verify.audio.prompts import Script
from verify.checkpoint.archive import Archive
from verify.diagnosis import explain as explanation
from verify.diagnosis import packages, symptoms
from verify.errors import Cause, ConversionError, SourceError, any_error
from verify.files.location import local_path
from verify.findings import PlaceResult
from verify.places import probing
from verify.places.interpreter import Interpreter
from verify.places.probing import Answer, Request
from verify.plan import Plan
from verify.progress import Stopwatch
from verify.result import Result

STAGES = {
    "start": "while it started",
    "import": "while it imported coqui",
    "load": "while coqui loaded the folder",
    "condition": "while it heard the reference clip",
    "speak": "while it spoke",
}
_MOST_CHARACTERS = 300  # of its last words
_MOST_NAMES = 4  # of checks that fail
_FAULT = "most recent call first"  # what faulthandler prints where Python crashes or hangs


def require_folder(plan: Plan) -> None:
    """Check that the source is a folder as programs open it.

    Raises:
        SourceError: it is not (`no-model-folder`).
    """
    path, source = plan.archive.path, plan.source
    beside = path.parent / "vocab.json"
    lacks = [name for name in ("config.json", "vocab.json") if not (path.parent / name).is_file()]
    problem = ""
    if not local_path(path) or path.name != "model.pth":
        problem = f"{path} is no model.pth on this machine"
    elif lacks:
        problem = f"{path.parent} lacks {' and '.join(lacks)}"
    elif plan.job.config or (source.vocab and source.vocab.path != beside):
        problem = "--config and --vocab change nothing in the folder that a program opens"
    elif any(
        cause.code == "speakers-refused" for cause in plan.causes
    ):  # such as a legacy format, which coqui may open
        problem = "its speakers_xtts.pth is not read here, and what is not read is handed to no other coqui"
    if problem:
        hint = "Convert it with --python: the folder that is written is tried before it is published."
        raise SourceError("no-model-folder", f"--python tries a model folder as a program opens it; {problem}", hint)


def tried(
    result: Result,
    script: Script | None,
    folder: Path,
    interpreters: Sequence[Interpreter],
    clock: Stopwatch,
    out: Path | None,
) -> Result:
    """Return the result with a row for each Python; of a model with an error there are none.

    Args:
        folder: the model folder, every file of which was read and checked here.
        out: where the samples are written; None writes none.
    """
    if not interpreters or any_error(result.causes):
        return result
    places = []
    for number, interpreter in enumerate(interpreters, start=1):
        with clock.step("places", f"trying it in {interpreter.path}"):
            request = Request(
                folder=folder,
                device=result.plan.job.device,
                seed=result.plan.job.seed,
                script=script,
                limit_seconds=_limit(result),
            )
            answer = probing.ask(interpreter, request)
            place = _judged(interpreter, answer, result)
            if out and answer.sample:
                place = replace(place, path=f"elsewhere-{number:02}.wav")
                clips.write_wav(out / str(place.path), answer.sample.samples, answer.sample.rate_hz)
            places.append(place)
    return replace(result, places=tuple(places))


def _limit(result: Result) -> float:
    """Return the seconds for one place: ten times what importing, loading and speaking took here, and ten minutes at least."""
    here = sum(result.seconds.get(part, 0.0) for part in ("import", "build", "load", "condition", "speak"))
    return max(resources.load("limits")["place"]["seconds"], 10 * here)


def _judged(interpreter: Interpreter, answer: Answer, result: Result) -> PlaceResult:
    """Return how the model fared by what the probe found."""
    place = PlaceResult(
        python=str(interpreter.path),
        version=interpreter.version,
        packages=answer.packages,
        device=answer.device,
        stage=None if answer.done else answer.stage,
        causes=_causes(interpreter, answer),
        seconds={name: round(value, 3) for name, value in answer.seconds.items()},
    )
    if answer.sample is None or not answer.done:
        return place
    sample = answer.sample
    speed = result.plan.job.speed or 1.0
    judged = judge_speech(sample.samples, sample.rate_hz, sample.text, sample.language, speed)
    checks = (*judged, stop_check(sample))
    place = replace(
        place,
        tokens=sample.tokens,
        stopped=sample.stopped,
        sound_seconds=round(sample.seconds, 3),
        same_tokens=result.samples[0].codes == sample.codes if result.samples and result.samples[0].codes else None,
        checks=checks,
        demanded=result.plan.job.demands(checks, has_samples=True),
    )
    return replace(place, causes=(*place.causes, *_sound(place, result)))


def _sound(place: PlaceResult, result: Result) -> list[Cause]:
    """Return why it sounds wrong there; a model that sounds well here shows that it is not the model."""
    failed = place.failed_checks
    if not failed:
        return []
    names = ", ".join(check.name for check in failed[:_MOST_NAMES])
    names += f" and {len(failed) - _MOST_NAMES} more" if len(failed) > _MOST_NAMES else ""
    heard = diagnose(failed, [check for check in place.checks if check.ok])
    words = f"{heard.says} ({names})" if heard else f"these checks fail: {names}"
    if result.failed_checks:
        message, hint = (
            f"it sounds wrong there as it does here: {names}",
            "The same is heard here: it is the model, and not that Python.",
        )
    elif not result.samples:
        message, hint = f"it sounds wrong there: {words}", heard.next if heard else failed[0].hint
    else:
        message = f"it sounds wrong there alone: {words}; the same weights, text and seed pass here, so the packages there are at fault"
        broken = symptoms.known_broken({**place.packages, "python": place.version})
        hint = (
            broken[0].next
            if broken
            else f"Take the versions that were tested together: {packages.install_line(packages.CORE)}"
        )
    return [Cause(code="place-sounds-wrong", severity="error", message=message, hint=_for(place.python, hint))]


def _causes(interpreter: Interpreter, answer: Answer) -> tuple[Cause, ...]:
    """Return why the probe did not do all that was asked, and that it reads no clips."""
    causes: list[Cause] = []
    if answer.error:
        causes += _explained(answer.error, interpreter, answer)
    elif not answer.done:
        causes.append(_died(interpreter, answer))
    if answer.clip_error:
        causes.append(_reads_no_clip(interpreter, answer))
    return tuple(causes)


def _explained(text: str, interpreter: Interpreter, answer: Answer) -> list[Cause]:
    """Return what the traceback means, by the table that `explain` uses; where that knows nothing, by the versions."""
    try:
        causes = list(explanation.explain(text).causes)
    except ConversionError as error:
        causes = [error.cause]
    versions = {**answer.packages, "python": interpreter.version}
    if all(
        cause.code in ("unknown-error", "no-load-error", "cannot-speak")
        for cause in causes
        if cause.severity == "error"
    ):
        causes = [*(match.cause() for match in symptoms.known_broken(versions)), *causes]
    causes = [cause for cause in causes if cause.severity != "note"]
    return [replace(cause, hint=_for(str(interpreter.path), cause.hint)) for cause in causes]


def _for(python: str, hint: str) -> str:
    """Return the hint with `pip` of that Python: the `pip` on the path belongs to another."""
    return re.sub(r"\bpip (install|uninstall)\b", lambda match: f"{shell.quote(python)} -m pip {match[1]}", hint)


def _died(interpreter: Interpreter, answer: Answer) -> Cause:
    """Return the cause for a process that ended without an answer: it hung, crashed, or was ended from outside."""
    ended, stage = answer.ended, STAGES[answer.stage]
    hangs = "Timeout (" in ended.said and _FAULT in ended.said
    if ended.status is None or hangs:
        message = f"it did not come to an end {stage}, and was ended{_where(ended.said)}"
        hint = (
            "Start that Python by hand and import TTS: what it waits for (a download, a question, a GPU) is told there."
        )
        return Cause(code="place-hangs", severity="error", message=message, hint=hint)
    lines = [] if _FAULT in ended.said else ended.said.split("\n")
    last = next((" ".join(line.split()) for line in reversed(lines) if line.strip()), "")[:_MOST_CHARACTERS]
    message = f"it {ended.how} {stage}{_where(ended.said)}" + (f"; the last that it said: {last}" if last else "")
    hint = "Try --device cpu. SIGKILL is mostly a machine out of memory, a crash at the import packages of two builds."
    return Cause(code="place-died", severity="error", message=message, hint=hint)


def _where(said: str) -> str:
    """Return where Python stood, as faulthandler tells it."""
    match = re.search(r'most recent call first\):\s+File "([^"\n]{1,300})", line (\d+)(?: in (\S{1,80}))?', said)
    if not match:
        return ""
    file = "/".join(re.split(r"[\\/]", match[1])[-3:])
    return f" ({file}, line {match[2]}" + (f", in {match[3]})" if match[3] else ")")


def _reads_no_clip(interpreter: Interpreter, answer: Answer) -> Cause:
    """Return the warning that a program there cannot read a reference clip; it may still speak with a named voice."""
    first = _explained(answer.clip_error, interpreter, answer)[0]
    reason = first.message.removeprefix("environment, not checkpoint: ")
    message = f"it speaks, but coqui reads no reference clip there: {reason}"
    return Cause(code="place-reads-no-clip", severity="warning", message=message, hint=first.hint)


def opened(archive: Archive) -> Path:
    """Return the folder that programs open, of a source that `require_folder` let pass."""
    return Path(str(archive.path.parent))
