"""The settings of the sampling: coqui's names, from the options, else from the run's config, else coqui's defaults."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from verify import resources
from verify.errors import OptionError
from verify.options import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the tokens are drawn and how fast they are spoken: the arguments of `Xtts.inference` that go by these names."""

    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float
    length_penalty: float
    speed: float = 1.0

    def to_json(self) -> dict[str, float]:
        """Return the settings by coqui's names."""
        return asdict(self)


NAMES = tuple(item.name for item in fields(Sampling))
_IN_CONFIG = tuple(name for name in NAMES if name != "speed")


def sampling_of(config: Mapping[str, Any], job: Job | None = None) -> Sampling:
    """Return the settings that hold for a model: what the job asks for, else its config, else the defaults of XttsConfig."""
    defaults = resources.load("xtts")["sampling"]
    return Sampling(**{**{name: config.get(name, defaults[name]) for name in _IN_CONFIG}, **_asked(job)})


def _asked(job: Job | None) -> dict[str, Any]:
    """Return the settings that the job asks for."""
    return {name: value for name in NAMES if job and (value := getattr(job, name)) is not None}


def to_save(config: Mapping[str, Any], job: Job) -> dict[str, float]:
    """Return the fields that `--save-sampling` writes into config.json; the speed has none, a program passes it along.

    Raises:
        OptionError: no setting was asked for that could be saved.
    """
    if not _asked(job).keys() & set(_IN_CONFIG):
        message = "--save-sampling has nothing to save: no setting of the sampling that config.json has a field for"
        raise OptionError("bad-option", message, "Add one, such as --temperature 0.7, or leave it away.")
    settings = sampling_of(config, job).to_json()
    return {name: settings[name] for name in _IN_CONFIG}


def varied(job: Job, setting: str) -> Job:
    """Return the job with the settings of one `--vary`, such as `temperature=0.5 top_k=30`.

    Raises:
        OptionError: it names no setting of the sampling, or a value that the setting cannot have.
    """
    values: dict[str, Any] = {}
    for part in setting.replace(",", " ").split():
        name, _, value = part.partition("=")
        name = name.strip("-").replace("-", "_")
        if name not in NAMES or not value:
            hint = f"Pass NAME=VALUE with one of {', '.join(NAMES)}; several in quotes, with spaces between them."
            raise OptionError("bad-option", f"--vary {setting[:60]!r} sets nothing of the sampling", hint)
        values[name] = value
    if not values:
        raise OptionError("bad-option", "--vary '' sets nothing of the sampling", f"Pass one of {', '.join(NAMES)}.")
    return replace(job, **values)


def in_words(setting: str) -> str:
    """Return the settings of one `--vary` as people read them: `temperature 0.5, top_k 30`."""
    return ", ".join(part.replace("=", " ") for part in setting.replace(",", " ").split())
