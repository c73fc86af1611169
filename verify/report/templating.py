"""The one engine that makes pages of templates: every value is escaped, and made safe to show by whoever asks."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent / "templates"


def engine(visible: Callable[[Any], Any], filters: Mapping[str, Callable[..., Any]]) -> Any:
    """Return the templates; `visible` is applied to each value before it is escaped."""
    import jinja2  # only where a page is written: inspect and --help stay light

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= filters
    return made
