"""The options, in groups that have a title in `--help`; the same option means the same thing in each command."""

import argparse
import re
from pathlib import Path
from typing import Any

from verify.files.location import parse_location

# Titles of groups: options of several functions with the same title stand together.
MODEL, SPEECH, CHECKS = "which model", "what it says, and how", "what is checked"
OUTPUT, SHOWN, WORK = "what is written", "what is shown", "where the work goes on"


def _parent(*parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Return a parser that only hands its options on."""
    return argparse.ArgumentParser(add_help=False, parents=parents)


def finding() -> argparse.ArgumentParser:
    """One source, and what helps to read it."""
    parent = _parent(choosing(), helping())
    parent.add_argument(
        "source", type=parse_location, metavar="SOURCE", help=".pth, .safetensors or run folder, here or at a URL"
    )
    return parent


def choosing() -> argparse.ArgumentParser:
    """Which of a run's checkpoints."""
    parent = _parent()
    parent.add_argument_group(MODEL).add_argument(
        "--checkpoint",
        default="best",
        metavar="best|last|STEP",
        help="which checkpoint of a run folder (default: best)",
    )
    return parent


def helping() -> argparse.ArgumentParser:
    """What helps to read a source."""
    parent = _parent()
    group = parent.add_argument_group(MODEL)
    group.add_argument("--config", type=parse_location, metavar="FILE", help="use this config.json")
    group.add_argument(
        "--config-from-weights", action="store_true", help="let the weights correct the config in what they determine"
    )
    group.add_argument("--vocab", type=parse_location, metavar="FILE", help="vocab.json that the run was trained with")
    group.add_argument(
        "--base",
        type=parse_location,
        metavar="DIR",
        help="base model folder: fills what the run lacks, whole parts of the model included, and is compared with",
    )
    group.add_argument("--no-follow", action="store_true", help="use no path that the run's config names")
    return parent


def speaking() -> argparse.ArgumentParser:
    """What the model is to say, and what is asked of it."""
    parent = _parent()
    group = parent.add_argument_group(SPEECH)
    group.add_argument(
        "--speaker-wav",
        type=parse_location,
        action="append",
        default=[],
        metavar="FILE",
        help="reference voice (repeatable)",
    )
    group.add_argument(
        "--text",
        action="append",
        default=[],
        help="what to say (repeatable; default: a short sentence in the run's language)",
    )
    group.add_argument("--texts", type=Path, metavar="FILE", help="text file of sentences to say, one a line")
    group.add_argument("--language", help="language of the text, such as en or zh-cn (default: the run's)")
    group.add_argument("--seed", type=_seed, default=0, help="seed of the sampling (default: 0)")
    group.add_argument(
        "--seeds",
        type=_count,
        default=1,
        metavar="N",
        help="say each sentence N times, with consecutive seeds: one bad draw is not blamed on the weights (default: 1)",
    )
    group.add_argument(
        "--device",
        type=_device,
        default="auto",
        metavar="auto|cpu|cuda|cuda:N|mps",
        help="where to speak (default: auto)",
    )
    checks = parent.add_argument_group(CHECKS)
    _add_expect(checks)
    checks.add_argument(
        "--transcribe",
        nargs="?",
        const="tiny",
        metavar="MODEL",
        help="write down what was said with this faster-whisper model, a folder or a name that was downloaded (default: tiny)",
    )
    return parent


def silent() -> argparse.ArgumentParser:
    """Whether it speaks at all."""
    parent = _parent()
    parent.add_argument_group(CHECKS).add_argument(
        "--no-sample", action="store_true", help="load strictly, but do not speak"
    )
    return parent


def expecting() -> argparse.ArgumentParser:
    """How much is asked of the sound."""
    parent = _parent()
    _add_expect(parent.add_argument_group(CHECKS))
    return parent


def _add_expect(group: Any) -> None:
    group.add_argument(
        "--expect", choices=("speech", "sound"), default="speech", help="sound: barely trained weights may make noise"
    )


def said() -> argparse.ArgumentParser:
    """What is said in clips that exist."""
    parent = _parent()
    group = parent.add_argument_group(SPEECH)
    group.add_argument("--text", help="what is said in the clips: holds their length and pace against it")
    group.add_argument("--language", default="en", help="language of the text, such as en or zh-cn (default: en)")
    return parent


def writing() -> argparse.ArgumentParser:
    """Where the result goes."""
    parent = _parent()
    group = parent.add_argument_group(OUTPUT)
    group.add_argument(
        "-o",
        "--output",
        type=parse_location,
        metavar="DIR",
        help="where to write (main job: inference/ in the run folder, or beside the file; sweep: sweep/ there; verify, compare: nowhere)",
    )
    group.add_argument("--force", action="store_true", help="replace an output that is there")
    return parent


def converting() -> argparse.ArgumentParser:
    """What only the main job can do."""
    parent = _parent()
    checks, output = parent.add_argument_group(CHECKS), parent.add_argument_group(OUTPUT)
    checks.add_argument("--no-verify", action="store_true", help="only convert: do not load or speak")
    checks.add_argument(
        "--prove", action="store_true", help="let the original speak too: same tokens, same samples, bit for bit"
    )
    output.add_argument(
        "--format",
        choices=("pth", "safetensors"),
        default="pth",
        help="of the model file (default: pth, which coqui reads)",
    )
    output.add_argument(
        "--dtype",
        choices=("keep", "float32", "float16", "bfloat16"),
        default="keep",
        help="of the weights in the new file (default: keep); programs compute in float32 all the same",
    )
    output.add_argument(
        "--speaker",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="add a voice, heard in this clip, to speakers_xtts.pth (repeatable; one name may have several clips)",
    )
    output.add_argument("--dry-run", action="store_true", help="say what would happen and write nothing")
    output.add_argument("--keep-failed", action="store_true", help="keep what did not load, as DIR.failed")
    return parent


def profiled(group: str, what: str) -> argparse.ArgumentParser:
    """For which program; `what` says what is done about it."""
    from verify import resources  # not before Ctrl-C is heard

    parent, names = _parent(), resources.names("profiles")
    parent.add_argument_group(group).add_argument(
        "--profile", choices=names, metavar="NAME", help=f"{what}: {', '.join(names)}"
    )
    return parent


def working() -> argparse.ArgumentParser:
    """Where and how wide the work of many models goes on."""
    parent = _parent()
    group = parent.add_argument_group(WORK)
    group.add_argument(
        "--jobs", type=_count, metavar="N", help="worker processes (default: as many as cores, memory and GPUs allow)"
    )
    group.add_argument(
        "--threads", type=_count, default=1, metavar="N", help="threads of each worker; other samples (default: 1)"
    )
    group.add_argument("--ray", metavar="ADDRESS", help="work on this Ray cluster: auto, HOST:PORT or ray://HOST:PORT")
    return parent


def showing() -> argparse.ArgumentParser:
    """What is printed, and how much of it."""
    parent = _parent()
    group = parent.add_argument_group(SHOWN)
    group.add_argument("--json", action="store_true", help="print the report as one JSON document on stdout")
    group.add_argument("--quiet", action="store_true", help="print only errors and the result")
    return parent


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", text):
        raise argparse.ArgumentTypeError(f"{text[:30]!r} is no device: pass auto, cpu, cuda, cuda:N or mps")
    return text


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 1000):
        raise argparse.ArgumentTypeError(f"{text[:30]!r} is no number from 1 to 1000")
    return int(text)


def _seed(text: str) -> int:
    """Return a seed that torch takes: an integer of 63 bits."""
    if not (text.isascii() and text.isdigit() and int(text[:20]) < 2**63):
        raise argparse.ArgumentTypeError(f"{text[:30]!r} is no integer from 0 to {2**63 - 1}")
    return int(text)
