"""Rules that explain a load error by its names alone: bogus second names, wrappers, old spellings, training leftovers."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from verify import shell
from verify.conversion.key_map import PREFIXES, RESPELLED, alias_target, drop_reason
from verify.diagnosis.architecture import PARTS
from verify.diagnosis.error_text import LoadError, Shape
from verify.diagnosis.packages import install_line
from verify.errors import Cause

_WRAPPERS = tuple(prefix for prefix, _ in PREFIXES)


@dataclass(slots=True)
class Unexplained:
    """The names of a load error that no cause explains yet, by their canonical name; the printed one is the value."""

    error: LoadError
    missing: dict[str, str]
    unexpected: dict[str, str]
    mismatched: dict[str, str]
    model_layers: int = 0
    causes: list[Cause] = field(default_factory=list)

    def explain(
        self, cause: Cause, missing: Iterable[str] = (), unexpected: Iterable[str] = (), mismatched: Iterable[str] = ()
    ) -> None:
        """Assign names of the three lists to the cause, and add it if any were left."""
        taken = [
            names.pop(key)
            for names, keys in ((self.missing, missing), (self.unexpected, unexpected), (self.mismatched, mismatched))
            for key in tuple(keys)
            if key in names
        ]
        if taken:
            self.causes.append(replace(cause, keys=tuple(dict.fromkeys(taken))))

    def shapes(self) -> dict[str, tuple[Shape, Shape]]:
        """Return canonical name to shape in the file and in the model."""
        return {key: self.error.mismatched[printed] for key, printed in self.mismatched.items()}


def masks(names: Unexplained) -> None:
    """Causal masks, saved by old versions of transformers and expected by them."""
    saved, wanted = ([key for key in keys if _is_mask(key)] for keys in (names.unexpected, names.missing))
    if saved:
        message = "the file holds causal masks that old versions of transformers saved, and the model has none"
        hint = "Convert the file with this tool, which leaves them out."
    else:
        message = "the installed transformers is old and wants causal masks, which the file does not hold"
        hint = f"Install coqui-tts with the transformers that fits: {install_line(('coqui-tts', 'transformers'))}"
    names.explain(Cause(code="old-attention-masks", severity="error", message=message, hint=hint), wanted, saved)


def _is_mask(key: str) -> bool:
    return key.endswith((".attn.bias", ".attn.masked_bias")) and drop_reason(key) is not None


def second_names(names: Unexplained) -> None:
    """Names that init_gpt_for_inference makes: bogus where missing, a sign of how the file was saved where unexpected."""
    bogus = [key for key in names.missing if alias_target(key)]
    if len(bogus) < len(names.error.names):
        hint = "Nothing is wrong with the file for their sake: Xtts.load_checkpoint makes them when a first load has failed, for a cause named here."
    else:
        hint = (
            "Nothing is wrong with the file for their sake: load it before eval() or init_gpt_for_inference() is called. "
            "If lines stood around this list, the true cause is there."
        )
    message = (
        "these missing names are bogus: second names, made by init_gpt_for_inference, of tensors that the model has"
    )
    names.explain(Cause(code="inference-mode", severity="note", message=message, hint=hint), bogus)
    names.explain(
        Cause(
            code="inference-names",
            severity="error",
            message="the file was saved in inference mode: it holds second names, made by init_gpt_for_inference",
            hint="Convert it with this tool, which drops them where they equal the first names and renames them where they are the only ones.",
        ),
        unexpected=[key for key in names.unexpected if alias_target(key)],
    )


def weight_norm(names: Unexplained) -> None:
    """Two spellings of weight norm; the printed names tell them apart, the canonical name is one."""
    old_missing, new_missing = (_ending(names.missing, side) for side in (0, 1))
    old_unexpected, new_unexpected = (_ending(names.unexpected, side) for side in (0, 1))
    ends = tuple(f"{PARTS['vocoder'][0]}{name}.weight" for name in ("conv_pre", "conv_post"))
    if (old_missing and not any(key in names.missing for key in ends)) or (new_unexpected and not names.missing):
        message = (
            "the installed TTS or torch is older than the file: it knows weight norm as weight_g and weight_v, "
            "the file says parametrizations.weight.original0 and original1"
        )
        hint = f"Install coqui-tts, the fork that is kept up, in the place of TTS: {install_line(('coqui-tts', 'transformers'))}"
        explained = old_missing, new_unexpected
    elif new_missing and old_unexpected:
        message = (
            "the file is older than the installed coqui-tts: it says weight_g and weight_v, "
            "the model wants parametrizations.weight.original0 and original1"
        )
        hint = "Convert the file with this tool, which spells them as the installed coqui-tts does."
        explained = new_missing, old_unexpected
    else:
        return
    names.explain(Cause(code="weight-norm-names", severity="error", message=message, hint=hint), *explained)


def _ending(names: dict[str, str], side: int) -> list[str]:
    ends = tuple(pair[side] for pair in RESPELLED)
    return [key for key, printed in names.items() if printed.endswith(ends)]


def wrapped(names: Unexplained) -> None:
    """A file whose names carry a wrapper's prefix: its names are unexpected and the same names without it missing."""
    keys = [key for key, name in names.unexpected.items() if name.startswith(_WRAPPERS)]
    used = {prefix: why for prefix, why in PREFIXES if any(names.unexpected[key].startswith(prefix) for key in keys)}
    cause = Cause(
        code="wrapped-names",
        severity="error",
        message=f"names in the file begin with {' or '.join(f'{prefix} ({why})' for prefix, why in used.items())}; those of the model do not",
        hint=f"Convert it with this tool, which takes the prefix off: {shell.program()} RUN",
    )
    names.explain(cause, [key for key in names.missing if key in names.unexpected and key in keys], keys)


def restored(names: Unexplained) -> None:
    """An inference file where the Trainer wants a training checkpoint."""
    bare = [key for key, name in names.missing.items() if name.startswith(_WRAPPERS)]
    training = [key for key in names.missing if drop_reason(key)]
    faults = [
        text
        for keys, text in (
            (bare, "its names lack the prefix xtts."),
            (training, "it holds no dvae and no mel filter banks"),
        )
        if keys
    ]
    cause = Cause(
        code="restore-from-converted",
        severity="error",
        message=f"an inference file was restored as a training checkpoint: {' and '.join(faults)}",
        hint="To go on with a run, pass its folder as continue_path or its checkpoint_N.pth as restore_path. To fine-tune "
        "from an inference file, leave restore_path empty and set model_args.xtts_checkpoint to it, beside dvae_checkpoint and mel_norm_file.",
    )
    names.explain(cause, [*bare, *training], [key for key in names.unexpected if key in bare])


def training_only(names: Unexplained) -> None:
    """What only training needs, in a file given to a model that has none of it."""
    cause = Cause(
        code="training-only-keys",
        severity="error",
        message="the file holds what only training needs: the discrete VAE and the mel filter banks",
        hint="Convert it with this tool, which leaves them out.",
    )
    names.explain(cause, unexpected=[key for key in names.unexpected if drop_reason(key)])
