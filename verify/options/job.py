"""The options of the main job, each declared once; the other commands use some of them."""
# ruff: noqa: RUF009 - `option` makes a dataclass's field, as `dataclasses.field` does

import re
from collections.abc import Iterable
from dataclasses import MISSING, dataclass
from typing import Any, Literal, get_args

from verify import resources
from verify.checks import Check
from verify.files.location import Location
from verify.files.names import ModelFormat
from verify.options import option as read
from verify.options.option import check, option
from verify.options.places import ALL_MODELS, CHECKS, MAIN, MODEL, ONE_OR_MORE, OUTPUT, SPEAKING, SPEECH

Expect = Literal["speech", "sound"]
Format = ModelFormat
Card = Literal["yes", "no"]
Dtype = Literal["keep", "float32", "float16", "bfloat16"]


def _device(value: Any) -> str:
    one = r"(cpu|mps|cuda(:\d{1,3})?)"
    if not re.fullmatch(rf"auto|{one}(,{one}){{0,7}}", str(value)):
        raise ValueError("is no device: pass auto, cpu, cuda, cuda:N or mps")
    return str(value)  # a torch.device converts to its name


def _sampling(flag: str, help: str, more: str = "") -> Any:
    """Return the field of a setting of the sampling, within the bounds that config.json has for it."""
    name, table = flag[2:].replace("-", "_"), resources.load("xtts")
    bounds = table["top"].get(name) or table[name]
    is_whole = bounds.get("type") == "integer"
    parse = (read.whole_number if is_whole else read.number)(bounds["min"], bounds["max"])
    return option(f"{flag} {'N' if is_whole else 'X'}", None, SPEAKING, SPEECH, parse=parse, help=help, more=more)


def expect_option(*commands: str) -> Any:
    """Return the field of `--expect` for these commands."""
    return option(
        "--expect speech|sound", "speech", commands, CHECKS, parse=read.one_of(get_args(Expect)), choices=get_args(Expect),
        help="sound: barely trained weights may make noise",
        more="as long as it is finite, audible and of a plausible length",
    )  # fmt: skip


# An option is read as a whole: flags, default, commands, group; then how it is read; then what it does.
@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The request of the user: the options of the main job; the other commands use some of them."""

    # fmt: off
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
    voice: str | None = option("--voice NAME", None, SPEAKING, SPEECH, parse=read.text,
        help="speak in this voice of the model's own speakers_xtts.pth, which `inspect` lists")
    speakers: tuple[str, ...] = option("--speaker NAME=FILE", (), MAIN, OUTPUT, parse=read.text, repeatable=True,
        help="add a voice, heard in this clip, to speakers_xtts.pth (repeatable; one name may have several clips)",
        more="without `--speaker-wav` the first of them speaks")
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
    standard_texts: bool = option("--standard-texts", False, SPEAKING, SPEECH,
        help="say the eight sentences that ship for the language, as `--texts standard` does",
        more="short and long, a question, numbers, names, a list, an abbreviation, sounds that repeat")
    held_out: str | None = option("--held-out [DIR|metadata.csv]", None, SPEAKING, SPEECH, parse=read.text, alone="auto",
        help="say the texts of recordings of the speaker that the run was not trained on, and hold each against its recording "
             "(default: auto, the dataset that the config names)",
        more="the gap to the recording decides: what the recording fails as well is no fault of the model; "
             "else the folder of the dataset, or a metadata file")
    held_out_clips: int = option("--held-out-clips N", 3, SPEAKING, SPEECH, parse=read.whole_number(1, 100),
        help="how many of those recordings (default: 3)")
    language: str | None = option("--language CODE", None, SPEAKING, SPEECH, parse=read.text,
        help="language of the text, such as en or zh-cn (default: the run's)",
        more="any whose token is in vocab.json; where the run's datasets name none, `en`")
    seed: int = option("--seed N", 0, SPEAKING, SPEECH, parse=read.whole_number(0, 2**63 - 1),
        help="seed of the sampling (default: 0)",
        more="the same seed says the same on one machine")
    seeds: int = option("--seeds N", 1, SPEAKING, SPEECH, parse=read.whole_number(1, 1000),
        help="say each sentence N times, with consecutive seeds: one bad draw is not blamed on the weights "
             "(default: 1)",
        more='a check fails only where most takes fail, and says "failed in 1 of 3"')
    temperature: float | None = _sampling("--temperature",
        "of the sampling: low is even, high is lively (default: the config's)")
    top_k: int | None = _sampling("--top-k",
        "draw from the N likeliest tokens alone (default: the config's)")
    top_p: float | None = _sampling("--top-p",
        "draw from the likeliest tokens that have this probability together (default: the config's)")
    repetition_penalty: float | None = _sampling("--repetition-penalty",
        "how much a token that was said already is held back (default: the config's)")
    length_penalty: float | None = _sampling("--length-penalty",
        "handed on as coqui does (default: the config's)",
        more="it acts on beams, and `Xtts.inference` uses none by default")
    speed: float | None = _sampling("--speed",
        "how many times as fast to speak (default: 1)")
    save_sampling: bool = option("--save-sampling", False, MAIN, OUTPUT,
        help="write these settings of the sampling into the output's config.json",
        more="but the speed, for which it has no field")
    vary: tuple[str, ...] = option("--vary NAME=VALUE", (), ("compare",), SPEECH, parse=read.text, repeatable=True,
        help="let each model speak once more with this sampling, such as temperature=0.5 (repeatable)",
        more='several settings in quotes: `--vary "temperature=0.5 top_k=30"`; one model is enough then')
    transcribe: str | None = option("--transcribe [MODEL]", None, SPEAKING, CHECKS, parse=read.text, alone="tiny",
        help="write down what was said with this faster-whisper model, a folder or a name that was downloaded "
             "(default: tiny); none: with none at all",
        more='and hold it against the text; needs `pip install "xtts-verify[asr]"`; nothing is downloaded. Without the option the '
             "main job and verify use one that is on this machine, where that costs less than the speech did")
    prove: bool = option("--prove", False, MAIN, CHECKS,
        help="let the original speak too: same tokens, same samples, bit for bit",
        more="the original is the training checkpoint, read by torch")
    stream: bool = option("--stream", False, ("convert", "verify", "compare"), CHECKS,
        help="let the first sentence come once more through inference_stream, chunk by chunk",
        more="seconds to the first chunk, whether it says the same, clicks where chunks meet")
    device: str = option("--device auto|cpu|cuda|cuda:N|mps", "auto", SPEAKING, SPEECH, parse=_device,
        choices=("auto", "cpu", "cuda", "mps"), other_words={"gpu": "cuda", "nvidia": "cuda", "metal": "mps"},
        help="where to speak (default: auto)",
        more='`auto` takes CUDA where there is one; `"cpu,cuda"` holds what the second computes against the first')
    pythons: tuple[str, ...] = option("--python PATH", (), ("convert", "verify"), CHECKS, parse=read.text, repeatable=True,
        help="let the Python that will run it load and speak it too: an interpreter, its environment's or its program's "
             "folder (repeatable)",
        more="nothing is installed or written there; it loads with that coqui's own `load_checkpoint`, and the same judge listens")
    expect: Expect = expect_option(*SPEAKING)
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
        more="`model.safetensors` names its source by fingerprint, step and versions in its metadata")
    hash_source: bool = option("--hash-source", False, ("convert", "verify"), OUTPUT,
        help="put the SHA-256 of the whole source into the report",
        more="without it a fingerprint tells the source from others: the SHA-256 of the names, sizes and CRC-32s in its container")
    dtype: Dtype = option("--dtype keep|float32|float16|bfloat16", "keep", MAIN, OUTPUT,
        parse=read.one_of(get_args(Dtype)), choices=get_args(Dtype),
        other_words={"fp16": "float16", "half": "float16", "bf16": "bfloat16", "fp32": "float32", "float": "float32"},
        help="of the weights in the new file (default: keep); programs compute in float32 all the same",
        more="16 bits halve the file; rounded as torch rounds, and refused where a value does not fit")
    card: Card = option("--card yes|no", "yes", MAIN, OUTPUT, parse=read.one_of(get_args(Card)), choices=get_args(Card),
        help="write a model card, README.md, for hubs such as Hugging Face (default: yes)",
        more="it says what was verified and names no path; one that you edited is never replaced")
    profile: str | None = option("--profile NAME", None, ("convert", "verify"), OUTPUT, parse=read.text,
        choices=resources.names("profiles"),
        help=f"make what this program needs, or say what the folder lacks for it: {', '.join(resources.names('profiles'))}",
        more="checked as that program does it")
    # fmt: on

    def __post_init__(self) -> None:
        check(self)

    def demands(self, checks: Iterable[Check], has_samples: bool) -> frozenset[str]:
        """Return the names of those checks that decide the verdict; what the speaker's own recordings excuse does not.

        Args:
            has_samples: whether the model spoke; without samples only the basic checks decide.
        """
        is_speech = has_samples and self.expect == "speech"
        return frozenset(check.name for check in checks if (is_speech or check.basic) and not check.excused)


# fmt: on
