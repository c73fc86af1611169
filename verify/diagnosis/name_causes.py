"""What the names in a load error say: each rule takes the names that it explains, and what is left has a cause of its own."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from verify.conversion.key_map import KEPT, alias_target, expand, is_known, normalise
from verify.diagnosis import attribution, causes, name_rules, shape_rules
from verify.diagnosis.architecture import PARTS
from verify.diagnosis.error_text import LoadError
from verify.diagnosis.name_rules import Unexplained
from verify.errors import Cause, counted

XTTS_CLASSES = {"Xtts", "GPTTrainer", "XTTSv2Engine"}


def find(error: LoadError) -> list[Cause]:
    """Return the causes that the names of a load error show, where it has any."""
    if _is_about_xtts(error):
        names = _unexplained(error)
        for rule in RULES:
            rule(names)
        return [*names.causes, *_rest(names)]
    return [replace(_other_model(error), keys=error.names)] if error.names or error.models else []


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
