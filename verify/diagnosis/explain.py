"""Explain a load error: which of its names are bogus, which are true, and the few causes that explain each true one."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from verify.conversion.key_map import KEPT, alias_target, expand, is_known, normalise
from verify.diagnosis import attribution, name_rules, shape_rules
from verify.diagnosis.components import PARTS
from verify.diagnosis.error_text import USAGE, LoadError, Shape, decode, read
from verify.diagnosis.name_rules import Open
from verify.errors import Cause, ConversionError, any_error, counted

XTTS_CLASSES = {"Xtts", "GPTTrainer", "XTTSv2Engine"}
_LOADER = re.compile(r'xtts\.py",line\d+,inload_checkpoint')  # whose first failure stands above the second
_ASK_THE_FILE = (
    "Paste the text up to its very last line, or ask the file itself: inspect CHECKPOINT --config FILE --vocab FILE."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scare:
    """A load error explained. Every name is bogus or belongs to exactly one other cause."""

    causes: tuple[Cause, ...]
    names: tuple[str, ...]
    bogus: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: dict[str, tuple[Shape, Shape]]
    cut_off: tuple[str, ...]  # where the text is not whole


def explain(data: bytes) -> Scare:
    """Explain the pasted text.

    Raises:
        ConversionError: no load error can be read in it (`no-load-error`).
    """
    error = read(decode(data))
    if not error.names and not error.models and not find(error.text):
        raise _nothing(data)
    return _explain(error)


def explain_load(model: Any, state_dict: Mapping[str, Any]) -> Scare:
    """Explain what `model.load_state_dict(state_dict, strict=True)` complains about, whatever state the model is in.

    A model that `eval()` or `init_gpt_for_inference()` has put in inference mode wants second names that no file
    holds: they are told from the true ones.

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


def _explain(error: LoadError) -> Scare:
    told, left = find(error.text), _open(error)
    if _is_about_xtts(error):
        for rule in RULES:
            rule(left)
        told += tuple(left.found) + tuple(_rest(left))
    elif error.names or error.models:
        told += (replace(_other_model(error), keys=error.names),)
    found = list(told)
    bogus = tuple(key for cause in found if cause.code == "inference-mode" for key in cause.keys)
    found += _cut(error, found)
    order = ("error", "warning", "note")
    return Scare(
        causes=tuple(sorted(found, key=lambda cause: order.index(cause.severity))),
        names=error.names,
        bogus=bogus,
        missing=tuple(error.missing),
        unexpected=tuple(error.unexpected),
        mismatched=dict(error.mismatched),
        cut_off=tuple(dict.fromkeys(error.cuts)),
    )


def _nothing(data: bytes) -> ConversionError:
    if b"\x00" in data[:4096] or data[:2] in (b"PK", b"\x80\x02"):
        message = "this is a binary file, not the text of an error"
        return ConversionError("no-load-error", message, "To see what is in a checkpoint: inspect FILE. " + USAGE)
    return ConversionError("no-load-error", "no load error can be read in this text", USAGE)


def _open(error: LoadError) -> Open:
    """Sort the names by canonical name; a name in two lists, of two attempts, counts in the first."""
    unexpected = [name for name in error.unexpected if name not in error.missing]
    mismatched = [name for name in error.mismatched if name not in error.missing and name not in error.unexpected]
    left = Open(error, _by_canonical(error.missing), _by_canonical(unexpected), _by_canonical(mismatched))
    second = (alias_target(key) or "" for key in left.missing)
    numbers = [int(key.split(".")[3]) for key in second if key.startswith("gpt.gpt.h.") and key.split(".")[3].isdigit()]
    left.model_layers = max(numbers, default=-1) + 1
    return left


def _by_canonical(names: Iterable[str]) -> dict[str, str]:
    """Return canonical to printed name; where two printed names share one, the later counts as unknown."""
    found: dict[str, str] = {}
    for name in names:
        key = normalise(name).text
        while key in found:  # no canonical name holds a space
            key = f"{name} {len(found)}"
        found[key] = name
    return found


def _is_about_xtts(error: LoadError) -> bool:
    names = error.names
    known = sum(is_known(normalise(name).text) for name in names)
    return bool(XTTS_CLASSES & set(error.models)) or (bool(names) and 2 * known >= len(names))


def _other_model(error: LoadError) -> Cause:
    what = f"the error is about the class {', '.join(dict.fromkeys(error.models))}" if error.models else "the names"
    return Cause(
        code="other-model",
        severity="error",
        message=f"{what}, not about XTTS: {counted(len(error.missing), 'name')} missing, {len(error.unexpected):,} unexpected, "
        f"{len(error.mismatched):,} of another size",
        hint="Check that the checkpoint, its config and the class belong to one model; this tool knows XTTS only.",
    )


def _parts(left: Open) -> None:
    """Parts of which everything is missing (`missing-parts`)."""
    absent = [part for part, prefixes in PARTS.items() if _is_absent(prefixes[0], left.missing)]
    of_these = tuple(prefix for part in absent for prefix in PARTS[part])
    hint = "Save the whole Xtts, or add these tensors from the base model that it was tuned from."
    if "auralis" in left.error.sources:
        hint = "Convert the run with this tool first, and its model.pth with the converter of Auralis then."
    message = f"the file holds no {' and no '.join(absent)}"
    cause = Cause(code="missing-parts", severity="error", message=message, hint=hint)
    left.close(cause, [key for key in left.missing if key.startswith(of_these)])


def _is_absent(prefix: str, missing: dict[str, str]) -> bool:
    """Whether every unnumbered weight of the part is missing, and as many others again."""
    sure = [
        name for _, pattern in KEPT if pattern.startswith(prefix) and "#" not in pattern for name in expand(pattern)
    ]
    sure = [name for name in sure if name.endswith((".weight", ".bias", "mel_stats"))]
    under = sum(key.startswith(prefix) for key in missing)
    return all(name in missing for name in sure) and (under >= 2 * len(sure) or prefix == "mel_stats")


def _vocabulary(left: Open) -> None:
    cause = shape_rules.vocabulary_cause(left.shapes(), "XTTSv2Engine" in left.error.models)
    if cause:
        left.close(cause, mismatched=cause.keys)


def _config(left: Open) -> None:
    if "auralis" in left.error.sources:
        return  # Auralis has a config of its own, and lost layers are lost there
    wrong = shape_rules.wrong_fields(left.missing, left.unexpected, left.shapes(), left.model_layers)
    cause = shape_rules.config_cause(wrong, left.missing, left.unexpected, left.shapes())
    if cause:
        left.close(cause, cause.keys, cause.keys, cause.keys)


# In the order of trust: what is bogus, what the names alone say, what shapes say.
RULES: tuple[Callable[[Open], None], ...] = (
    name_rules.masks,
    name_rules.second_names,
    name_rules.weight_norm,
    name_rules.wrapped,
    name_rules.restored,
    name_rules.training_only,
    _parts,
    _vocabulary,
    _config,
)


def _rest(left: Open) -> list[Cause]:
    """Return what no rule explains: tensors lost, names that no XTTS has, other shapes."""
    shapes = {name: left.error.mismatched[name] for name in left.mismatched.values()}
    blank = [name for name, (file, model) in shapes.items() if file is None or model is None]
    full = {name: (file, model) for name, (file, model) in shapes.items() if file is not None and model is not None}
    found = list(attribution.explain([], list(left.missing.values()), list(left.unexpected.values()), full))
    if blank:
        message = f"{counted(len(blank), 'tensor')} of another size in the file than in the model; the text does not say the sizes: {attribution.summary(blank)}"
        hint = "Pass the config.json of the run that made this checkpoint: --config FILE."
        found.append(Cause(code="shape-mismatch", severity="error", message=message, hint=hint, keys=tuple(blank)))
    return found


def _cut(error: LoadError, found: list[Cause]) -> list[Cause]:
    """Return a cause where the text is not whole: an error where the true cause is not among what is left."""
    where = "; ".join(dict.fromkeys(error.cuts))
    if any_error(found):
        message = f"the text is cut off ({where}), so there may be more"
        return [Cause(code="cut-off", severity="warning", message=message, hint=_ASK_THE_FILE)] if where else []
    if not where and _LOADER.search("".join(error.text.split())) and error.names:
        where = "Xtts.load_checkpoint shows these names only after a first load failed, and that failure is not in it"
    if not where:
        return []
    message = f"the text is cut off ({where}): the true cause stood outside of it"
    return [Cause(code="cut-off", severity="error", message=message, hint=_ASK_THE_FILE)]


_PINS = "Install what fits together: pip install 'torch==2.11.*' 'torchaudio==2.11.*' 'torchcodec==0.11.*' 'coqui-tts==0.28.*'."
_CONVERT = (
    "Convert it with this tool, which reads such a config without running it and writes a plain one. "
    "Do not follow the advice to turn weights_only off: that runs whatever the file holds."
)
_COPY = "Look at the file itself: inspect FILE. If it is truncated, copy or download it again."

# words (lower case, without white space) -> code, message, hint
# fmt: off
SYMPTOMS = (
    (("weightsonlyloadfailed", "weightsunpicklererror"),
     "unsafe-pickle", "torch refused the file, because its pickle asks Python to import {name}", _CONVERT),
    (("invalidloadkey,'<'",),
     "html-page", "the file is a web page, not a checkpoint", "Download the file itself, not the page that shows it."),
    (("invalidloadkey,'v'",),
     "git-lfs-pointer", "the file is a Git LFS pointer, not the checkpoint", "Fetch the content: git lfs pull."),
    (("invalidmagicnumber", "pytorchstreamreaderfailed", "invalidloadkey", "ranoutofinput", "pickledatawastruncated",
      "unexpectedeof", "failedfindingcentraldirectory", "notazipfile", "metadataincompletebuffer", "headertoolarge", "invalidheaderdeserialization"),
     "bad-container", "the file could not be opened: it is truncated, damaged, or no checkpoint", _COPY),
    (("compiledwithdifferentcudaversions",),
     "environment", "environment, not checkpoint: torch and torchaudio are built for different CUDA versions", _PINS),
    (("nomodulenamed'torchcodec'", "torchcodecisrequired", "couldnotloadlibtorchcodec"),
     "environment", "environment, not checkpoint: torchcodec, which reads audio for torchaudio, is missing or finds no FFmpeg", _PINS + " FFmpeg comes from the system's packages."),
    (("gpt2inferencemodel'objecthasnoattribute'generate'", "cannotimportname'beamsearchscorer'"),
     "environment", "environment, not checkpoint: transformers 4.50 and later took away what this old TTS calls", "Install coqui-tts, the kept-up fork, in the place of TTS. " + _PINS),
    (("cudaoutofmemory", "outofmemoryerror"),
     "out-of-memory", "the GPU had not enough memory", "Load on the CPU first: map_location='cpu'."),
)
# fmt: on
_GLOBAL = re.compile(r"GLOBAL([\w.]{1,200}?)wasnotanallowed")


def find(text: str) -> tuple[Cause, ...]:
    """Return a cause for each known failure in the text, the most telling one for each of its words."""
    compact = "".join(text.split())
    lower, name = compact.lower(), _GLOBAL.search(compact)
    found: dict[str, Cause] = {}
    for words, code, message, hint in SYMPTOMS:
        if any(word in lower for word in words) and not (code == "bad-container" and found):
            message = message.format(name=name[1] if name else "code (coqui saved its config as a Python object)")
            found.setdefault(message, Cause(code=code, severity="error", message=message, hint=hint))
    return tuple(found.values())
