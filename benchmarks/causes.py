"""Measure how often the cause that is named is the harm that was done: `python -m benchmarks.causes --measures FILE`.

FILE is what `benchmarks.judge --half both --measures FILE` wrote: clean clips, each with each damage, of two halves that
share no speaker. The rules in configs/sound.toml may be changed by what the development half shows, never by the other.
`--harms FILE` adds what `benchmarks.harm --json FILE` found: damage to the weights of a model that speaks.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

from benchmarks.damage import REJECT
from verify.audio.causes import diagnose
from verify.audio.checks import judge_measures
from verify.checks import Check

# What a listener would call each damage: the codes of which one must be named. Several where both words are true of it.
DAMAGES = {
    "white noise": ("sound-background",),
    "pink noise": ("sound-background",),
    "babble": ("sound-background",),
    "buzz of 100 Hz": ("sound-background",),
    "tone of 1 kHz": ("sound-background",),
    ("no speech at all", "white noise"): ("sound-noise",),
    ("no speech at all", "buzz"): ("sound-tone",),
    ("no speech at all", "tone"): ("sound-tone",),
    ("no speech at all", "silence"): ("sound-silence",),
    ("no speech at all", "a vowel held for 3 s"): ("sound-tone", "sound-loop"),
    "reversed": ("sound-backwards",),
    ("reversed", "each 200 ms"): ("sound-backwards", "sound-clicks"),
    "shuffled": ("sound-clicks",),
    ("shuffled", "20 ms pieces"): ("sound-clicks", "sound-noise"),
    "stutter": ("sound-clicks", "sound-loop"),
    "clipped": ("sound-clipped",),
    "clipped, then turned down": ("sound-clipped",),
    "quiet": ("sound-level", "sound-silence"),
    "stretched": ("sound-speed",),
    "played at another speed": ("sound-speed",),
    "pitch shifted": ("sound-speed", "sound-distorted"),
    "looped": ("sound-loop",),
    "cut off in a sound": ("sound-cut-off",),
    "silence inside": ("sound-pauses",),
    "silence around": ("sound-pauses",),
    "DC offset": ("sound-level",),
    "dropouts of 30 ms": ("sound-clicks",),
    "band-limited": ("sound-band",),
    "clicks": ("sound-clicks",),
    "reverberation": ("sound-distorted",),
    "coarse steps": ("sound-distorted", "sound-background"),
    "ring modulation": ("sound-distorted",),
    ("ring modulation", "60 Hz"): ("sound-distorted", "sound-speed"),  # "its pitch is no voice's"
    "spectrum upside down": ("sound-band", "sound-distorted", "sound-noise"),
    "random phase": ("sound-distorted", "sound-noise"),
    "untrained XTTS": ("sound-untrained", "sound-noise", "sound-silence"),
}
# What the damaged part decides of a sample: the GPT which words come, how many and when it ends; the vocoder how they
# sound. Damage to the whole may show as either. The longest beginning of a harm's name counts.
OF_GPT = ("sound-other-words", "sound-endless", "sound-loop", "sound-cut-off", "sound-pauses", "sound-speed")
OF_VOCODER = ("sound-noise", "sound-tone", "sound-silence", "sound-distorted", "sound-background", "sound-clipped",
              "sound-clicks", "sound-level", "sound-band")  # fmt: skip
HARMS = {
    "GPT": OF_GPT,
    "GPT: never stops": ("sound-endless",),
    "GPT: stops early": ("sound-cut-off", "sound-other-words"),
    "conditioning": OF_GPT,
    "speaker encoder": ("sound-other-voice", "sound-not-finite"),  # an embedding of NaN
    "vocoder": OF_VOCODER,
    "vocoder: last convolution tenfold": ("sound-clipped",),
    "all": (*OF_GPT, *OF_VOCODER),
    "vocab.json": OF_GPT,
    "config: 8 heads": OF_GPT,
    "config: output of 22.05 kHz": ("sound-speed",),
    "config: input of 16 kHz": OF_GPT,
    "config: temperature": OF_GPT,
}
HALVES = ("development", "held-out")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measures", type=Path, action="append", required=True, help="what benchmarks.judge measured")
    parser.add_argument("--harms", type=Path, help="what benchmarks.harm found")
    options = parser.parse_args()
    measured = [row for file in options.measures for row in json.loads(file.read_text(encoding="utf-8"))]
    rows = [row for row in measured if row["verdict"] == REJECT]
    print(table([named(row) for row in rows if (row["kind"], row["strength"]) in DAMAGES or row["kind"] in DAMAGES]))
    if options.harms:
        print(harm_table(json.loads(options.harms.read_text(encoding="utf-8"))))


def named(row):
    """Return the row with the causes of which one must be named, and the one that is; None where no check failed."""
    checks = judge_measures(row["measures"], row["text"], row["language"])
    failed = [check for check in checks if not check.ok]
    cause = diagnose(failed, [check for check in checks if check.ok])
    expected = DAMAGES.get((row["kind"], row["strength"])) or DAMAGES[row["kind"]]
    return row | {"expected": expected, "named": cause.code if cause else None}


def table(rows):
    """Return in Markdown, for each damage and half, how often a cause was named and how often it was the right one."""
    lines = [_total(rows), "", "| damage | strength | cause | development | held-out | other causes named |", "|---|---|---|---|---|---|"]  # fmt: skip
    for kind, strength in dict.fromkeys((row["kind"], row["strength"]) for row in rows):
        same = [row for row in rows if (row["kind"], row["strength"]) == (kind, strength)]
        wrong = Counter(row["named"] for row in same if row["named"] and not _right(row))
        others = ", ".join(f"{code} {count}" for code, count in wrong.most_common())
        shares = " | ".join(_share([row for row in same if row["half"] == half]) for half in HALVES)
        lines.append(f"| {kind} | {strength} | {' or '.join(same[0]['expected'])} | {shares} | {others} |")
    return "\n".join(lines)


def _right(row):
    return row["named"] in row["expected"]


def _share(rows):
    caught = [row for row in rows if row["named"]]
    return f"{sum(map(_right, caught))} / {len(caught)} / {len(rows)}"


def _total(rows):
    parts = []
    for half in HALVES:
        made = [row for row in rows if row["half"] == half]
        caught = [row for row in made if row["named"]]
        right = sum(map(_right, caught))
        parts.append(
            f"{half}: caught {len(caught)} of {len(made)}, {len(caught) / max(1, len(made)):.1%}, "
            f"named right {right} of {len(caught)}, {right / max(1, len(caught)):.1%}"
        )
    return f"{'; '.join(parts)}. In the table: named right / caught / damaged clips."


def harm_table(rows):
    """Return in Markdown which cause is named for each damage to a model, in each of its sentences; the first is for development."""
    lines, counts = [], {half: [] for half in HALVES}
    for row in rows[1:]:
        expected = HARMS[max((name for name in HARMS if row["harm"].startswith(name)), key=len)]
        codes = [_of_model(checks) if checks else None for checks in row["checks"]]
        for number, code in enumerate(codes):
            if code:
                counts[HALVES[number > 0]].append(code in expected)
        lines.append(f"| {row['harm']} | {', '.join(code or '-' for code in codes)} |")
    totals = "; ".join(f"{half}: {sum(right)} of {len(right)}" for half, right in counts.items())
    return "\n".join(
        [f"Damage to a model: {totals}.", "", "| damage to the model | cause named |", "|---|---|", *lines]
    )


def _of_model(checks):
    """Return the cause of the demanded checks of a run, as it is named without a transcript."""
    made = [Check(**check) for check in checks if check["name"] != "character error rate"]
    cause = diagnose([check for check in made if not check.ok], [check for check in made if check.ok])
    return cause.code if cause else None


if __name__ == "__main__":
    main()
