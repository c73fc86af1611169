"""Turn a run's training config into an inference config: known fields within bounds, no path of the training machine."""

import json
from typing import Any

from verify import resources
from verify.errors import MissingError, SourceError
from verify.files.local import open_regular, require_regular_file
from verify.files.location import Location

MAX_CONFIG_BYTES = 4 * 2**20  # a genuine config.json has 5 KB


def read_json(
    path: Location, limit_bytes: int = MAX_CONFIG_BYTES, hint: str = "Restore it from the run or the base model."
) -> dict[str, Any]:
    """Return the JSON object in a regular file of bounded size.

    Raises:
        SourceError: it is missing, too large, or not a JSON object.
    """
    if not path.exists():
        raise MissingError("missing", f"{path} is not there", "Check the path.")
    size = require_regular_file(path)
    if size > limit_bytes:
        raise SourceError("too-large", f"{path} has {size:,} bytes; {limit_bytes:,} is the limit")
    try:
        with open_regular(path) as file:
            value = json.loads(file.read(limit_bytes).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise SourceError("bad-json", f"{path} is not valid JSON: {str(error)[:200]}", hint) from error
    if not isinstance(value, dict):
        raise SourceError("bad-json", f"{path} holds a {type(value).__name__}, not an object")
    return value


def inference_config(raw: dict[str, Any], origin: str) -> dict[str, Any]:
    """Return the fields of `raw` that XTTS inference needs, as plain values.

    Raises:
        SourceError: the config is for another model, or a field has a wrong type or is out of bounds.
    """
    table = resources.load("xtts")
    if raw.get("model", "xtts") != "xtts":
        raise SourceError(
            "other-model",
            f"the config ({origin}) is for model {str(raw['model'])[:60]!r}, not 'xtts'",
            "Pass an XTTS run.",
        )
    config: dict[str, Any] = {"model": "xtts"}
    config |= _fields(raw, table["top"], origin, "")
    for section in ("audio", "model_args"):
        value = raw.get(section, {})
        if not isinstance(value, dict):
            raise SourceError(
                "bad-config", f"the config ({origin}): {section} is a {type(value).__name__}, not an object"
            )
        config[section] = _fields(value, table[section], origin, f"{section}.")
    # coqui finds vocab.json in the model folder; an empty name keeps it from looking on the training machine.
    config["model_args"]["tokenizer_file"] = ""
    return config


def _fields(raw: dict[str, Any], table: dict[str, Any], origin: str, prefix: str) -> dict[str, Any]:
    kept = {}
    for name, rule in table.items():
        value = raw.get(name)
        if value is None:
            continue
        if not _fits(value, rule):
            bounds = f" from {rule['min']:,} to {rule['max']:,}" if "min" in rule else ""
            raise SourceError(
                "bad-config",
                f"the config ({origin}): {prefix}{name} is {str(value)[:60]}; expected {rule['type']}{bounds}",
                "Restore config.json from the run, or pass another one with --config.",
            )
        kept[name] = value
    return kept


def _fits(value: Any, rule: dict[str, Any]) -> bool:
    match rule["type"]:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return type(value) is int and rule["min"] <= value <= rule["max"]
        case "number":
            return type(value) in (int, float) and rule["min"] <= value <= rule["max"]  # False for NaN
        case _:
            return (
                isinstance(value, list) and len(value) <= rule["max"] and all(isinstance(item, str) for item in value)
            )
