"""The allow list of `unpickle`: which names a pickle may contain, and the inert record that each becomes.

Nothing here is imported from torch, numpy or coqui-tts: a name is text, a call is a record of its arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from verify.checkpoint.tensors import countable
from verify.errors import ArchiveError


@dataclass(frozen=True, slots=True)
class Global:
    """A name the pickle asked for, as `module name`; never looked up."""

    name: str


@dataclass(frozen=True, slots=True)
class Storage:
    """The persistent id of a tensor's storage: the class that gives its dtype, its member and its length in elements."""

    kind: str
    member: str
    elements: int


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """The arguments of `torch._utils._rebuild_tensor_v2`; offset and stride count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(slots=True, eq=False)
class Instance:
    """An object of a class that is known but never imported; `state` is what BUILD gave it."""

    name: str
    args: tuple = ()
    state: Any = None


@dataclass(frozen=True, slots=True)
class OddTensor:
    """A tensor of a kind that is not written: sparse, quantized, nested, subclassed."""

    kind: str


SCALARS = (str, bytes, int, float, bool, type(None))


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) <= 16 and all(type(n) is int and 0 <= n < 2**48 for n in value)


def _tensor(*args: Any) -> Any:
    """Check the arguments of `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])`."""
    if not 4 <= len(args) <= 7 or not isinstance(args[0], Storage):
        raise ArchiveError("bad-pickle", "a tensor in data.pkl is not built on a storage of the file")
    storage, offset, shape, stride = args[:4]
    if not (
        type(offset) is int
        and offset >= 0
        and _is_shape(shape)
        and _is_shape(stride)
        and len(shape) == len(stride)
        and countable(shape)
    ):
        raise ArchiveError(
            "bad-pickle", f"a tensor on storage {storage.member!r} has no valid offset, shape and stride"
        )
    if len(args) == 7 and args[6]:
        return OddTensor("conjugate or negated")
    return TensorSpec(storage, offset, shape, stride)


def _parameter(*args: Any) -> Any:
    if not args or not isinstance(args[0], TensorSpec):
        raise ArchiveError("bad-pickle", "a parameter in data.pkl is not built on a tensor")
    return args[0]


# The calls below return their arguments, never copies: a pickle of 10 MB could ask for a thousand copies.


def _as_dict(*args: Any) -> dict:
    """Return what `OrderedDict()`, `Counter(dict)` or `defaultdict(factory)` hold at first, as a plain dict."""
    if args and isinstance(args[-1], dict):
        return args[-1]
    if any(isinstance(arg, (list, tuple)) for arg in args):
        raise ArchiveError("bad-pickle", "a dictionary in data.pkl is made of a list, as no torch.save does")
    return {}


def _as_list(*args: Any) -> Any:
    return args[0] if args and isinstance(args[0], (list, tuple)) else []


def _size(*args: Any) -> Any:
    value = _as_list(*args)
    return tuple(value) if len(value) <= 16 else ()


def _device(*args: Any) -> str:
    return ":".join(str(arg)[:20] for arg in args[:2] if isinstance(arg, (str, int)))


def _encode(*args: Any) -> bytes:
    """Return the bytes that protocol 2 spells as `_codecs.encode(text, "latin1")`; numbers have 16 at most."""
    if len(args) != 2 or not isinstance(args[0], str) or len(args[0]) > 64 or args[1] not in ("latin1", "latin-1"):
        raise ArchiveError("bad-pickle", "data.pkl encodes text in an unusual way")
    return args[0].encode("latin-1", "replace")


# Names that a checkpoint may use as values, without a meaning here.
# fmt: off
_INERT = frozenset(
    {f"torch {kind}Storage" for kind in ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")}
    | {f"torch {kind}{bits}" for kind, widths in (("float", (16, 32, 64)), ("int", (8, 16, 32, 64)), ("uint", (8, 16, 32, 64)),
                                                  ("complex", (32, 64, 128)), ("qint", (8, 32)), ("quint", (8,))) for bits in widths}
    | {f"torch {kind}" for kind in ("bfloat16", "bool", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")}
    | {f"torch per_{what}" for what in ("tensor_affine", "channel_affine", "tensor_symmetric", "channel_symmetric")}
    | {f"{home} {name}" for home in ("builtins", "__builtin__") for name in ("list", "dict", "int", "float")}
)
# fmt: on


# Storage classes of tensors that are refused one by one, by key and kind, when the tensor is met.
_REFUSED_STORAGES = frozenset(
    f"torch {kind}Storage"
    for kind in ("ComplexFloat", "ComplexDouble", "QInt8", "QUInt8", "QInt32", "QUInt4x2", "Untyped")
) | {"torch.storage UntypedStorage"}


# What a call of each allowed name gives.
CALLS: dict[str, Callable[..., Any]] = {
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": _parameter,
    "collections OrderedDict": _as_dict,
    "collections defaultdict": _as_dict,
    "collections Counter": _as_dict,
    "builtins set": _as_list,
    "__builtin__ set": _as_list,
    "torch Size": _size,
    "torch device": _device,
    "_codecs encode": _encode,
}


# Classes that old trainers pickled, under each module that they have lived in. Their state is read as a dictionary.
_CLASSES = frozenset(
    {f"TTS.tts.{module} {name}" for module in ("models.xtts", "configs.xtts_config") for name in ("XttsArgs", "XttsAudioConfig", "XttsConfig")}
    | {f"TTS.tts.layers.xtts.trainer.gpt_trainer {name}" for name in ("GPTArgs", "GPTTrainerConfig", "XttsAudioConfig")}
    | {"TTS.config.shared_configs BaseDatasetConfig", "TTS.config.shared_configs BaseAudioConfig"}
    | {"TTS.tts.configs.shared_configs CharactersConfig"}
    | {"numpy.core.multiarray scalar", "numpy._core.multiarray scalar", "numpy dtype"}
)  # fmt: skip


# Tensors of kinds that are not dense and strided: named with their key instead of "unknown code".
TENSOR_KINDS = {
    "torch._utils _rebuild_sparse_tensor": "sparse",
    "torch._utils _rebuild_qtensor": "quantized",
    "torch._utils _rebuild_nested_tensor": "nested",
    "torch._utils _rebuild_meta_tensor_no_storage": "meta",
    "torch._utils _rebuild_tensor_v3": "untyped",
    "torch._utils _rebuild_parameter_with_state": "subclassed",
    "torch._tensor _rebuild_from_type_v2": "subclassed",
    "torch._utils _rebuild_wrapper_subclass": "subclassed",
}


ALLOWED = (
    _INERT | _REFUSED_STORAGES | CALLS.keys() | _CLASSES | TENSOR_KINDS.keys() | {"torch.serialization _get_layout"}
)
