"""Explain a pasted error: which of its names are bogus, which are real, and the few causes behind them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from verify.diagnosis import last_error, name_causes, symptoms
from verify.diagnosis.error_text import LoadError, Shape, read
from verify.diagnosis.pasted_text import USAGE, decode
from verify.errors import Cause, ConversionError, any_error

_LOADER = re.compile(r'xtts\.py",line\d+,inload_checkpoint')  # prints its first failure above the second
_ASK_THE_FILE = (
    "Paste the text up to its very last line, or ask the file itself: inspect CHECKPOINT --config FILE --vocab FILE."
)
_BINARY = (b"PK\x03\x04", b"\x80\x02", b"\x89PNG", b"RIFF", b"\xff\xd8\xff")  # a zip, a pickle, a picture, a sound


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An error explained. Every name is a second name or belongs to exactly one other cause."""

    causes: tuple[Cause, ...]
    names: tuple[str, ...] = ()
    second_names: tuple[str, ...] = ()  # bogus: missing only because init_gpt_for_inference had made them
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: Mapping[str, tuple[Shape, Shape]] = field(default_factory=dict)
    cut_off: tuple[str, ...] = ()  # where the text is not whole


def explain(text: str | bytes) -> Explanation:
    """Explain the pasted text: the names of a load error, a symptom that is known, or at least its last error.

    Raises:
        ConversionError: the text contains no error (`no-load-error`).
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    decoded = decode(data)
    if "\x00" in decoded[:4096] or data.startswith(_BINARY):
        message = "this is a binary file, not the text of an error"
        raise ConversionError("no-load-error", message, f"To see what is in a checkpoint: inspect FILE. {USAGE}")
    explanation = _explain(read(decoded))
    if not explanation.causes:
        raise ConversionError("no-load-error", "no error can be read in this text", USAGE)
    return explanation


def explain_load(model: Any, state_dict: Mapping[str, Any]) -> Explanation:
    """Explain what `model.load_state_dict(state_dict, strict=True)` complains about, whatever state the model is in.

    A model that `eval()` or `init_gpt_for_inference()` has put in inference mode wants second names that no file
    holds: they are separated from the real ones.

    Args:
        model: an `Xtts`, or anything with a `state_dict()` of tensors.
        state_dict: name to tensor.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in state_dict.items()}
    error = LoadError(
        models=[type(model).__name__],
        missing=dict.fromkeys(name for name in wanted if name not in given),
        unexpected=dict.fromkeys(name for name in given if name not in wanted),
        mismatched={
            name: (given[name], shape) for name, shape in wanted.items() if name in given and given[name] != shape
        },
    )
    return _explain(error)


def _explain(error: LoadError) -> Explanation:
    causes_found = name_causes.find(error)
    second = tuple(key for cause in causes_found if cause.code == "inference-mode" for key in cause.keys)
    causes_found += _of_words(error, causes_found)
    order = ("error", "warning", "note")
    return Explanation(
        causes=tuple(sorted(causes_found, key=lambda cause: order.index(cause.severity))),
        names=error.names,
        second_names=second,
        missing=tuple(error.missing),
        unexpected=tuple(error.unexpected),
        mismatched=dict(error.mismatched),
        cut_off=tuple(dict.fromkeys(error.cuts)),
    )


def _of_words(error: LoadError, of_names: list[Cause]) -> list[Cause]:
    """Return causes from the text around the names: a symptom, harmless warnings, or else its last, unknown error.

    The names are more reliable: if they give a cause, the text around them is not searched for symptoms.
    """
    text_causes = [match.cause() for match in symptoms.find_all(error.text, (symptoms.HARMLESS,))]
    text_causes = list({cause.message: cause for cause in text_causes}.values())
    if not any_error(of_names):
        match = symptoms.find(error.text)
        text_causes += [_for_program(match, error.text)] if match else []
    text_causes += _cut(error, [*of_names, *text_causes])
    if any_error([*of_names, *text_causes]) or of_names:
        return text_causes
    last = last_error.find(error.text)
    if last:
        return [*text_causes, last_error.cause(last, symptoms.program(error.text))]
    return [*text_causes, _only_harmless()] if text_causes else []


def _for_program(match: symptoms.Match, text: str) -> Cause:
    """Return the cause of a symptom; where a program's own rule for its folder may be broken, with the profile that keeps it."""
    cause, program = match.cause(), symptoms.program(text)
    if program is None or match.symptom.kind != "files" or "--profile" in cause.hint:
        return cause
    return replace(
        cause,
        hint=f"{cause.hint} It came from {program.name}: --profile {program.profile} makes the folder that it takes.",
    )


def _only_harmless() -> Cause:
    message = (
        "no error stands in this text, only warnings that are harmless: if something failed, the text ends before it"
    )
    return Cause(code="cut-off", severity="warning", message=message, hint=_ASK_THE_FILE)


def _cut(error: LoadError, causes_found: list[Cause]) -> list[Cause]:
    """Return a cause where the text is not whole: an error where the true cause is not among what is left."""
    where = "; ".join(dict.fromkeys(error.cuts))
    if any_error(causes_found):
        message = f"the text is cut off ({where}), so there may be more"
        return [Cause(code="cut-off", severity="warning", message=message, hint=_ASK_THE_FILE)] if where else []
    if not where and _LOADER.search("".join(error.text.split())) and error.names:
        where = "Xtts.load_checkpoint shows these names only after a first load failed, and that failure is not in it"
    if not where:
        return []
    message = f"the text is cut off ({where}): the true cause stood outside of it"
    return [Cause(code="cut-off", severity="error", message=message, hint=_ASK_THE_FILE)]
