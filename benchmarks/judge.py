#!/usr/bin/env python3
"""Measure the judge: false alarms on clean speech and detected damage, on clips that were not used to set its limits.

    python -m benchmarks.judge --clips FOLDER [--clips FOLDER ...] [--seen FOLDER] [--fresh FOLDER] [--markdown FILE]

FOLDER holds WAV or FLAC clips, a subfolder for each speaker or language, texts beside them as `.txt`. Voices of flite
and espeak-ng are added where these are installed. Speakers and languages are split in two halves: limits and rules in
configs/sound.toml come from the development half, the table from the held-out half. Clips of `--fresh` are held out.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import corpus, damage
from benchmarks.judge_table import markdown
from verify.audio import vad_mos
from verify.audio.checks import judge_measures, measure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, action="append", default=[], metavar="FOLDER", help="clean speech")
    parser.add_argument("--fresh", type=Path, action="append", default=[], metavar="FOLDER", help="clean, held out")
    parser.add_argument("--seen", type=Path, action="append", default=[], metavar="FOLDER", help="clean, development")
    parser.add_argument("--each", type=int, default=10, help="clips for each damage (default: 10)")
    parser.add_argument("--longest", type=float, default=10.0, help="seconds of a clip to damage (default: 10)")
    parser.add_argument("--mild", action="store_true", help="also damage that a listener would let pass")
    parser.add_argument("--half", choices=("held-out", "development", "both"), default="held-out")
    parser.add_argument(
        "--no-models", action="store_true", help="leave out the samples of untrained models (they need torch)"
    )
    parser.add_argument(
        "--measures", type=Path, help="file to store the measurements in, or to read them from if it exists"
    )
    parser.add_argument("--markdown", type=Path, help="write the tables here too")
    options = parser.parse_args()
    measures_file = options.measures
    if measures_file and measures_file.exists():
        rows = json.loads(measures_file.read_text(encoding="utf-8"))
    else:
        rows = clip_rows(options)
        rows += [] if options.no_models else model_rows()
        if measures_file:
            measures_file.write_text(json.dumps(rows), encoding="utf-8")
    rows = [row | {"failed": failed_checks(row)} for row in rows]
    halves = dict.fromkeys(row["half"] for row in rows)
    text = "\n".join(markdown([row for row in rows if row["half"] == half], half) for half in halves)
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")


def clip_rows(options):
    """Return a row of measurements for each clip and each damage."""
    clips, seen, fresh = corpus.read_folders(options)
    with tempfile.TemporaryDirectory() as folder:
        clips += corpus.synthesise(Path(folder))
    rows = []
    for half, part in zip(("development", "held-out"), corpus.halves(clips, seen, fresh), strict=True):
        if options.half in (half, "both"):
            clean = [row(clip, clip.samples, clip.rate_hz, "clean", "", "clean") for clip in part]
            print(f"{half}: {len(clean)} clean clips measured", flush=True)
            short = [clip for clip in part if len(clip.samples) / clip.rate_hz < options.longest]
            harmed = damaged_rows([clip for clip in short if clip.source != "espeak-ng"], options.each, options.mild)
            rows += [item | {"half": half} for item in (*clean, *harmed)]
    return rows


def model_rows():
    """Return a row for each sample of an untrained model."""
    from benchmarks.judge_models import outputs  # imports torch and coqui-tts, which the rest does not need

    rows = []
    for strength, samples, rate_hz, text in outputs():
        clip = corpus.Speech(
            name=strength, group="", source="model", samples=samples, rate_hz=rate_hz, text=text, language="en"
        )
        rows.append(row(clip, samples, rate_hz, "untrained XTTS", strength, damage.REJECT) | {"half": "held-out"})
    return rows


def damaged_rows(clips, each, mild):
    """Return rows of every damage, each on `each` clips drawn for it; babble is mixed from the other clips."""
    at_16k = [vad_mos.at_network_rate(clip.samples, clip.rate_hz).astype(np.float64) for clip in clips]
    rows = []
    for number, kind in enumerate(damage.damages()):
        if kind.verdict == damage.REJECT or mild:
            made = []
            for place in np.random.default_rng(number).permutation(len(clips)):
                if len(made) == each:
                    break
                others = tuple(at_16k[(place + step) % len(clips)] for step in (1, 5, 9, 14))
                draw = np.random.default_rng(1000 * number + len(made))
                harmed = kind.apply(damage.Material(samples=at_16k[place], others=others, draw=draw))
                if harmed is not None:
                    made.append(row(clips[place], harmed.astype(np.float32), damage.RATE_HZ, kind.kind, kind.strength, kind.verdict))  # fmt: skip
            rows += made
            print(f"{kind.kind}, {kind.strength}", flush=True)
    return rows


def row(clip, samples, rate_hz, kind, strength, verdict):
    """Return the measurements of one clip, ready for JSON."""
    return {
        "kind": kind, "strength": strength, "verdict": verdict, "source": clip.source, "name": clip.name,
        "text": clip.text, "language": clip.language, "measures": measure(samples, rate_hz),
    }  # fmt: skip


def failed_checks(clip_row):
    """Return the names of the checks that a row fails under the current limits."""
    checks = judge_measures(clip_row["measures"], clip_row["text"], clip_row["language"])
    return [check.name for check in checks if not check.ok]


if __name__ == "__main__":
    main()
