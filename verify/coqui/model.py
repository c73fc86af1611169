"""Build a real `Xtts`, compare it with the file name by name, load the file strictly, and prove every byte of it."""

import contextlib
import copy
import gc
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from TTS.tts.configs.xtts_config import XttsConfig
from TTS.tts.models.xtts import Xtts

from verify.background import without_garbage_collection
from verify.checkpoint.reader import Progress, TensorReader
from verify.checkpoint.tensors import TensorRecord
from verify.conversion import formats
from verify.coqui.tokenizer import Tokenizer
from verify.errors import SourceError
from verify.files.local import Stamp, local_copy, stamp_at
from verify.files.location import Location
from verify.findings import Identity, LoadReport, Mismatch

StateDict = Mapping[str, torch.Tensor]
_COMPARING = 2  # threads that compare bytes: reading and NumPy leave the interpreter free meanwhile
_COMPARED_TOGETHER = 16  # tensors that a thread takes at a time: 30 MB at the real size


class UnbuildableError(SourceError):
    """No model can be built: the config's fields contradict each other."""


def describe(error: BaseException) -> str:
    """Return an exception in one line, beginning with its type."""
    return f"{type(error).__name__}: {str(error)[:300]}" if str(error) else type(error).__name__


def build_skeleton(config: Mapping[str, Any], vocab: Location) -> Xtts:
    """Return an `Xtts` of this config with its parameters on the meta device: no memory, no random numbers.

    Raises:
        SourceError: the installed tokenizers library cannot read the vocabulary.
        UnbuildableError: coqui's constructors refuse the config.
    """
    with without_garbage_collection():
        model = _skeleton(json.dumps(config, sort_keys=True), vocab, stamp_at(vocab))
        return copy.deepcopy(model)  # takes a tenth of the time of building another


@lru_cache(maxsize=1)
def _skeleton(config: str, vocab: Location, stamp: Stamp | None) -> Xtts:
    """Build the model; the last one is cached for the next checkpoint of the run.

    Args:
        config: as JSON.
        stamp: the vocabulary file's, so that a changed file is not taken from the cache.
    """
    xtts_config = XttsConfig()
    xtts_config.from_dict(json.loads(config))
    xtts_config.model_args.gpt_number_text_tokens = None  # unset: the GPT is built once, when the tokenizer is known
    with local_copy(vocab) as file:
        try:
            tokenizer = Tokenizer(str(file))
        except Exception as error:  # tokenizers raises nothing narrower for a file that it cannot read
            raise SourceError(
                "bad-vocab",
                f"{vocab} is not a tokenizer: {str(error)[:200]}",
                "Pass the run's vocab.json: --vocab FILE.",
            ) from error
    try:
        with _parameters_on_meta(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = Xtts(xtts_config)
            model.tokenizer = tokenizer
            model.init_models()
    except (AssertionError, ValueError, RuntimeError, TypeError, ZeroDivisionError, IndexError) as error:
        raise UnbuildableError("unbuildable", f"no Xtts can be built from this config: {describe(error)}") from error
    return model


@contextlib.contextmanager
def _parameters_on_meta() -> Iterator[None]:
    """Move each parameter to the meta device on registration; buffers stay real, because torchaudio computes with them.

    The idea comes from accelerate's `init_empty_weights(include_buffers=False)`.
    """
    register = nn.Module.register_parameter

    def register_on_meta(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        """Register the parameter as ever, then put one without data in its place."""
        register(module, name, parameter)
        if parameter is not None and parameter.device.type != "meta":
            module._parameters[name] = nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)

    nn.Module.register_parameter = register_on_meta  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        nn.Module.register_parameter = register  # type: ignore[method-assign]


def compare(model: Xtts, tensors: Mapping[str, TensorRecord]) -> LoadReport:
    """Compare names and shapes of the tensors with the model, before anything is loaded."""
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    missing = tuple(key for key in expected if key not in tensors)
    unexpected = tuple(key for key in tensors if key not in expected)
    mismatched = tuple(
        Mismatch(key=key, checkpoint=record.shape, model=expected[key])
        for key, record in tensors.items()
        if key in expected and record.shape != expected[key]
    )
    matched = len(tensors) - len(unexpected) - len(mismatched)
    return LoadReport(strict=False, matched=matched, missing=missing, unexpected=unexpected, mismatched=mismatched)


def _map_pth(path: Path) -> StateDict:
    return torch.load(path, map_location="cpu", mmap=True, weights_only=True)["model"]


# The standard loader of each format, memory-mapped.
LOADERS: Mapping[str, Callable[[Path], StateDict]] = {formats.PTH.name: _map_pth, formats.SAFETENSORS.name: load_file}


def map_written(path: Path) -> StateDict:
    """Return the state dict of a file that this tool wrote, memory-mapped by the standard loader of its format."""
    return LOADERS[formats.of_file(path).name](path)


def from_bytes(data: Mapping[str, np.ndarray], tensors: Mapping[str, TensorRecord]) -> StateDict:
    """Return the state dict of tensors that were read as bytes, without copying them."""
    return {
        key: torch.from_numpy(data[key]).view(getattr(torch, record.dtype)).reshape(record.shape)
        for key, record in tensors.items()
    }


def wrong_dtypes(model: Xtts, tensors: Mapping[str, TensorRecord]) -> dict[str, tuple[str, str]]:
    """Return the tensors that are integers where the model has floats, or the reverse: name to (file dtype, model dtype)."""
    expected = model.state_dict()
    return {
        key: (record.dtype, str(expected[key].dtype).removeprefix("torch."))
        for key, record in tensors.items()
        if key in expected and getattr(torch, record.dtype).is_floating_point != expected[key].is_floating_point()
    }


def load_strictly(model: Xtts, state: StateDict, report: LoadReport) -> LoadReport:
    """Assign the mapped tensors to the model with `load_state_dict(strict=True, assign=True)`: nothing is copied.

    Call it before `init_gpt_for_inference()`, which gives the model second names for tensors that it already has.
    """
    model.load_state_dict(dict(state), strict=True, assign=True)
    return LoadReport(strict=True, matched=report.matched)


def prove_identity(
    model: Xtts, tensors: Mapping[str, TensorRecord], progress: Progress, dtypes: Mapping[str, str] | None = None
) -> Identity:
    """Compare every tensor of the loaded model with the source's bytes, read again where the source is local.

    Args:
        dtypes: the new dtype of each tensor that was cast; such a tensor is compared with torch's own cast of the source.

    Raises:
        ArchiveError: the source changed or was truncated.
    """
    loaded, new, names = model.state_dict(), dtypes or {}, list(tensors)

    def differing(group: Sequence[str]) -> list[str]:
        """Return those of these tensors that the model does not hold as the source does."""
        with TensorReader(lambda _: None, has_values=False) as reader:
            return [name for name in group if not _holds(reader, tensors[name], new.get(name), loaded[name])]

    groups = [names[start : start + _COMPARED_TOGETHER] for start in range(0, len(names), _COMPARED_TOGETHER)]
    different: list[str] = []
    with ThreadPoolExecutor(_COMPARING) as pool:
        for group, found in zip(groups, pool.map(differing, groups), strict=True):
            different += found
            progress(sum(tensors[name].bytes for name in group))
    total = sum(loaded[name].nbytes for name in names)
    return Identity(tensors=len(names), bytes=total, different=tuple(different))


def _holds(reader: TensorReader, record: TensorRecord, dtype: str | None, loaded: torch.Tensor) -> bool:
    """Whether a tensor equals that of the source, cast to `dtype` where it was."""
    data = _bytes_of(loaded)
    if dtype in (None, record.dtype):
        return reader.holds(record, data)
    return _holds_cast(reader, record, dtype, data)


def _holds_cast(reader: TensorReader, record: TensorRecord, dtype: str, data: np.ndarray) -> bool:
    """Whether the bytes `(bytes,)` equal the tensor's elements cast to another dtype by torch."""
    position, equal = 0, True
    for chunk in reader.chunks(record):
        expected = _cast_by_torch(chunk, record.dtype, dtype)
        equal = equal and np.array_equal(expected, data[position : position + len(expected)])
        position += len(expected)
        del expected
        reader.release(chunk)
    return equal and position == len(data)


def _cast_by_torch(chunk: memoryview, old: str, new: str) -> np.ndarray:
    """Return the elements of a chunk cast to another dtype, as bytes."""
    if old == new:
        return np.frombuffer(chunk, np.uint8)
    elements = torch.frombuffer(bytearray(chunk), dtype=getattr(torch, old))
    return _bytes_of(elements.to(getattr(torch, new)))


def _bytes_of(tensor: torch.Tensor) -> np.ndarray:
    """Return the tensor's data as bytes, without a copy where it is contiguous."""
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()


def prepare_for_speech(model: Xtts, device: str) -> Xtts:
    """Make the loaded model ready to speak: float32, in inference mode, on the device."""
    model.float()
    model.eval()  # Xtts overrides it: builds gpt_inference, which is why the load comes first
    return model.to(device)


def release() -> None:
    """Release mapped files and GPU memory, so that the folder can be moved on every system."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
