"""Explain a pasted error: which of its names are bogus, which are real, and the few causes behind them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from verify.conversion.key_map import KEPT, alias_target, expand, is_known, normalise
from verify.diagnosis import attribution, causes, last_error, name_rules, shape_rules, symptoms
from verify.diagnosis.architecture import PARTS
from verify.diagnosis.error_text import LoadError, Shape, read
from verify.diagnosis.name_rules import Unexplained
from verify.diagnosis.pasted_text import USAGE, decode
from verify.errors import Cause, ConversionError, any_error, counted

XTTS_CLASSES = {"Xtts", "GPTTrainer", "XTTSv2Engine"}
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
    causes_found = _of_names(error)
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


def _of_names(error: LoadError) -> list[Cause]:
    """Return what the names of a load error say, where there are any."""
    if _is_about_xtts(error):
        names = _unexplained(error)
        for rule in RULES:
            rule(names)
        return [*names.causes, *_rest(names)]
    return [replace(_other_model(error), keys=error.names)] if error.names or error.models else []


def _of_words(error: LoadError, name_causes: list[Cause]) -> list[Cause]:
    """Return causes from the text around the names: a symptom, harmless warnings, or else its last, unknown error.

    The names are more reliable: if they give a cause, the text around them is not searched for symptoms.
    """
    text_causes = [match.cause() for match in symptoms.find_all(error.text, (symptoms.HARMLESS,))]
    text_causes = list({cause.message: cause for cause in text_causes}.values())
    if not any_error(name_causes):
        match = symptoms.find(error.text)
        text_causes += [_for_program(match, error.text)] if match else []
    text_causes += _cut(error, [*name_causes, *text_causes])
    if any_error([*name_causes, *text_causes]) or name_causes:
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


def _unexplained(error: LoadError) -> Unexplained:
    """Sort the names by canonical name; a name in two lists, of two attempts, counts in the first."""
    unexpected = [name for name in error.unexpected if name not in error.missing]
    mismatched = [name for name in error.mismatched if name not in error.missing and name not in error.unexpected]
    names = Unexplained(error, _by_canonical(error.missing), _by_canonical(unexpected), _by_canonical(mismatched))
    second = (alias_target(key) or "" for key in names.missing)
    numbers = [int(key.split(".")[3]) for key in second if key.startswith("gpt.gpt.h.") and key.split(".")[3].isdigit()]
    names.model_layers = max(numbers, default=-1) + 1
    return names


def _by_canonical(names: Iterable[str]) -> dict[str, str]:
    """Return canonical to printed name; where two printed names share one, the later counts as unknown."""
    printed: dict[str, str] = {}
    for name in names:
        key = normalise(name).text
        while key in printed:  # no canonical name holds a space
            key = f"{name} {len(printed)}"
        printed[key] = name
    return printed


def _is_about_xtts(error: LoadError) -> bool:
    names = error.names
    known_names = sum(is_known(normalise(name).text) for name in names)
    return bool(XTTS_CLASSES & set(error.models)) or (bool(names) and 2 * known_names >= len(names))


def _other_model(error: LoadError) -> Cause:
    subject = f"the error is about the class {', '.join(dict.fromkeys(error.models))}" if error.models else "the names"
    return Cause(
        code="other-model",
        severity="error",
        message=f"{subject}, not about XTTS: {counted(len(error.missing), 'name')} missing, {len(error.unexpected):,} unexpected, "
        f"{len(error.mismatched):,} of another size",
        hint="Check that the checkpoint, its config and the class belong to one model; this tool knows XTTS only.",
    )


def _auralis(names: Unexplained) -> None:
    """Names that Auralis misses in its own folder: its converter leaves out those that carry the trainer's prefix."""
    if "auralis" not in names.error.sources:
        return
    cause = Cause(
        code="converter-lost-names",
        severity="error",
        message="the folder that Auralis loads lacks weights of the GPT: its checkpoint_converter.py does not know the names of a training "
        "checkpoint (they begin with xtts.) and leaves them out. The checkpoint itself may be whole",
        hint="Let this tool write the folder: --profile auralis. Or convert the run first, and give its model.pth to the converter of Auralis then.",
    )
    names.explain(cause, list(names.missing))


def _parts(names: Unexplained) -> None:
    """Parts of which everything is missing (`missing-parts`)."""
    absent = [part for part, prefixes in PARTS.items() if _is_absent(prefixes[0], names.missing)]
    if not absent:
        return
    of_these = tuple(prefix for part in absent for prefix in PARTS[part])
    hint = (
        "Save the whole Xtts, or fill them from the base model that it was tuned from: --base DIR with its model.pth."
    )
    keys = [key for key in names.missing if key.startswith(of_these)]
    names.explain(causes.missing_parts(absent, hint), keys)


def _is_absent(prefix: str, missing: dict[str, str]) -> bool:
    """Whether every unnumbered weight of the part is missing, and at least as many others."""
    sure = [
        name for _, pattern in KEPT if pattern.startswith(prefix) and "#" not in pattern for name in expand(pattern)
    ]
    sure = [name for name in sure if name.endswith((".weight", ".bias", "mel_stats"))]
    under = sum(key.startswith(prefix) for key in missing)
    return all(name in missing for name in sure) and (under >= 2 * len(sure) or prefix == "mel_stats")


def _vocabulary(names: Unexplained) -> None:
    cause = shape_rules.vocabulary_cause(names.shapes(), "XTTSv2Engine" in names.error.models)
    if cause:
        names.explain(cause, mismatched=cause.keys)


def _config(names: Unexplained) -> None:
    wrong = shape_rules.wrong_fields(names.missing, names.unexpected, names.shapes(), names.model_layers)
    cause = shape_rules.config_cause(wrong, names.missing, names.unexpected, names.shapes())
    if cause:
        names.explain(cause, cause.keys, cause.keys, cause.keys)


# In the order of trust: what is bogus, what the names alone say, what shapes say.
RULES: tuple[Callable[[Unexplained], None], ...] = (
    name_rules.masks,
    name_rules.second_names,
    name_rules.weight_norm,
    name_rules.wrapped,
    name_rules.restored,
    name_rules.training_only,
    _auralis,
    _parts,
    _vocabulary,
    _config,
)


def _rest(names: Unexplained) -> list[Cause]:
    """Return what no rule explains: tensors lost, names that no XTTS has, other shapes."""
    shapes = {name: names.error.mismatched[name] for name in names.mismatched.values()}
    full = {name: (file, model) for name, (file, model) in shapes.items() if file is not None and model is not None}
    blank = {name: pair for name, pair in shapes.items() if name not in full}
    unexplained = attribution.explain([], list(names.missing.values()), list(names.unexpected.values()), full)
    return [*unexplained, *([causes.shape_mismatch(blank)] if blank else [])]


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
