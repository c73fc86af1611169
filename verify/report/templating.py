"""The one engine that makes pages of templates: every value is made safe to show and escaped, whoever wrote it."""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from verify.diagnosis.attribution import summary
from verify.errors import counted
from verify.report.words import (
    check_state,
    gap_limit,
    loss_words,
    number,
    percent,
    place_packages,
    place_words,
    signed,
    size,
    token_words,
    word_errors,
)

TEMPLATES = Path(__file__).parent / "templates"
LONGEST_TEXT = 4000  # of one value: a name in a file may have 16 MB
_KEPT = "\n\u200c\u200d"  # the last two shape letters in several scripts


def render(template: str, **values: Any) -> str:
    """Return a page as HTML that needs nothing but itself.

    A page that runs a script allows it, and its style, by their hashes: `style`, `script` and `policy`.
    """
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("compare.css", "compare.js"))
    policy = (
        f"default-src 'none'; media-src data:; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    return _engine().get_template(template).render(style=style, script=script, policy=policy, **values)


@cache  # it compiles each template once: 0.3 s
def _engine() -> Any:
    import jinja2  # only where a page is written: inspect and --help stay light

    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    engine.filters |= {
        "counted": counted,
        "folded": summary,
        "loss": loss_words,
        "number": number,
        "percent": percent,
        "signed": signed,
        "size": size,
        "word_errors": word_errors,
    }
    words = (check_state, gap_limit, place_packages, place_words, token_words)
    engine.globals |= {function.__name__: function for function in words}
    return engine


def visible(value: Any) -> Any:
    """Return a value as it may stand on a page: names of strangers' files move no text about, and none is endless."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    cut = value if len(value) <= LONGEST_TEXT else f"{value[:LONGEST_TEXT]} ... ({len(value):,} characters)"
    return "".join(char if char.isprintable() or char in _KEPT else "\ufffd" for char in cut)


def markup(text: str) -> Any:
    """Return a text marked as made here, so that it is neither escaped nor cut."""
    from markupsafe import Markup

    return Markup(text)


def data_uri(media_type: str, data: bytes) -> Any:
    """Return bytes as a `data:` address."""
    return markup(f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
