"""Which parts of an XTTS the file holds: none of them, half of them, some that nobody knows, or the base's unchanged."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from verify.checkpoint import recognise
from verify.checkpoint.archive import Archive
from verify.checkpoint.base import Base, Likeness
from verify.checkpoint.keytable import GPT_ALONE, part_of
from verify.checkpoint.ledger import ALIAS, FILLED, KEPT, RENAMED, Ledger
from verify.checkpoint.tensors import TensorRecord
from verify.diagnosis.architecture import Architecture
from verify.diagnosis.causes import ranges, summary
from verify.errors import Cause, SourceError

# part of the key table -> how the names of its tensors begin
PARTS = {
    "GPT": ("gpt.gpt.", "gpt.text_", "gpt.mel_", "gpt.final_norm."),
    "conditioning": ("gpt.conditioning_", "gpt.prompt_"),
    "vocoder": ("hifigan_decoder.waveform_decoder.",),
    "speaker encoder": ("hifigan_decoder.speaker_encoder.",),
    "mel stats": ("mel_stats",),
}


def require_xtts(archive: Archive, ledger: Ledger, filling: bool) -> None:
    """Refuse a file that holds nothing of an XTTS, or nothing of its GPT where no base fills it.

    Raises:
        SourceError: with what the file looks like.
    """
    kept = {entry.target for entry in ledger.entries if entry.fate in (KEPT, RENAMED)}
    has = sorted({part for name in kept if (part := part_of(name))})
    if "GPT" in has and not _is_tortoise(ledger, kept):
        return
    if has and filling:
        return
    keys = {record.key for record in archive.tensors}
    other = recognise.TORTOISE if "GPT" in has else recognise.other_file(keys)
    if not has:
        what = f"holds no XTTS weights: {f'this looks like {other}' if other else 'its tensors are ' + summary(sorted(keys), 5)}"
    else:
        what = f"holds no whole XTTS: this looks like {other or 'parts of one saved by themselves'} ({', '.join(has)})"
    raise SourceError("not-xtts", f"{archive.path} {what}", recognise.TRAINING_FILE_HINT)


def _is_tortoise(ledger: Ledger, kept: set[str]) -> bool:
    """Whether the GPT is Tortoise's, the ancestor of XTTS's: saved by itself, with no name that tells XTTS v1 or v2."""
    alone = any(entry.reason == GPT_ALONE for entry in ledger.entries)
    conditioned = any(name.startswith("gpt.conditioning_encoder.") for name in kept)
    return (
        alone
        and conditioned
        and not any(name.startswith(("gpt.conditioning_perceiver.", "gpt.prompt_")) for name in kept)
    )


def missing_parts(tensors: Mapping[str, TensorRecord], base: Path | None) -> tuple[Cause, ...]:
    """Return one cause for the parts of an XTTS of which there is nothing at all (`missing-parts`).

    Args:
        base: the folder of `--base`, where it was given and did not hold them either.
    """
    there = {part_of(name) for name in tensors}
    absent = [part for part in PARTS if part not in there]
    if not absent:
        return ()
    hint = "Fill them from the model that it was tuned from: --base DIR with its model.pth."
    if base is not None:
        hint = f"{base} (--base) does not hold them either: pass the folder of a whole XTTS model."
    return (
        Cause(
            code="missing-parts",
            severity="error",
            message=f"the file holds no {' and no '.join(absent)}",
            hint=hint,
            prefixes=tuple(prefix for part in absent for prefix in PARTS[part]),
        ),
    )


def missing_layers(architecture: Architecture) -> tuple[Cause, ...]:
    """Return one cause for GPT layers that are lost between others that are there (`missing-layers`)."""
    layers = architecture.layers
    lost = sorted(set(range(layers[-1] + 1)) - set(layers)) if layers else []
    if not lost:
        return ()
    return (
        Cause(
            code="missing-layers",
            severity="error",
            message=f"GPT layer{'s' * (len(lost) > 1)} {ranges(lost)} of 0-{layers[-1]} {'are' if len(lost) > 1 else 'is'} "
            f"not in the file: gpt.gpt.h.{{{ranges(lost)}}}.*",
            hint="Layers of another model would not fit to these: get a whole copy, or save the checkpoint again.",
            prefixes=tuple(f"gpt.gpt.h.{number}." for number in lost),
        ),
    )


def unknown_keys(ledger: Ledger) -> tuple[Cause, ...]:
    """Return one cause for the tensors that no line of the key table knows (`unknown-keys`)."""
    if not ledger.unknown:
        return ()
    count = len(ledger.unknown)
    return (
        Cause(
            code="unknown-keys",
            severity="error",
            message=f"{count:,} tensor{'s' * (count > 1)} in the file belong{'s' * (count == 1)} to no XTTS: {summary(ledger.unknown)}",
            hint="Nothing is left out in silence. If they are yours to drop, delete them from the state dict and save it again.",
            keys=tuple(entry.target for entry in ledger.entries if entry.record.key in ledger.unknown),
        ),
    )


def unchanged(found: Iterable[Likeness], base: Base | None) -> tuple[Cause, ...]:
    """Return a warning where every tensor of the GPT, which is what training changes, equals the base's (`unchanged`)."""
    gpt = next((part for part in found if part.part == "GPT"), None)
    if base is None or gpt is None or gpt.identical < gpt.tensors:
        return ()
    return (
        Cause(
            code="unchanged",
            severity="warning",
            message=f"all {gpt.tensors:,} tensors of the GPT equal those of the base ({base.path}): training changed nothing",
            hint="Take a later checkpoint (--checkpoint last), and look whether the run's loss ever fell.",
        ),
    )


def half_parts(found: Iterable[Cause], base: Base | None) -> tuple[Cause, ...]:
    """Return the causes with the reason why the base was not used, where it holds keys that a half part lacks."""
    held = base.tensors if base else {}
    why = "The base holds them, but tensors of two trainings do not make one part. Get an undamaged copy."
    return tuple(
        replace(cause, hint=why)
        if cause.code in ("missing-keys", "missing-layers") and cause.keys and all(key in held for key in cause.keys)
        else cause
        for cause in found
    )


def require_provable(ledger: Ledger, archive: Archive) -> None:
    """Refuse before the long work a source that coqui itself would not load as it is.

    Raises:
        SourceError: parts come from the base, names had to be mended, or it is no file of torch's.
    """
    mended = sum(ledger.count(fate) for fate in (FILLED, RENAMED, ALIAS))
    if mended or archive.layout == "safetensors":
        why = (
            "it is a safetensors file"
            if archive.layout == "safetensors"
            else f"{mended:,} of its names had to be mended or filled"
        )
        raise SourceError(
            "cannot-prove",
            f"--prove: coqui cannot load {archive.path.name} by itself, so there is nothing to compare with: {why}",
            "Leave --prove away: every tensor is compared with the source byte for byte anyway.",
        )
