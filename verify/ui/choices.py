"""The options that are folded away, as fields of the page: made from where they are declared, so that none is missing."""

from collections.abc import Iterator, Sequence
from dataclasses import Field
from typing import Any

from verify import resources
from verify.options import Job, options_of
from verify.options import option as options
from verify.options.option import Option
from verify.ui.roots import Roots

ELSEWHERE = {
    "source",
    "checkpoint",
    "speaker_wavs",
    "texts",
    "profile",
    "force",
    "follow",
    "held_out",
    "held_out_clips",
}  # fields of their own, or ours to decide
_PRIVATE = {("compare", "output")}  # its page lies in a folder of ours, where it is shown from
_SWITCHES = {"transcribe"}  # options that take a value or none, here only none
_HARMLESS = {"N", "X", "CODE"}  # numbers and languages; other free text may name a file, or a program to start


def folded(command: str) -> list[tuple[Field[Any], Option]]:
    """Return the options of a command that have no field of their own, in the order of `--help`."""
    return [
        (field, option)
        for field, option in options_of(Job)
        if command in option.commands
        and field.name not in ELSEWHERE
        and (command, field.name) not in _PRIVATE
        and _is_harmless(field, option)
    ]


def _is_harmless(field: Field[Any], option: Option) -> bool:
    """Whether whoever has the page open may choose it: paths are, as they are held to the folders of the page."""
    is_bounded = isinstance(field.default, bool) or bool(option.choices) or option.parse is options.location
    return is_bounded or field.name in _SWITCHES or option.metavar in _HARMLESS


def label(option: Option) -> str:
    """Return what the page calls an option: its flag in words."""
    return option.flag.lstrip("-").replace("-", " ")


def component(gradio: Any, field: Field[Any], option: Option) -> Any:
    """Return the field of the page for an option."""
    about = {"label": label(option), "info": option.help.replace("`", "")}
    if isinstance(field.default, bool) or field.name in _SWITCHES:
        return gradio.Checkbox(value=False, **about)
    if field.name == "language":
        return gradio.Dropdown(choices=[("as the run", ""), *resources.load("sentences")], value="", **about)
    if option.choices:
        return gradio.Dropdown(choices=list(option.choices), value=field.default, **about)
    placeholder = "" if field.default is None else str(field.default)
    return gradio.Textbox(placeholder=placeholder, max_lines=8, **about)


def read(command: str, values: Sequence[Any], roots: Roots) -> dict[str, Any]:
    """Return the options that were changed, as keywords of the library; it checks them.

    Raises:
        ConversionError: a path is outside of what the page may open.
    """
    return dict(_changed(command, values, roots))


def _changed(command: str, values: Sequence[Any], roots: Roots) -> Iterator[tuple[str, Any]]:
    for (field, option), value in zip(folded(command), values, strict=True):
        if value in (None, "", False, field.default):
            continue
        if isinstance(field.default, bool):
            yield field.name, not field.default
        elif field.name in _SWITCHES:
            yield field.name, option.alone
        elif option.parse is options.location:
            yield field.name, roots.find(str(value))
        else:
            yield field.name, str(value).strip()
