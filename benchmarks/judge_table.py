"""The tables of the judge's benchmark, in Markdown."""

from collections import Counter

from benchmarks.damage import BEAR, REJECT

SYNTHESIZERS = ("espeak-ng", "flite")


def markdown(rows, half):
    """Return false alarms by source and detections by damage; each row has `failed`, the names of the checks it fails."""
    clean = [row for row in rows if row["verdict"] == "clean"]
    wrong = [row for row in rows if row["verdict"] == REJECT]
    mild = [row for row in rows if row["verdict"] == BEAR]
    caught = sum(bool(row["failed"]) for row in wrong)
    kinds, settings = len({row["kind"] for row in wrong}), len({(row["kind"], row["strength"]) for row in wrong})
    real = [row for row in clean if row["source"] not in SYNTHESIZERS]
    lines = [
        f"Half: {half}. Real speech: {sum(bool(row['failed']) for row in real)} false alarms on {len(real)} clips. "
        f"Damage that a listener would reject: {caught} of {len(wrong)} caught, {caught / (len(wrong) or 1):.1%} "
        f"({kinds} kinds, {settings} settings).",
        "",
        *_clean(clean),
        "",
        *_damages("damage that a listener would reject", wrong),
        "",
        *_damages("heard, but let pass: not counted above", mild),
        "",
    ]
    return "\n".join(lines)


def _clean(rows):
    lines = ["| clean speech | clips | false alarms | by |", "|---|---|---|---|"]
    for source in dict.fromkeys(row["source"] for row in rows):
        selected = [row for row in rows if row["source"] == source]
        alarms = [row for row in selected if row["failed"]]
        by = "; ".join(f"{row['name']}: {', '.join(row['failed'])}" for row in alarms)
        lines.append(f"| {source} | {len(selected)} | {len(alarms)} | {by} |")
    return lines


def _damages(title, rows):
    lines = [f"| {title} | strength | caught | of | by (most often first) |", "|---|---|---|---|---|"]
    for kind, strength in dict.fromkeys((row["kind"], row["strength"]) for row in rows):
        selected = [row for row in rows if (row["kind"], row["strength"]) == (kind, strength)]
        names = Counter(name for row in selected for name in row["failed"]).most_common(3)
        caught = sum(bool(row["failed"]) for row in selected)
        by = ", ".join(name for name, _ in names)
        lines.append(f"| {kind} | {strength} | {caught} | {len(selected)} | {by} |")
    return lines
