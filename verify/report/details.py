"""All that was found, for `--details` and `inspect`: what is in the source, each sample, and the table of checks."""

from collections.abc import Iterable
from dataclasses import asdict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from verify.checks import Check
from verify.diagnosis import config_check
from verify.document import dtypes, layout
from verify.findings import SampleResult
from verify.report.screen import table
from verify.report.words import check_state, loss_words, number, printable, settings, size, streamed, word_errors
from verify.result import Result

MOST_VOICES = 100  # the base model has 58
_FATES = {"kept": "green", "renamed": "cyan", "alias": "cyan", "dropped": "dim", "unknown": "red", "filled": "magenta"}


def facts(report: Result) -> str:
    """Return in words what the archive says of itself and of the training."""
    archive = report.archive
    known = [f"{layout(archive, report.ledger)} layout", size(archive.bytes), dtypes(report.ledger)]
    known += [f"step {archive.step:,}"] if archive.step is not None else []
    known += [f"epoch {archive.epoch:,}"] if archive.epoch is not None else []
    return ", ".join([*known, *(text for text in (loss_words(archive.loss), archive.date) if text)])


def source_table(report: Result) -> Table:
    """Return the checkpoint, the model that its shapes tell, and the files found with it."""
    archive, source, found = report.archive, report.source, report.architecture
    rows = [("checkpoint", str(archive.path)), ("", facts(report))]
    if found.version:
        layers, width = (found.fields.get(name, "?") for name in ("gpt_layers", "gpt_n_model_channels"))
        rows.append(("model", f"XTTS {found.version}, {layers} GPT layers of width {width}{_rows(report)}"))
    rows.append(("config", source.config_origin))
    rows.append(("", f"no shape tells, so it is believed: {_believed(report)}"))
    rows.append(("vocabulary", f"{source.vocab.path} ({source.vocab.origin})" if source.vocab else "not found"))
    rows += [("speakers", f"{source.speakers.path} ({source.speakers.origin})")] if source.speakers else []
    rows += [("voices", _voices(list(report.plan.voices)))] if report.plan.voices else []
    rows += [("base", _likeness(report))] if report.plan.base else []
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in rows:
        grid.add_row(name, printable(text))
    return grid


def _voices(names: list[str]) -> str:
    """Return the named voices, any of which `--voice` takes."""
    shown = ", ".join(name[:60] for name in names[:MOST_VOICES])
    return f"{shown} and {len(names) - MOST_VOICES} more" if len(names) > MOST_VOICES else shown


def _believed(report: Result) -> str:
    """Return what only the config knows, in the words of its fields."""
    args = report.plan.config["model_args"]
    return ", ".join(f"{field} {config_check.value_of(args, field)}" for field in report.architecture.unknown)


def _likeness(report: Result) -> str:
    """Return how much of each part equals the base's."""
    equal = ", ".join(f"{part.part} {part.identical:,} of {part.tensors:,}" for part in report.plan.likeness)
    return f"{report.plan.base.path if report.plan.base else ''}; tensors equal to it: {equal}"


def _rows(report: Result) -> str:
    rows, base = report.architecture.fields.get("gpt_number_text_tokens"), report.architecture.base
    if not rows:
        return ""
    return f", {rows:,} text tokens" + (f" ({base})" if base != "unknown" else "")


def ledger_table(report: Result) -> Table:
    """Return what becomes of the tensors, by part."""
    title = Text(f"{len(report.ledger.entries):,} tensors", "bold")
    rows = table("fate", "what", "tensors", "size", right=("tensors", "size"), title=title)
    for group in report.ledger.groups():
        rows.add_row(Text(group.fate, _FATES[group.fate]), group.reason, f"{group.tensors:,}", size(group.bytes))
    return rows


def heard(sample: SampleResult) -> str:
    """Return what a Whisper heard, and how far that is from the text."""
    wrong = word_errors(asdict(sample.word_errors) if sample.word_errors else None)
    rate = f"character error rate {sample.character_error_rate or 0:.2f}{wrong}"
    return f"heard: “{sample.transcript}” (Whisper {sample.heard_by}), {rate}"


def show_samples(report: Result, screen: Console) -> None:
    """Print each sample: how it was made, what was to be said and what a Whisper heard, and the voice."""
    for sample in report.samples:
        end = (
            "the stop token came" if sample.stopped else f"stopped at the bound of {sample.token_bound}, no stop token"
        )
        line = (
            f" spoke on {(report.environment or {}).get('device', sample.device)}: {sample.seconds:.2f} s of audio in "
            f"{sample.synthesis_seconds:.1f} s (real-time factor {sample.real_time_factor:.2f}), {sample.tokens} tokens, {end}"
        )
        screen.print(Text.assemble(("✓", "green"), line))
        take = f", seed {sample.seed}: {sample.path}" if len(report.samples) > 1 and sample.path else ""
        screen.print(printable(f"  {sample.language}{take}: “{sample.text}”", "italic"))
        if sample.transcript is not None:
            screen.print(printable(f"  {heard(sample)}"), soft_wrap=not screen.is_terminal)
    if report.sample:
        likeness = [sample.speaker_similarity for sample in report.samples if sample.speaker_similarity is not None]
        near = f"; speaker similarity {', '.join(f'{value:.2f}' for value in likeness)}" if likeness else ""
        of_base = report.sample.speaker_similarity_of_base
        near += f" (the base: {of_base:.2f})" if of_base is not None else ""
        voice = Text("  in the voice of ") + printable(report.sample.reference) + near
        screen.print(voice, soft_wrap=not screen.is_terminal)
        screen.print(f"  sampled with {settings(report.sample.sampling)}", soft_wrap=not screen.is_terminal)
        if report.sample.stream:
            screen.print(f"  streamed: {streamed(asdict(report.sample.stream))}", soft_wrap=not screen.is_terminal)


def checks_table(checks: Iterable[Check], all_demanded: frozenset[str]) -> Table:
    """Return the table of checks: what was measured, the limit, and whether the verdict depends on it."""
    rows = table("", "check", "measured", "limit", "unit", right=("measured", "limit"), padding=(0, 2, 0, 2))
    for check in checks:
        demanded = check.name in all_demanded
        state = check_state(check.ok, demanded)
        notes = [check.note] if check.note else []
        notes += ["not demanded"] if not (demanded or check.ok) else []
        note = f"  ({', '.join(notes)})" if notes else ""
        rows.add_row(Text(state.mark, state.colour), check.name, number(check.measured), check.limit, check.unit + note)
    return rows


def check_cell(check: Check | None, demanded: bool) -> Text:
    """Return a check's figure with its mark, for a table that has a column for each model or clip."""
    if check is None:
        return Text("–  ")
    state = check_state(check.ok, demanded)
    return Text.assemble(number(check.measured), (f" {state.mark}", state.colour))
