"""Read a dataset as its metadata file lists it: which clips there are, what is said in them, and by whom."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeGuard

from verify.errors import SourceError
from verify.files.local import file_bytes, open_regular

# What a header may call the column of the clip and that of the text: coqui's names, then those of Hugging Face's audiofolder
# and of Common Voice.
CLIP_COLUMNS = ("audio_file", "file_name", "path")
TEXT_COLUMNS = ("text", "transcription", "sentence")
DELIMITERS = "|", "\t", ","
# Where a clip may lie, below the folder of the dataset, and what may follow the name that a metadata file has for it.
CLIP_FOLDERS, SUFFIXES = ("", "wavs", "clips"), ("", ".wav", ".flac", ".mp3", ".ogg")
THIRD_COLUMN = ("ljspeech", "ljspeech_test")  # formatters that read the text of the third column, not of the second


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of a metadata file: the clip as it names it, the text, and the speaker where it names one."""

    clip: str
    text: str
    speaker: str = ""


def is_local(name: Any) -> TypeGuard[str]:
    """Whether a name in a config is neither a URL nor a network share, which Windows would contact."""
    return isinstance(name, str) and bool(name) and "://" not in name and name[:2].strip("/\\") != ""


def datasets(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the datasets that a run's config names."""
    named = config.get("datasets")
    return [item for item in named[:10] if isinstance(item, dict)] if isinstance(named, list) else []


def metadata_for_training(dataset: dict[str, Any]) -> Path | None:
    """Return the metadata file that a dataset of a config was trained by; None where it names none on this machine."""
    folder, name = dataset.get("path"), dataset.get("meta_file_train")
    return Path(folder) / name if is_local(folder) and is_local(name) else None


def read_lines(path: Path, most_bytes: int) -> list[str]:
    """Return the lines of a text file, as far as its first bytes hold them whole; none where it cannot be read."""
    if file_bytes(path) <= 0:
        return []
    try:
        with open_regular(path) as file:
            data = file.read(most_bytes)
    except (OSError, SourceError):
        return []
    lines = re.split(
        r"\r\n|\n|\r", data.decode("utf-8-sig", errors="replace")
    )  # as Python reads a text file, line by line
    return [line for line in (lines[:-1] if len(data) == most_bytes else lines) if "\ufffd" not in line]


def rows(lines: Sequence[str], formatter: str = "", most: int | None = None) -> Iterator[Row]:
    """Yield the rows of a metadata file: by its header where it has one, else as `clip|text|...`.

    Args:
        formatter: coqui's name for the layout.
        most: of its lines that are looked at.
    """
    delimiter = next((sign for sign in DELIMITERS if lines and _columns(lines[0].split(sign))), None)
    if delimiter is not None:
        yield from _by_header(lines[:most], delimiter)
        return
    for line in islice(lines, most):
        cells = line.split("|")
        if len(cells) > 1:
            text = cells[2] if len(cells) > 2 and _is_text(cells, formatter) else cells[1]
            yield Row(clip=cells[0].strip(), text=text.strip())


def _columns(header: Sequence[str]) -> tuple[int, int] | None:
    """Return which columns hold the clip and the text; None where it is no header."""
    names = [name.strip().strip('"') for name in header]
    found = [
        next((names.index(name) for name in known if name in names), None) for known in (CLIP_COLUMNS, TEXT_COLUMNS)
    ]
    return (found[0], found[1]) if found[0] is not None and found[1] is not None else None


def _by_header(lines: Iterable[str], delimiter: str) -> Iterator[Row]:
    """Yield the rows below a header, read as coqui's formatter of that name reads them."""
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        header = next(reader)
        clip, text = _columns(header) or (0, 1)
        speaker = header.index("speaker_name") if "speaker_name" in header else None
        for cells in reader:
            if len(cells) > max(clip, text):
                who = cells[speaker].strip() if speaker is not None and len(cells) > speaker else ""
                yield Row(clip=cells[clip].strip(), text=cells[text].strip(), speaker=who)
    except csv.Error:  # a field of more than 128 kB: what follows is no metadata
        return


def _is_text(cells: Sequence[str], formatter: str) -> bool:
    """Whether the third column holds the text once more, normalized, rather than a speaker."""
    return formatter in THIRD_COLUMN or (not formatter and 2 * len(cells[2].strip()) > len(cells[1].strip()))


def clip_path(root: Path, row: Row) -> Path | None:
    """Return where the clip of a row lies; None where it is not there.

    Raises:
        SourceError: it lies outside of the dataset's folder, or on another machine, which is not asked for it.
    """
    if row.clip and not is_local(row.clip):
        raise SourceError("bad-clip", f"{row.clip[:200]} lies on another machine")
    inside = root.resolve()
    for folder in CLIP_FOLDERS:
        for suffix in SUFFIXES:
            path = root / folder / f"{row.clip}{suffix}"
            if row.clip and file_bytes(path) >= 0:
                if not path.resolve().is_relative_to(inside):
                    raise SourceError("bad-clip", f"{row.clip[:200]} lies outside of the dataset's folder {root}")
                return path
    return None
