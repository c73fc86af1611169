"""What the page shows, as HTML that is escaped by the engine of the reports."""

import re
from pathlib import Path
from typing import Any

from verify.document import cause_as_json
from verify.errors import Cause
from verify.options import HOLDERS, options_of
from verify.report import page
from verify.report.details import facts
from verify.report.templating import render
from verify.report.words import UNCHECKED_WORDS
from verify.result import Result
from verify.results.comparison import ComparisonReport
from verify.results.sweep import SweepReport
from verify.ui import takeaway
from verify.ui.choices import label
from verify.ui.work import Work

_FLAGS = {flag: label(option) for holder in HOLDERS for _, option in options_of(holder) for flag in option.flags}
_FLAG = re.compile(r"(?<![\w-])(--?[a-z][a-z-]*)(?: (?:[A-Z]+(?:=[A-Z]+)?)\b)?")
TITLES = {"compare": "The comparison", "sweep": "The sweep"}


def in_words(text: str) -> str:
    """Return a message with the names of the fields in place of flags: `--vocab FILE` is “vocab” here."""
    return _FLAG.sub(lambda match: f"“{_FLAGS[match[1]]}”" if match[1] in _FLAGS else match[0], text)


def inspected(report: Result) -> str:
    """Return what is in a source: which checkpoint, language and vocabulary, what is missing and where to get it."""
    document = report.to_json()
    return render(
        "ui_inspect.html.j2",
        report=document,
        facts=facts(report),
        language=report.source.language or "",
        causes=_told(report.causes),
    )


def refused(cause: Cause) -> str:
    """Return why something could not be done."""
    return render("ui_cause.html.j2", causes=_told((cause,)), verdict="error", title="It could not run")


def explained(verdict: str, causes: tuple[Cause, ...]) -> str:
    """Return what an error that was pasted means."""
    return render("ui_cause.html.j2", causes=_told(causes), verdict=verdict, title="What it means")


def progress(work: Work, before: int) -> str:
    """Return how far a piece of work is, in words and as a bar."""
    share = min(1.0, work.done / work.total) if work.total else None
    return render("ui_progress.html.j2", work=work, before=before, share=share)


def result(work: Work, private: Path) -> str:
    """Return what came of a piece of work; nothing before it is over.

    Args:
        private: the folder that is gone when the page ends.
    """
    if not work.is_over or work.state == "stopped":
        return ""
    if work.cause:
        return refused(work.cause)
    found = work.result
    if isinstance(found, Result):
        return _verdict(work, found, private)
    if isinstance(found, ComparisonReport | SweepReport):
        return _heard(work, found)
    return ""


def takes(work: Work) -> str:
    """Return the sentences that were said later, the newest first."""
    return render("ui_takes.html.j2", takes=work.takes[::-1], work=work)


def _verdict(work: Work, found: Result, private: Path) -> str:
    document = found.to_json()
    files = takeaway.files_of(work)
    reason = page.reason(document)
    samples = document["samples"] or []
    return render(
        "ui_result.html.j2",
        work=work,
        report=document,
        mark=page.MARKS[found.verdict],
        title=page.headline(document),
        reason={name: in_words(text) for name, text in reason.items()} if reason else None,
        samples=[sample for sample in samples if sample["path"] in files],
        voice="reference.wav" in files,
        failed=[check for check in document["checks"] or () if not check["ok"] and check["demanded"]],
        unchecked=in_words(UNCHECKED_WORDS) if samples and not page.checks_words(document) else "",
        causes=_told(found.causes),
        files=files,
        private=Path(found.output or "").is_relative_to(private),
        bundle=takeaway.bundle_of(work),
    )


def _heard(work: Work, found: ComparisonReport | SweepReport) -> str:
    """Return the page of a comparison or a sweep, in a frame; where nothing spoke, why."""
    if isinstance(found, SweepReport):
        causes = found.to_json()["causes"]
    else:
        of_models = (cause for model in found.models for cause in model.causes)
        causes = [cause_as_json(cause) for cause in (*found.causes, *of_models)]
    shown = next((name for name in takeaway.files_of(work) if takeaway.is_page(name)), "")
    return render(
        "ui_heard.html.j2",
        work=work,
        verdict=found.verdict,
        page=shown,
        causes=_in_words(causes),
        title=TITLES[work.kind],
    )


def _told(causes: tuple[Cause, ...]) -> list[dict[str, Any]]:
    return _in_words([cause_as_json(cause) for cause in causes])


def _in_words(causes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**cause, "message": in_words(cause["message"]), "hint": in_words(cause["hint"])} for cause in causes]
