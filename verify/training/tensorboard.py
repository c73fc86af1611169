"""Log the measurements and the samples of an export to the trainer's dashboard: TensorBoard or another."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import soundfile

MOST_SAMPLES = 8


def log(document: dict[str, Any], dashboard: Any, step: int) -> None:
    """Add checks, speaker similarity, verdict and samples of a report of schema 1 to the trainer's dashboard logger."""
    for name, value in figures(document):
        dashboard.add_scalar(f"Verify/{name}", value, step)
    dashboard.add_text("Verify/verdict", verdict_in_words(document), step)
    for name, samples, rate_hz in sounds(document):
        dashboard.add_audio(f"Verify/{name}", samples, step, rate_hz)
    dashboard.flush()


def figures(document: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield each measurement under a name that TensorBoard accepts."""
    yield "passed", float(document["verdict"] in ("pass", "warn"))
    for check in document["checks"] or ():
        if check["measured"] is not None:
            yield re.sub(r"\W+", "_", check["name"]), float(check["measured"])
    for sample in (document["samples"] or ())[:1]:
        for name in ("speaker_similarity", "speaker_similarity_of_base", "character_error_rate"):
            if sample.get(name) is not None:
                yield name, float(sample[name])


def verdict_in_words(document: dict[str, Any]) -> str:
    """Return the verdict, its causes and the failed checks, in Markdown."""
    lines = [f"**{document['verdict']}**"]
    lines += [f"- {cause['severity']}: {cause['message']} `{cause['code']}`" for cause in document["causes"]]
    failed = [check for check in document["checks"] or () if check["demanded"] and not check["ok"]]
    lines += [f"- {check['name']}: {check['measured']} {check['unit']}, limit {check['limit']}" for check in failed]
    return "\n".join(lines)


def sounds(document: dict[str, Any]) -> Iterator[tuple[str, Any, int]]:
    """Yield name, samples `(samples,)` and rate in Hz of the first clips that were written."""
    for sample in (document["samples"] or ())[:MOST_SAMPLES]:
        if document["output"] and sample["path"]:
            path = Path(document["output"]["directory"]) / sample["path"]
            samples, rate_hz = soundfile.read(path, dtype="float32")
            yield path.stem, samples, rate_hz
