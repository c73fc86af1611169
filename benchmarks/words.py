"""Measure how well words are told: `python -m benchmarks.words --clips FOLDER [--whisper MODEL]`.

FOLDER holds clips as benchmarks.judge takes them, with their texts beside them. Each clip is held against its own text
and against wrong ones: that of another clip of about as many words, its own with the second half from other clips, its
own followed by half as much again (as where speech stops early), its first half alone, its own with one word of another
clip, and "Hello.". With `--whisper` the folder of a faster-whisper model writes down what is said, in any language;
without it pocketsphinx aligns the text, in English. The halves share no speaker.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks import corpus
from verify.audio import transcription, whisper, words

KINDS = ("right", "another text", "half of it another", "stops early", "half the text", "one word another", "Hello.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, action="append", default=[], metavar="FOLDER")
    parser.add_argument("--fresh", type=Path, action="append", default=[], metavar="FOLDER", help="held out, whole")
    parser.add_argument("--seen", type=Path, action="append", default=[], metavar="FOLDER", help="development, whole")
    parser.add_argument("--whisper", type=Path, help="folder of a faster-whisper model")
    parser.add_argument("--unasked", action="store_true", help="by the limit for a Whisper that nobody asked for")
    parser.add_argument("--json", type=Path, help="write what was measured")
    options = parser.parse_args()
    clips, seen, fresh = corpus.read_folders(options)
    clips = [clip for clip in clips if clip.text]
    if not options.whisper:
        clips = [clip for clip in clips if words.known_words(clip.text, clip.language)]
    model = whisper.locate(str(options.whisper)) if options.whisper else None
    rows = []
    for half, part in zip(("development", "held-out"), corpus.halves(clips, seen, fresh), strict=True):
        said = transcripts(part, model) if model else [None] * len(part)
        for number, (clip, transcript) in enumerate(zip(part, said, strict=True)):
            rows += [
                row | {"half": half}
                for row in measured(clip, part, np.random.default_rng(number), transcript, options.unasked)
            ]
    if options.json:
        options.json.write_text(json.dumps(rows), encoding="utf-8")
    print(table(rows))


def transcripts(clips, model):
    """Return what the Whisper writes down for each clip; one process for all of a language."""
    said = {}
    for language in {clip.language for clip in clips}:
        same = [clip for clip in clips if clip.language == language]
        heard = whisper.hear(model, [(clip.samples, clip.rate_hz) for clip in same], language)
        said |= {id(clip): transcript for clip, transcript in zip(same, heard, strict=True)}
    return [said[id(clip)] for clip in clips]


def measured(clip, clips, draw, said, unasked):
    """Return for the right text of a clip and each wrong one whether it is refused."""
    for kind, text in texts(clip, clips, draw):
        if said is not None:
            rate = transcription.character_error_rate(text, said, clip.language)
            checks = (transcription.error_check(rate, said, unasked),)
        else:
            checks = words.word_checks(clip.samples, clip.rate_hz, text, clip.language)
        if checks:
            refused, figures = not all(check.ok for check in checks), [check.measured for check in checks]
            yield {"kind": kind, "language": clip.language, "clip": clip.name, "refused": refused, "measured": figures}


def texts(clip, clips, draw):
    """Yield the kind and the text of each that the clip is held against; languages without spaces have two kinds."""
    own = clip.text.split()
    others = [item.text for item in clips if item.language == clip.language and item.text != clip.text]
    alike = sorted(others, key=lambda text: abs(len(text.split()) - len(own)))[:5]
    yield "right", clip.text
    if not alike:
        return
    other = alike[draw.integers(len(alike))]
    if not same(other, clip.text):
        yield "another text", other
    if len(own) < 4:
        return
    strange = [word for text in others for word in text.split() if len(word) > 3]
    drawn = [strange[place] for place in draw.integers(len(strange), size=len(own))]
    half, place = len(own) // 2, int(draw.integers(len(own)))
    yield "half of it another", " ".join((*own[:half], *drawn[half:]))
    yield "stops early", " ".join((*own, *drawn[:half]))
    yield "half the text", " ".join(own[:half])
    yield "one word another", " ".join((*own[:place], drawn[place], *own[place + 1 :]))
    if clip.language == "en":
        yield "Hello.", "Hello."


def same(text, other):
    """Whether two texts share more than half of their words: several voices may say one sentence."""
    first, second = ({word.strip(".,!?").lower() for word in item.split()} for item in (text, other))
    return 2 * len(first & second) > max(len(first), len(second))


def table(rows):
    """Return in Markdown how often each kind of text was refused, for each half and language."""
    counts = defaultdict(list)
    for row in rows:
        counts[row["half"], row["language"], row["kind"]].append(row["refused"])
    lines = [f"| half | language | {' | '.join(KINDS)} |", "|" + "---|" * (2 + len(KINDS))]
    for half, language in dict.fromkeys((row["half"], row["language"]) for row in rows):
        cells = [counts.get((half, language, kind), []) for kind in KINDS]
        shown = [f"{sum(refused)} of {len(refused)}" if refused else "-" for refused in cells]
        lines.append(f"| {half} | {language} | {' | '.join(shown)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
