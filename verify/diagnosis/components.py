"""Check which parts of an XTTS the file holds: missing, incomplete, unknown, or unchanged from the base."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from verify.checkpoint import file_type
from verify.checkpoint.archive import Archive
from verify.checkpoint.tensors import TensorRecord
from verify.conversion.key_map import GPT_ALONE, part_of
from verify.conversion.ledger import ALIAS, FILLED, KEPT, RENAMED, Ledger
from verify.diagnosis import causes
from verify.diagnosis.architecture import PARTS, Architecture
from verify.diagnosis.attribution import ranges, summary
from verify.diagnosis.causes import listed
from verify.errors import Cause, SourceError, counted
from verify.files.location import Location, local_path, same_file
from verify.source.base import Base, Likeness


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
    lookalike = file_type.TORTOISE if "GPT" in has else file_type.other_file(keys)
    if not has:
        problem = f"holds no XTTS weights: {f'this looks like {lookalike}' if lookalike else 'its tensors are ' + summary(sorted(keys), 5)}"
    else:
        problem = (
            f"holds no GPT, only {listed(has)}: this looks like {lookalike or 'parts of an XTTS saved by themselves'}"
        )
    raise SourceError("not-xtts", f"{archive.path} {problem}", file_type.TRAINING_FILE_HINT)


def _is_tortoise(ledger: Ledger, kept: set[str]) -> bool:
    """Whether the GPT is Tortoise's, the ancestor of XTTS's: saved by itself, with no name that only XTTS v1 or v2 has."""
    alone = any(entry.reason == GPT_ALONE for entry in ledger.entries)
    conditioned = any(name.startswith("gpt.conditioning_encoder.") for name in kept)
    return (
        alone
        and conditioned
        and not any(name.startswith(("gpt.conditioning_perceiver.", "gpt.prompt_")) for name in kept)
    )


def of_tensors(
    ledger: Ledger, base: Base | None, base_path: Location | None, architecture: Architecture
) -> tuple[Cause, ...]:
    """Return what is said of the tensors that are there and of those that are not, in the order in which it is shown."""
    return (
        *unknown_keys(ledger),
        *filled_parts(ledger, base),
        *missing_parts(ledger.written, base_path),
        *missing_layers(architecture),
    )


def missing_parts(tensors: Mapping[str, TensorRecord], base: Location | None) -> tuple[Cause, ...]:
    """Return one cause for the parts of an XTTS of which there is nothing at all (`missing-parts`).

    Args:
        base: the folder of `--base`, where it was given and did not hold them either.
    """
    present = {part_of(name) for name in tensors}
    absent = [part for part in PARTS if part not in present]
    if not absent:
        return ()
    hint = "Fill them from the model that it was tuned from: --base DIR with its model.pth."
    if base is not None:
        hint = f"{base} (--base) holds no model with them: pass the folder of a whole XTTS model."
    return (causes.missing_parts(absent, hint),)


def missing_layers(architecture: Architecture) -> tuple[Cause, ...]:
    """Return one cause for GPT layers that are lost between others that are there (`missing-layers`)."""
    layers, all_layers = architecture.layers, architecture.fields.get("gpt_layers", 0)
    lost = sorted(set(range(all_layers)) - set(layers)) if layers else []
    if not lost:
        return ()
    detail = f"; gpt_layers is {all_layers}, the weights call for {layers[-1] + 1}, and the config inside the checkpoint agrees"
    detail = detail if all_layers > layers[-1] + 1 else ""
    return (
        Cause(
            code="missing-layers",
            severity="error",
            message=f"GPT layer{'s' * (len(lost) > 1)} {ranges(lost)} of 0-{all_layers - 1} {'are' if len(lost) > 1 else 'is'} "
            f"not in the file: gpt.gpt.h.{{{ranges(lost)}}}.*{detail}",
            hint="Layers of another model would not fit to these: get a whole copy, or save the checkpoint again.",
            prefixes=tuple(f"gpt.gpt.h.{number}." for number in lost),
        ),
    )


def unknown_keys(ledger: Ledger) -> tuple[Cause, ...]:
    """Return one cause for the tensors that no line of the key table knows (`unknown-keys`)."""
    keys = tuple(entry.record.key for entry in ledger.unknown)
    if not keys:
        return ()
    count = len(keys)
    return (
        Cause(
            code="unknown-keys",
            severity="error",
            message=f"{count:,} tensor{'s' * (count > 1)} in the file belong{'s' * (count == 1)} to no XTTS: {summary(keys)}",
            hint="Nothing is left out in silence. If they are yours to drop, delete them from the state dict and save it again.",
            keys=tuple(entry.target for entry in ledger.unknown),
        ),
    )


def unchanged(likenesses: Iterable[Likeness], base: Base | None, source: Location) -> tuple[Cause, ...]:
    """Return a warning where every tensor of the GPT, which is what training changes, equals the base's (`unchanged`)."""
    gpt = next((part for part in likenesses if part.part == "GPT"), None)
    if base is None or gpt is None or gpt.identical < gpt.tensors or same_file(base.path, source):
        return ()  # a base that is the source itself is always equal
    return (
        Cause(
            code="unchanged",
            severity="warning",
            message=f"all {gpt.tensors:,} tensors of the GPT equal those of the base ({base.path}): training changed nothing",
            hint="Take a later checkpoint (--checkpoint last), and look whether the run's loss ever fell.",
        ),
    )


def filled_parts(ledger: Ledger, base: Base | None) -> tuple[Cause, ...]:
    """Return a note of the parts that came from the base (`filled`); a warning where the GPT is one of them."""
    filled = Counter(part_of(entry.target) or "" for entry in ledger.entries if entry.fate == FILLED)
    if not filled or base is None:
        return ()
    parts = listed([f"{part} ({counted(number, 'tensor')})" for part, number in filled.items()])
    is_bare = "GPT" in filled
    return (
        Cause(
            code="filled",
            severity="warning" if is_bare else "note",
            message=f"from the base ({base.path}), because the file holds none of it: {parts}",
            hint="Training changes the GPT, and the file holds none: this speaks as the base does." if is_bare else "",
        ),
    )


def half_parts(file_causes: Iterable[Cause], base: Base | None, ledger: Ledger) -> tuple[Cause, ...]:
    """Return the causes, saying why the base could not complete a part and which faults are the base's own."""
    base_tensors = base.tensors if base else {}
    filled = {entry.target for entry in ledger.entries if entry.fate == FILLED}
    file_causes = [
        _of_base(cause, base) if base and cause.keys and filled.issuperset(cause.keys) else cause
        for cause in file_causes
    ]
    why = "The base holds them, but tensors of two trainings do not make one part. Get an undamaged copy."
    return tuple(
        replace(cause, hint=why)
        if cause.code in ("missing-keys", "missing-layers")
        and cause.keys
        and all(key in base_tensors for key in cause.keys)
        else cause
        for cause in file_causes
    )


def _of_base(cause: Cause, base: Base) -> Cause:
    """Return the cause as a fault of the base, from which all its tensors came."""
    return replace(
        cause,
        message=f"the base ({base.path}): {cause.message.replace('in the file', 'in it')}",
        hint="The fault is the base's, not the file's: pass another --base.",
    )


def require_provable(ledger: Ledger, archive: Archive) -> None:
    """Refuse early a source that coqui itself could not load as it is.

    Raises:
        SourceError: parts come from the base, names had to be mended, or it is no file of torch's.
    """
    if not local_path(archive.path):
        message = f"--prove: torch reads only files of this machine, not {archive.path}"
        raise SourceError("cannot-prove", message, "Download the checkpoint first, or leave --prove away.")
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
