"""One builder for each cause that both a file and an error text can show, so that `inspect` and `explain` agree."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from verify.diagnosis.architecture import EXPLAINS, PARTS
from verify.errors import Cause
from verify.source.vocabulary import base_version, published

OTHER_CONFIG = "Pass the config.json of the run that made this checkpoint: --config FILE."
Shape = Sequence[int] | None


def vocab_rows(
    rows: int | None,
    tokens: int | None,
    *,
    vocab: str,
    key: str = "gpt.text_embedding.weight",
    beyond: str = "",
    hint: str = "",
    keys: tuple[str, ...] = (),
) -> Cause:
    """Return the cause for an embedding that has another number of rows than the vocabulary has tokens (`vocab-rows`).

    Args:
        rows: of the embedding in the file; None if the text is cut off before it.
        vocab: which vocabulary it is, such as `vocab.json (beside the checkpoint)`.
        beyond: the tokens without a row, named.
        hint: replaces the hint derived from the two numbers.
        keys: what it explains by name; without them, the text embedding and head.
    """
    if rows is None or tokens is None:
        message = f"{key} has another number of rows than {vocab} has tokens; the text does not say how many"
        hint = hint or "Pass the vocab.json that this run was trained with: --vocab FILE."
    else:
        message = f"{key} has {rows:,} rows{_of(rows)}; {vocab} holds {tokens:,} tokens{_of(tokens)}"
        message += f"; without a row: {beyond}" if beyond else ""
        hint = hint or _vocab_hint(rows, tokens)
    prefixes = () if keys else EXPLAINS["gpt_number_text_tokens"]
    return Cause(code="vocab-rows", severity="error", message=message, hint=hint, keys=keys, prefixes=prefixes)


def _of(count: int) -> str:
    base = base_version(count)
    return f", those of {base}" if base.startswith("v") else ""


def _vocab_hint(rows: int, tokens: int) -> str:
    """Return the next step; if the user added tokens, passing the base's vocabulary would lose them."""
    fits = base_version(rows)
    if fits.startswith("v") and base_version(tokens) == "extended":
        return (
            f"The vocabulary was extended and the embedding was not: these are the rows of {fits}. To train on the new tokens, extend the "
            "embedding of the base model first (the trainer's repository has a script for it, extend_vocab_config.py) and start from that. "
            f"To speak with this checkpoint as it is, which knows none of them: the {fits} vocab.json, with --vocab."
        )
    if fits.startswith("v"):
        return f"The rows match the {fits} vocabulary: pass that vocab.json with --vocab; {published(fits)[0]}"
    if fits == "extended":
        return "The embedding was extended: pass the vocab.json that this run was trained with, with its new tokens: --vocab FILE."
    return "Pass the vocab.json that this run was trained with: --vocab FILE."


def config_mismatch(
    wrong: Mapping[str, tuple[Any, Any]],
    *,
    config: str = "the config",
    defaults: Iterable[str] = (),
    remark: str = "",
    keys: tuple[str, ...] = (),
) -> Cause:
    """Return one cause for every field in which config and weights differ (`config-mismatch`).

    Args:
        wrong: field to what the config says and what the weights call for.
        defaults: the fields that the config does not set.
        keys: the names that it explains; without them, those with the prefixes of the fields' tensors.
    """
    silent = frozenset(defaults)
    pairs = "; ".join(
        f"{field} is {show(in_config)}{' (the default)' if field in silent else ''}, the weights call for {show(in_weights)}"
        for field, (in_config, in_weights) in wrong.items()
    )
    return Cause(
        code="config-mismatch",
        severity="error",
        message=f"{config} does not fit the weights: {pairs}{remark}",
        hint=_config_hint(wrong),
        keys=keys,
        prefixes=() if keys else tuple(prefix for field in wrong for prefix in EXPLAINS.get(field, ())),
    )


def show(value: Any) -> str:
    """Return a value of the config as JSON writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _config_hint(wrong: Mapping[str, tuple[Any, Any]]) -> str:
    in_config, in_weights = wrong.get("gpt_layers", (0, 0))
    if in_config > in_weights:
        lost = (
            f"layer {in_weights} is" if in_config == in_weights + 1 else f"layers {in_weights} to {in_config - 1} are"
        )
        return f"Either {lost} lost from the file (get a whole one), or pass the config.json of its run: --config FILE."
    return f"{OTHER_CONFIG[:-1]}, or take what the weights tell: --config-from-weights."


def missing_parts(absent: Sequence[str], hint: str, keys: tuple[str, ...] = ()) -> Cause:
    """Return one cause for the parts of an XTTS of which there is nothing at all (`missing-parts`)."""
    return Cause(
        code="missing-parts",
        severity="error",
        message=f"the file holds no {listed(absent, 'or')}",
        hint=hint,
        keys=keys,
        prefixes=() if keys else tuple(prefix for part in absent for prefix in PARTS[part]),
    )


def listed(words: Sequence[str], last: str = "and") -> str:
    """Return `a, b and c`."""
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def shape_mismatch(shapes: Mapping[str, tuple[Shape, Shape]]) -> Cause:
    """Return the cause for tensors of another shape in the file than in the model, for no known reason (`shape-mismatch`)."""
    key, (checkpoint, model) = next(iter(shapes.items()))
    more = f" (and {len(shapes) - 1:,} more)" if len(shapes) > 1 else ""
    if checkpoint is None or model is None:
        message = f"{key} has another shape in the file than in the model{more}; the text does not say which"
    else:
        message = f"{key} has shape {list(checkpoint)} in the file and {list(model)} in the model{more}"
    return Cause(code="shape-mismatch", severity="error", message=message, hint=OTHER_CONFIG, keys=tuple(shapes))
