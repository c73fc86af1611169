"""Read a load error from pasted text: the names that torch, the coqui Trainer or Auralis printed, and whether it is cut off.

Terminals and web pages break lines inside names, so lists are read from a copy without white space.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from verify.conversion.key_map import is_known, normalise
from verify.diagnosis.pasted_text import clean

Shape = tuple[int, ...] | None  # None where the text is cut before the shape


@dataclass(slots=True)
class LoadError:
    """All names that a text complains about, each once; `mismatched` has the shape in the file and in the model."""

    models: list[str] = field(default_factory=list)  # classes that torch named, in the order of the text
    missing: dict[str, None] = field(default_factory=dict)
    unexpected: dict[str, None] = field(default_factory=dict)
    mismatched: dict[str, tuple[Shape, Shape]] = field(default_factory=dict)
    cuts: list[str] = field(default_factory=list)  # where the text is not whole
    sources: set[str] = field(default_factory=set)  # "torch", "trainer", "auralis"
    text: str = ""  # cleaned, for what is no list of names

    @property
    def names(self) -> tuple[str, ...]:
        """Every name once."""
        return tuple({**self.missing, **self.unexpected, **dict.fromkeys(self.mismatched)})


# fmt: off
_NAME = r"[A-Za-z_][\w.\-]{0,299}"
_LISTS = {"missing": "Missingkey(s)instate_dict:", "unexpected": "Unexpectedkey(s)instate_dict:", "auralis": "Missingweights:{"}
_MARK = re.compile(
    r"(?P<model>Error\(s\)inloadingstate_dictfor(?P<cls>\w{1,100}):)"
    + "".join(rf"|(?P<{kind}>{re.escape(words)})" for kind, words in _LISTS.items())
    + rf"|(?P<size>sizemismatchfor(?P<key>{_NAME}):)"
    + r"|(?P<other>Traceback\(most|Duringhandlingof|Theaboveexception|File\"|```|</)"
)
_QUOTED = re.compile(rf"[\"'](?P<name>{_NAME})[\"']")
_SIZE = r"torch\.Size\(\[(?P<{}>[\d,]{{0,60}})\]\)"
_SHAPES = re.compile(
    "copyingaparam(?:withshape|of)" + _SIZE.format("file") + "fromcheckpoint,(?:theshapeincurrentmodelis|wheretheshapeis)" + _SIZE.format("model")
)
_TRAINER = re.compile(r"\|\s*>\s*(?=Layer\s|\d+\s*/\s*\d+\s+layers)")
_TRAINER_KINDS = {
    "Layermissinginthecheckpoint:":                                "missing",
    "Layermissinginthemodeldefinition:":                           "unexpected",
    "Layerdimentionmissmatchbetweenmodeldefinitionandcheckpoint:": "mismatched",
}
# fmt: on


def read(text: str) -> LoadError:
    """Read every list of names in the text."""
    error = LoadError(text=clean(text))
    _read_trainer(error)
    compact = "".join(error.text.split())
    marks = list(_MARK.finditer(compact))
    _read_headless(compact, marks, error)
    ends = [mark.start() for mark in marks[1:]] + [len(compact)]
    for mark, end in zip(marks, ends, strict=False):
        _read_part(mark, compact[mark.end() : end], end == len(compact), error)
    return error


def _read_part(mark: re.Match[str], body: str, is_last: bool, error: LoadError) -> None:
    kind = mark.lastgroup or ""
    if kind == "model":
        error.models.append(mark["cls"])
        if is_last and not body:
            error.cuts.append(f"it ends after 'Error(s) in loading state_dict for {mark['cls']}:'")
    elif kind == "size":
        shapes = _SHAPES.match(body)
        shape_pair = (_shape(shapes["file"]), _shape(shapes["model"])) if shapes else (None, None)
        if not shapes:
            error.cuts.append(f"the shapes of {mark['key']} are not in it")
        if error.mismatched.get(mark["key"], (None, None)) == (None, None):
            error.mismatched[mark["key"]] = shape_pair
        error.sources.add("torch")
    elif kind in _LISTS:
        names, is_whole = _names(body, "}" if kind == "auralis" else ".")
        into = error.unexpected if kind == "unexpected" else error.missing
        into.update(dict.fromkeys(names))
        error.sources.add("auralis" if kind == "auralis" else "torch")
        if not is_whole:
            list_name = {"missing": "missing", "unexpected": "unexpected", "auralis": "missing"}[kind]
            error.cuts.append(f"its list of {list_name} names is not whole")


def _names(body: str, stop: str) -> tuple[list[str], bool]:
    """Return the quoted names, and whether the list ends as torch ends it, with nothing left out."""
    names, position, is_whole = [], 0, True
    for match in _QUOTED.finditer(body):
        between = body[position : match.start()]
        if position and between.startswith(stop) and not between.startswith(".."):
            break  # another text after the list
        is_whole &= between in ("", ",")
        names.append(match["name"])
        position = match.end()
    rest = body[position:]
    return names, bool(names) and is_whole and rest.startswith(stop) and not rest.startswith("..")


def _read_headless(compact: str, marks: list[re.Match[str]], error: LoadError) -> None:
    """Read the names before the first mark: the paste begins inside a list, of missing names as torch prints those first."""
    head = compact[: marks[0].start() if marks else len(compact)]
    names = [match["name"] for match in _adjoining(head)]
    if error.sources or len(names) < 2 or not all(is_known(normalise(name).text) for name in names):
        return
    error.missing.update(dict.fromkeys(names))
    error.cuts.append("it begins inside a list of names, taken for missing ones")
    if not marks and not head.endswith('".'):
        error.cuts.append("it ends inside that list")
    error.sources.add("torch")


def _adjoining(text: str) -> Iterator[re.Match[str]]:
    """Yield the quoted names of the one list that the text begins in, `f.c","d.e","f.g"`: no JSON, no source code."""
    match = re.compile(rf'[\w.\-]{{0,300}}"?(?=,?"{_NAME}")').match(text)
    position = match.end() if match else len(text)
    while name := _QUOTED.match(text, position + (text[position : position + 1] == ",")):
        yield name
        position = name.end()


def _read_trainer(error: LoadError) -> None:
    """Read the Trainer's lines, one name each, wherever a terminal broke them."""
    items = _TRAINER.split(error.text)[1:]
    for number, item in enumerate(items):
        compact = "".join(item.split())
        words, kind = next(((w, k) for w, k in _TRAINER_KINDS.items() if compact.startswith(w)), ("", ""))
        if not kind:
            continue
        error.sources.add("trainer")
        name = compact.removeprefix(words)
        if number == len(items) - 1 or not re.fullmatch(_NAME, name):
            name = (re.split(r":\s*", item, maxsplit=1)[-1].split() or [""])[0]
        if not re.fullmatch(_NAME, name):
            continue
        if kind == "mismatched":
            error.mismatched.setdefault(name, (None, None))
        else:
            (error.missing if kind == "missing" else error.unexpected)[name] = None
    if "trainer" in error.sources and "layersarerestored" not in "".join(items[-1].split()):
        error.cuts.append("it ends before the Trainer's 'layers are restored'")


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(number[:18]) for number in text.split(",") if number)
