"""The formats that a new model file can have, one class each: how it is called, recognised and written.

The name of its file stands in `files/names.py`, what reads it with torch in `coqui/model.py` (`LOADERS`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from verify.checkpoint.tensors import TensorRecord
from verify.files.names import MODEL_FILES, ModelFormat

if TYPE_CHECKING:
    from verify.conversion.writer import Written


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a new file is to hold: the tensors by their name in it, and the config or the text about them."""

    tensors: Mapping[str, TensorRecord]
    config: Mapping[str, Any]  # plain values only
    metadata: Mapping[str, str]  # empty where the format does not name the source


class Format(ABC):
    """A format of a new model file."""

    name: ClassVar[ModelFormat]  # what `--format` calls it
    names_source: ClassVar[
        bool
    ]  # whether the file says which checkpoint it was made of, whose hash must be known before

    @property
    def file_name(self) -> str:
        """What the file is called in a model folder."""
        return MODEL_FILES[self.name]

    @property
    def suffix(self) -> str:
        """How the name of a file ends."""
        return Path(self.file_name).suffix

    @abstractmethod
    def write(self, path: Path, model: Model, progress: Callable[[int], None], dtype: str) -> "Written":
        """Write the file, flushed to the disk.

        Args:
            path: a new file.
            progress: called with the number of tensor bytes done.
            dtype: what the floats are cast to, or `keep`.

        Raises:
            ArchiveError: the source is damaged or changed while it was read.
            OutputError: the disk is full or cannot be written.
        """


class Pth(Format):
    """`{"model": tensors, "config": config}` as `torch.save` writes it."""

    name = "pth"
    names_source = False

    def write(self, path: Path, model: Model, progress: Callable[[int], None], dtype: str) -> "Written":
        """Write the file as `Format.write` says."""
        from verify.conversion import writer  # with numpy, which `--help` and `inspect` do without

        return writer.write_model(path, model.tensors, model.config, progress, dtype)


class Safetensors(Format):
    """The tensors as the safetensors library lays them out; text about the source in place of the config."""

    name = "safetensors"
    names_source = True

    def write(self, path: Path, model: Model, progress: Callable[[int], None], dtype: str) -> "Written":
        """Write the file as `Format.write` says."""
        from verify.conversion import safetensors_writer

        return safetensors_writer.write_safetensors(path, model.tensors, model.metadata, progress, dtype)


PTH, SAFETENSORS = Pth(), Safetensors()
FORMATS: Mapping[str, Format] = {format_.name: format_ for format_ in (PTH, SAFETENSORS)}
FILE_NAMES = tuple(format_.file_name for format_ in FORMATS.values())


def of(name: str) -> Format:
    """Return the format that `--format` calls by this name."""
    return FORMATS[name]


def of_file(path: Path) -> Format:
    """Return the format of a file that this tool wrote, by its suffix."""
    return next(format_ for format_ in FORMATS.values() if path.suffix == format_.suffix)
