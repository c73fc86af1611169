"""Every option, declared once, for the command line, the library, completion and the tables in the docs."""
# ruff: noqa: RUF009 - `option` makes a dataclass's field, as `dataclasses.field` does

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

from verify import option as read
from verify import resources, shell
from verify.checks import Check
from verify.files.location import Location
from verify.files.names import ModelFormat
from verify.option import check, option, options_of, require_known

AnyPath = str | Path
Expect = Literal["speech", "sound"]
Format = ModelFormat
Dtype = Literal["keep", "float32", "float16", "bfloat16"]

# Which commands take an option.
MAIN = ("convert",)
ONE_MODEL = (*MAIN, "inspect", "verify")
ONE_OR_MORE = (*ONE_MODEL, "compare")
ALL_MODELS = (*ONE_OR_MORE, "sweep")
SPEAKING = (*MAIN, "verify", "compare", "sweep")
EVERY = (*ALL_MODELS, "judge", "explain", "env", "profiles", "demo")

# The groups in the help text.
MODEL, SPEECH, CHECKS = "which model", "what it says, and how", "what is checked"
OUTPUT, WORK, SHOWN = "what is written", "where the work goes on", "what is shown"
GROUPS = MODEL, SPEECH, CHECKS, OUTPUT, WORK, SHOWN


def _device(value: Any) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", str(value)):
        raise ValueError("is no device: pass auto, cpu, cuda, cuda:N or mps")
    return str(value)  # a torch.device converts to its name


def _expect(*commands: str) -> Any:
    return option(
        "--expect speech|sound", "speech", commands, CHECKS, parse=read.one_of(get_args(Expect)), choices=get_args(Expect),
        help="sound: barely trained weights may make noise",
        more="as long as it is finite, audible and of a plausible length",
    )  # fmt: skip


# An option is read as a whole: flags, default, commands, group; then how it is read; then what it does.
# fmt: off
@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The request of the user: the options of the main job; the other commands use some of them."""

    source: Location = option("SOURCE", MISSING, (), "", parse=read.location,
        help=".pth, .safetensors or run folder, here or at a URL")
    checkpoint: str = option("--checkpoint best|last|STEP", "best", ONE_OR_MORE, MODEL, parse=read.text,
        choices=("best", "last"),
        help="which checkpoint of a run folder (default: best)",
        more="best is the highest `best_model_N.pth`")
    config: Location | None = option("--config FILE", None, ALL_MODELS, MODEL, parse=read.location,
        help="use this config.json",
        more="default: beside the checkpoint, else the one inside it")
    vocab: Location | None = option("--vocab FILE", None, ALL_MODELS, MODEL, parse=read.location,
        help="vocab.json that the run was trained with",
        more="default: beside it, `--base`, `XTTS_*_original_model_files` above it, then what the config names")
    base: Location | None = option("--base DIR", None, ALL_MODELS, MODEL, parse=read.location,
        help="base model folder: fills what the run lacks, whole parts of the model included, and is compared with")
    speaker_wavs: tuple[Location, ...] = option("--speaker-wav FILE", (), SPEAKING, SPEECH, parse=read.location,
        repeatable=True,
        help="reference voice (repeatable)",
        more="3 to 30 s; default: `reference.wav` beside the checkpoint, the run's test sentences, its dataset, "
             "else a clip that ships here")
    speakers: tuple[str, ...] = option("--speaker NAME=FILE", (), MAIN, OUTPUT, parse=read.text, repeatable=True,
        help="add a voice, heard in this clip, to speakers_xtts.pth (repeatable; one name may have several clips)")
    follow: bool = option("--no-follow", True, ALL_MODELS, MODEL,
        help="use no path that the run's config names")
    config_from_weights: bool = option("--config-from-weights", False, ALL_MODELS, MODEL,
        help="let the weights correct the config in what they determine",
        more="and say what that changed")
    output: Location | None = option("-o, --output DIR", None, SPEAKING, OUTPUT, parse=read.location,
        help="where to write (main job: inference/ in the run folder, or beside the file; sweep: sweep/ there; "
             "verify, compare: nowhere)",
        more="beside a file it is `<stem>-inference/`, and for a URL that in the current folder; a sweep of "
             "several runs writes into the folder that all of them lie in")
    texts: tuple[str, ...] = option("--text TEXT", (), SPEAKING, SPEECH, parse=read.text, repeatable=True,
        help="what to say (repeatable; default: a short sentence in the run's language)")
    language: str | None = option("--language CODE", None, SPEAKING, SPEECH, parse=read.text,
        help="language of the text, such as en or zh-cn (default: the run's)",
        more="one of the 17 of XTTS; where the run's datasets name none, `en`")
    seed: int = option("--seed N", 0, SPEAKING, SPEECH, parse=read.whole_number(0, 2**63 - 1),
        help="seed of the sampling (default: 0)",
        more="the same seed says the same on one machine")
    seeds: int = option("--seeds N", 1, SPEAKING, SPEECH, parse=read.whole_number(1, 1000),
        help="say each sentence N times, with consecutive seeds: one bad draw is not blamed on the weights "
             "(default: 1)",
        more='a check fails only where most takes fail, and says "failed in 1 of 3"')
    transcribe: str | None = option("--transcribe [MODEL]", None, SPEAKING, CHECKS, parse=read.text, alone="tiny",
        help="write down what was said with this faster-whisper model, a folder or a name that was downloaded "
             "(default: tiny)",
        more='and hold it against the text; needs `pip install "xtts-verify[asr]"`; nothing is downloaded')
    prove: bool = option("--prove", False, MAIN, CHECKS,
        help="let the original speak too: same tokens, same samples, bit for bit",
        more="the original is the training checkpoint, read by torch")
    device: str = option("--device auto|cpu|cuda|cuda:N|mps", "auto", SPEAKING, SPEECH, parse=_device,
        choices=("auto", "cpu", "cuda", "mps"), other_words={"gpu": "cuda", "nvidia": "cuda", "metal": "mps"},
        help="where to speak (default: auto)",
        more="`auto` takes CUDA where there is one")
    expect: Expect = _expect(*SPEAKING)
    sample: bool = option("--no-sample", True, ("convert", "verify", "compare"), CHECKS,
        help="load strictly, but do not speak")
    verify: bool = option("--no-verify", True, MAIN, CHECKS,
        help="only convert: do not load or speak",
        more="the report says so")
    force: bool = option("--force", False, SPEAKING, OUTPUT,
        help="replace an output that is there",
        more="if this tool wrote it; files of others in it are never removed")
    keep_failed: bool = option("--keep-failed", False, MAIN, OUTPUT,
        help="keep what did not load, as DIR.failed",
        more="report and all")
    format: Format = option(f"--format {'|'.join(get_args(Format))}", "pth", MAIN, OUTPUT, parse=read.one_of(get_args(Format)),
        choices=get_args(Format),
        help="of the model file (default: pth, which coqui reads)",
        more="`model.safetensors` names its source by hash, step and versions in its metadata")
    dtype: Dtype = option("--dtype keep|float32|float16|bfloat16", "keep", MAIN, OUTPUT,
        parse=read.one_of(get_args(Dtype)), choices=get_args(Dtype),
        other_words={"fp16": "float16", "half": "float16", "bf16": "bfloat16", "fp32": "float32", "float": "float32"},
        help="of the weights in the new file (default: keep); programs compute in float32 all the same",
        more="16 bits halve the file; rounded as torch rounds, and refused where a value does not fit")
    profile: str | None = option("--profile NAME", None, ("convert", "verify"), OUTPUT, parse=read.text,
        choices=resources.names("profiles"),
        help=f"make what this program needs, or say what the folder lacks for it: {', '.join(resources.names('profiles'))}",
        more="checked as that program does it")

    def __post_init__(self) -> None:
        check(self)

    def demands(self, checks: Iterable[Check], has_samples: bool) -> frozenset[str]:
        """Return the names of those checks that decide the verdict.

        Args:
            has_samples: whether the model spoke; without samples only the basic checks decide.
        """
        is_speech = has_samples and self.expect == "speech"
        return frozenset(check.name for check in checks if is_speech or check.basic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Where the work of a sweep runs: in processes on this machine, or on a Ray cluster."""

    jobs: int | None = option("--jobs N", None, ("sweep",), WORK, parse=read.whole_number(1, 1000),
        help="worker processes (default: as many as cores, memory and GPUs allow)")
    threads: int = option("--threads N", 1, ("sweep",), WORK, parse=read.whole_number(1, 1000),
        help="threads of each worker; other samples (default: 1)",
        more="the samples depend on it, so it does not follow the machine")
    ray: str | None = option("--ray ADDRESS", None, ("sweep",), WORK, parse=read.text,
        help="work on this Ray cluster: auto, HOST:PORT or ray://HOST:PORT",
        more='needs `pip install "xtts-verify[cluster]"`')

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOptions:
    """The options of `judge`."""

    text: str | None = option("--text TEXT", None, ("judge",), SPEECH, parse=read.text,
        help="what is said in the clips: holds their length and pace against it")
    language: str = option("--language CODE", "en", ("judge",), SPEECH, parse=read.text,
        help="language of the text, such as en or zh-cn (default: en)")
    expect: Expect = _expect("judge")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """The options of `demo`."""

    output: Path = option("-o, --output DIR", Path("demo"), ("demo",), OUTPUT, parse=Path,
        help="new folder for the run (default: demo)")
    force: bool = option("--force", False, ("demo",), OUTPUT,
        help="replace the demo that is there")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """Options of the command line only; in Python a function call or its result takes their place."""

    texts_file: Path | None = option("--texts FILE", None, SPEAKING, SPEECH, parse=Path,
        help="text file of sentences to say, one a line")
    dry_run: bool = option("--dry-run", False, MAIN, OUTPUT,
        help="say what would happen and write nothing",
        more="as `inspect` does")
    details: bool = option("--details", False, (*MAIN, "verify", "compare", "judge", "demo"), SHOWN,
        help="show every check with its figure and its limit, and what became of the tensors")
    json: bool = option("--json", False, EVERY, SHOWN,
        help="print the report as one JSON document on stdout")
    quiet: bool = option("--quiet", False, EVERY, SHOWN,
        help="print only errors and the result")


# fmt: on

HOLDERS = (Job, JudgeOptions, Workers, DemoOptions, CommandLine)


class SourceOptions(TypedDict, total=False):
    """The fields of `Job` that help to read a source, for type checkers and editors."""

    checkpoint: str  # "best", "last" or a step
    config: AnyPath | None
    vocab: AnyPath | None
    base: AnyPath | None
    speaker_wavs: AnyPath | Iterable[AnyPath]
    speakers: str | Iterable[str]  # "NAME=FILE": voices to make
    follow: bool
    config_from_weights: bool


class Options(SourceOptions, total=False):
    """All fields of `Job` except the source, for type checkers and editors."""

    output: AnyPath | None
    texts: str | Iterable[str]
    language: str | None
    seed: int
    seeds: int
    transcribe: str | None
    prove: bool
    device: str
    expect: Expect
    sample: bool
    verify: bool
    force: bool
    keep_failed: bool
    format: Format
    dtype: Dtype
    profile: str | None  # the program that is to run the result


def job_of(source: AnyPath, **options: Any) -> Job:
    """Return the job of a source and keyword options, which are the fields of `Job`.

    Raises:
        OptionError: an option does not exist, or its value is invalid.
    """
    require_known(options, names_of(Job) - {"source"})
    return Job(source=source, **options)  # type: ignore[arg-type]  # read by the field's own option


def names_of(holder: type) -> set[str]:
    """Return the names of the fields."""
    return {item.name for item in fields(holder)}


def given(holder: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those arguments that are fields of the dataclass."""
    return {name: value for name, value in arguments.items() if name in names_of(holder)}


def command(job: Job, name: str) -> str:
    """Return the command with every option that differs from its default, quoted for the shell at hand.

    Args:
        name: the name of the command; `convert` is left out, as it is the default.
    """
    return shell.command(*([name] if name != "convert" else []), *words(job))


def words(job: Job) -> list[str]:
    """Return the arguments of the command: the source, and every option that differs from its default."""
    source = str(job.source)
    # `./`, because a folder may have the name of a command or begin with a dash.
    first = source if "/" in source or "\\" in source else f"./{source}"
    return [first, *_changed(job)]


def _changed(job: Job) -> Iterator[str]:
    """Yield the options for the fields that differ from their default."""
    for item, declared in options_of(job):
        value = getattr(job, item.name)
        if item.default is MISSING or value == item.default:
            continue
        if isinstance(value, bool):
            yield declared.flag
            continue
        for single in value if isinstance(value, tuple) else (value,):
            # As one word where the value begins with a dash.
            yield from [f"{declared.flag}={single}"] if str(single).startswith("-") else [declared.flag, str(single)]
