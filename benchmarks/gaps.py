#!/usr/bin/env python3
"""Measure how far speech may lie from the speaker's own recordings: what ground configs/held_out.toml has for its limits.

    python -m benchmarks.gaps --measures FILE --recordings NAME --said NAME

FILE is what `benchmarks.judge --measures` wrote. NAME is one of its folders of clips, which hold a subfolder for each voice:
`--recordings` of people, `--said` of what a network said in their voices (what stands before a `-` in the name of a voice is no
matter). Three kinds of gaps:

- takes: what the network said less the middle of the voice's recordings, which are of other sentences.
- recordings: a recording less the middle of the voice's others: what another sentence alone does to a figure.
- harm: a recording, damaged so that a listener would reject it, less itself: the same sentence.
"""

import argparse
import json
import statistics
from pathlib import Path

import numpy as np

from benchmarks import damage
from verify.audio.checks import judge_measures
from verify.audio.gaps import figures, gap, gap_checks, gap_rows

OTHER_NAMES = {"train_grace": "grace_train"}  # tortoise-tts calls one voice otherwise among its samples


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measures", type=Path, required=True, help="what benchmarks.judge measured")
    parser.add_argument("--recordings", default="voices", metavar="NAME")
    parser.add_argument("--said", default="tortoise", metavar="NAME")
    options = parser.parse_args()
    rows = json.loads(options.measures.read_text(encoding="utf-8"))
    print(markdown(voices_of(rows, options.recordings, options.said)))


def voices_of(rows, recordings, said):
    """Return the figures of each voice that was recorded and spoken in: recordings by name, takes, and harmed recordings."""
    voices = {}
    for row in rows:
        group = row["name"].replace("\\", "/").split("/")[0].split("-", 1)[-1]
        voice = voices.setdefault(OTHER_NAMES.get(group, group), {"recorded": {}, "said": [], "harmed": []})
        checks = judge_measures(row["measures"], row["text"], row["language"])
        found = {name: value for name, value in figures(checks).items() if name in gap_rows()}
        if row["source"] == recordings and row["kind"] == "clean":
            voice["recorded"][row["name"]] = found
        elif row["source"] == said and row["kind"] == "clean":
            voice["said"].append(found)
        elif row["source"] == recordings and row["verdict"] == damage.REJECT:
            voice["harmed"].append((row["name"], found))
    return {name: voice for name, voice in voices.items() if voice["recorded"]}


def usual(recorded):
    """Return the middle of each figure over recordings."""
    return {
        name: (statistics.median(values), "")
        for name in gap_rows()
        if (values := [of[name][0] for of in recorded if name in of])
    }


def gaps(own, recorded):
    """Return the gap of each figure that both have."""
    both = [name for name in gap_rows() if name in own and name in recorded]
    found = {name: gap(name, own[name][0], recorded[name][0]) for name in both}
    return {name: value for name, value in found.items() if value is not None}


def markdown(voices):
    """Return the table of each figure's gaps, and how many voices and how much harm lie beyond any limit."""
    takes = {name: [gaps(take, usual(v["recorded"].values())) for take in v["said"]] for name, v in voices.items()}
    takes = {name: found for name, found in takes.items() if found}
    recorded = [
        gaps(own, usual([other for name, other in v["recorded"].items() if name != clip]))
        for v in voices.values()
        for clip, own in v["recorded"].items()
    ]
    harmed = [
        gaps(own, v["recorded"][clip]) for v in voices.values() for clip, own in v["harmed"] if clip in v["recorded"]
    ]
    head = (
        "| figure | allowed | middle of a voice's takes: least, greatest | recordings: 2.5 %, 97.5 % | harm beyond it |"
    )
    lines = [head, "|---|---|---|---|---|"]
    for name, row in gap_rows().items():
        middle = [
            statistics.median(own) for of in takes.values() if (own := [take[name] for take in of if name in take])
        ]
        others = [of[name] for of in recorded if name in of]
        if not (middle and others):  # as of the words, for which nobody transcribed these clips
            continue
        harm = [of[name] for of in harmed if name in of]
        beyond = sum(
            (row.low is not None and value < row.low) or (row.high is not None and value > row.high) for value in harm
        )
        ends = np.percentile(others, (2.5, 97.5))
        allowed = " to ".join(f"{end:g}" for end in (row.low, row.high) if end is not None)
        lines.append(
            f"| {name} | {allowed} {row.unit_of('')} | {min(middle):.2f}, {max(middle):.2f} | {ends[0]:.2f}, {ends[1]:.2f} | {beyond} of {len(harm)} |"
        )
    return "\n".join([*lines, "", beyond_any(voices)])


def beyond_any(voices):
    """Return in a sentence how many voices, by the middle of their takes, and how much harm lie beyond any limit."""
    alarms = {}
    for name, voice in voices.items():
        failed = [failing(take, usual(voice["recorded"].values())) for take in voice["said"]]
        if failed:
            alarms[name] = [figure for figure in gap_rows() if 2 * sum(figure in of for of in failed) > len(failed)]
    harmed = [
        failing(own, voice["recorded"][clip])
        for voice in voices.values()
        for clip, own in voice["harmed"]
        if clip in voice["recorded"]
    ]
    names = "; ".join(f"{name}: {', '.join(of)}" for name, of in alarms.items() if of)
    told = f"{sum(map(bool, alarms.values()))} of {len(alarms)} voices ({names}), {sum(map(bool, harmed))} of {len(harmed)} harmed recordings"
    return f"Beyond any limit: {told}."


def failing(own, recorded):
    """Return the names of the figures whose gap is beyond its limit."""
    return {check.name.removesuffix(" gap") for check in gap_checks(own, recorded) if not check.ok}


if __name__ == "__main__":
    main()
