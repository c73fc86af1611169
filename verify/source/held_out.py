"""Find the rows of a run's dataset that it was not trained on: the eval split of its config, else the last rows.

Which rows coqui's `load_tts_samples` holds out is reckoned here as it does it (its formatters import torch): it shuffles the
rows with the seed 0 and takes the first.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from verify import resources
from verify.errors import OptionError, SourceError, counted
from verify.files.local import file_bytes, missing
from verify.source import dataset as of_dataset
from verify.source.dataset import Row, datasets, is_local

AUTO = "auto"
SPLIT_ALIKE = ("coqui", "ljspeech", "thorsten", "css10")  # formatters whose rows are known here, one for one
USUAL_FILES = "metadata_eval.csv", "metadata.csv"  # what fine-tuning programs call them, the better one first


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutRows:
    """Rows of a dataset, the first to be said first; `trained_on` says in words what is known, empty where they were held out."""

    folder: Path
    metadata: Path
    rows: tuple[Row, ...]
    origin: str
    trained_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Metadata:
    """A metadata file, and what the run's config says of it."""

    folder: Path
    path: Path
    dataset: dict[str, Any]  # of the config; empty where it names none such
    is_eval: bool = False


def held_out_rows(asked: str, config: dict[str, Any], follow: bool, language: str) -> HeldOutRows:
    """Return the rows that were held out of a training, as far as that can be told.

    Args:
        asked: `auto` for the dataset that the config names, else its folder, or a metadata file.
        follow: whether to read what the config names.
        language: that is spoken; of several datasets the first in it is taken.

    Raises:
        SourceError: there is no such dataset here, or its metadata file cannot be read.
    """
    metadata = _named(config, follow, language) if asked == AUTO else _given(Path(asked), config)
    limits = resources.load("held_out")["clips"]
    size = file_bytes(metadata.path)
    if size < 0:
        raise missing(metadata.path)
    if size > limits["most_metadata_bytes"]:
        message = f"{metadata.path} has {size:,} bytes; {limits['most_metadata_bytes']:,} is the limit"
        raise SourceError("too-large", message, "Pass a metadata file with the rows that matter.")
    lines = of_dataset.read_lines(metadata.path, limits["most_metadata_bytes"])
    found = list(of_dataset.rows(lines, str(metadata.dataset.get("formatter") or ""), limits["most_rows"]))
    if not found:
        message = f"{metadata.path} holds no row of the form clip|text"
        raise SourceError("no-held-out", message, "Pass a metadata file: --held-out metadata.csv.")
    return _held_out(metadata, found, config)


def _named(config: dict[str, Any], follow: bool, language: str) -> _Metadata:
    """Return the metadata file of the dataset that the config names: the one for validation where there is one."""
    if not follow:
        raise OptionError("bad-option", "--held-out auto needs what the config names, and --no-follow forbids it")
    named = [item for item in datasets(config) if is_local(item.get("path")) and _files_of(item)]
    if not named:
        message = "--held-out auto: the config names no dataset, so it is not known which recordings belong to the run"
        raise SourceError("no-held-out", message, "Pass the folder of the dataset: --held-out DIR.")
    here = [item for item in named if Path(item["path"]).is_dir()]
    if not here:
        message = f"--held-out auto: the dataset {named[0]['path'][:300]} is not on this machine"
        raise SourceError("no-held-out", message, "Pass the folder that it is in now: --held-out DIR.")
    chosen = next(
        (item for item in here if str(item.get("language", "")).split("-")[0] == language.split("-")[0]), here[0]
    )
    return _of_dataset(Path(chosen["path"]), chosen)


def _files_of(dataset: dict[str, Any]) -> dict[str, str]:
    """Return the metadata files that a dataset of a config names: `meta_file_val` and `meta_file_train`."""
    names = {name: dataset.get(name) for name in ("meta_file_val", "meta_file_train")}
    return {name: value for name, value in names.items() if isinstance(value, str) and is_local(value)}


def _of_dataset(folder: Path, dataset: dict[str, Any]) -> _Metadata:
    """Return the best metadata file of a dataset, in this folder: some programs name theirs with the training machine's path."""
    files = _files_of(dataset)
    for field, name in files.items():
        here = next((path for path in (folder / name, folder / Path(name).name) if file_bytes(path) >= 0), None)
        if here:
            return _Metadata(folder=folder, path=here, dataset=dataset, is_eval=field == "meta_file_val")
    return _Metadata(folder=folder, path=folder / Path(next(iter(files.values()))).name, dataset=dataset)


def _given(path: Path, config: dict[str, Any]) -> _Metadata:
    """Return the metadata file that the user means, with what the config says of a dataset whose file has its name."""
    if not path.exists():
        raise missing(path)
    folder = path if path.is_dir() else path.parent
    for dataset in datasets(config):
        for field, name in _files_of(dataset).items():
            known = folder / Path(name).name
            if path in (known, folder) and file_bytes(known) >= 0:
                return _Metadata(folder=folder, path=known, dataset=dataset, is_eval=field == "meta_file_val")
    if path != folder:
        return _Metadata(folder=folder, path=path, dataset={})
    listed = sorted(entry.name for entry in folder.iterdir() if entry.suffix in (".csv", ".tsv", ".txt"))
    chosen = next((name for name in (*USUAL_FILES, *listed[:1]) if name in listed), None)
    if chosen is None:
        message = f"--held-out {folder} holds no metadata file: looked for {', '.join(USUAL_FILES)}"
        raise SourceError("no-held-out", message, "Pass the file that says what is spoken in which clip: clip|text.")
    return _Metadata(folder=folder, path=folder / chosen, dataset={})


def _held_out(metadata: _Metadata, found: list[Row], config: dict[str, Any]) -> HeldOutRows:
    """Return the rows in the order in which they are to be tried, and whether the run was trained on them."""
    about = HeldOutRows(folder=metadata.folder, metadata=metadata.path, rows=(), origin=str(metadata.path))
    if metadata.is_eval:
        return replace(about, rows=tuple(found), origin=f"{metadata.path}, which the config names for validation")
    for_eval = _files_of(metadata.dataset).get("meta_file_val")
    if for_eval:
        why = f"the run was trained on them: its config names {Path(for_eval).name[:100]} for validation"
        return replace(about, rows=tuple(found[::-1]), origin=f"the last rows of {metadata.path}", trained_on=why)
    if metadata.dataset.get("formatter") in SPLIT_ALIKE:
        return _split(about, _items(metadata, found), config)
    why = (
        "which of them the run held out is not known"
        if metadata.dataset
        else "the run's config does not name this metadata file"
    )
    return replace(about, rows=tuple(found[::-1]), origin=f"the last rows of {metadata.path}", trained_on=why)


def _items(metadata: _Metadata, found: list[Row]) -> list[Row]:
    """Return the rows that coqui's formatter makes items of."""
    if metadata.dataset["formatter"] != "coqui":
        return found
    named = metadata.dataset.get("ignored_speakers")
    ignored = set(map(str, named)) if isinstance(named, list) else set()
    kept = (row for row in found if row.speaker not in ignored and is_local(row.clip))
    return [row for row in kept if os.path.exists(metadata.folder / row.clip)]


def _split(about: HeldOutRows, items: list[Row], config: dict[str, Any]) -> HeldOutRows:
    """Return the rows in the order of coqui's `split_dataset`: those that it holds out come first, and are all where there are any."""
    if not items:
        return about
    eval_rows, others = coqui_split(items, _eval_size(items, config))
    if eval_rows:
        words = f"{len(eval_rows):,} of the {counted(len(items), 'row')} of {about.metadata.name}"
        return replace(
            about, rows=tuple(eval_rows), origin=f"the eval split that coqui makes of {about.metadata}, {words}"
        )
    why = f"the config's eval_split_size holds none of {counted(len(items), 'row')} out"
    origin = f"{about.metadata}, in the order in which coqui holds rows out"
    return replace(about, rows=tuple(others), origin=origin, trained_on=why)


def _eval_size(items: Sequence[Row], config: dict[str, Any]) -> int:
    """Return how many rows of one dataset `split_dataset` holds out by the config's `eval_split_size` and `eval_split_max_size`."""
    size, most = config.get("eval_split_size"), config.get("eval_split_max_size")
    share = float(size) if isinstance(size, (int, float)) and 0 <= size < len(items) else 0.0
    if share > 1:
        return int(share)
    count = int(len(items) * share)
    per_dataset = int(most) // max(1, len(datasets(config))) if isinstance(most, (int, float)) and 0 < most < 1e9 else 0
    return min(per_dataset, count) if per_dataset else count


def coqui_split(items: Sequence[Row], size: int) -> tuple[list[Row], list[Row]]:
    """Return the rows that coqui's `split_dataset` holds out, and the others, both in its order.

    It draws with numpy's generator of old, whose stream does not change, from the seed 0. Of several speakers it takes
    rows at random and leaves each speaker one.
    """
    import numpy as np  # only where recordings are asked for: `inspect` answers without it

    draw, shuffled = np.random.RandomState(0), list(items)
    draw.shuffle(shuffled)  # type: ignore[arg-type]  # a list is shuffled in place
    left = Counter(row.speaker for row in shuffled)
    if len(left) == 1:
        return shuffled[:size], shuffled[size:]
    held_out: list[Row] = []
    while len(held_out) < min(size, len(items) - len(left)):
        place = draw.randint(0, len(shuffled))
        if left[shuffled[place].speaker] > 1:
            left[shuffled[place].speaker] -= 1
            held_out.append(shuffled.pop(place))
    return held_out, shuffled
