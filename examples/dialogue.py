"""Speak questions and answers from a text file into numbered WAV files, straight from a training checkpoint.

python examples/dialogue.py runs/XTTS_FT-November-23 dialogue.txt -o clips --question-voice ana.wav --answer-voice ben.wav

Each line of the text file begins with `Q:` or `A:`; the files are called `001-question.wav`, `001-answer.wav` and so on.
Clips that are there already are kept, so a batch that was stopped goes on where it was. Each new clip is judged.
"""

import argparse
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import soundfile

from verify import DEFAULT_REFERENCE, ConversionError, condition, judge, load_xtts, speak


class Line(NamedTuple):
    """A sentence of the dialogue, and the name of its file."""

    speaker: str
    text: str
    file: str


def main(arguments: list[str] | None = None) -> int:
    """Speak the dialogue; return 0, 1 where a clip failed a check, or 2 where the input cannot be used."""
    args = options().parse_args(arguments)
    try:
        lines = read_dialogue(args.dialogue.read_text(encoding="utf-8-sig"))
        return batch(args, lines)
    except (ConversionError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def options() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="SOURCE", help="training checkpoint, run folder or model folder")
    parser.add_argument("dialogue", type=Path, metavar="TEXT", help="lines that begin with Q: or A:")
    parser.add_argument("-o", "--output", type=Path, default=Path("clips"), metavar="DIR")
    parser.add_argument("--question-voice", type=Path, default=DEFAULT_REFERENCE, metavar="WAV")
    parser.add_argument("--answer-voice", type=Path, metavar="WAV", help="default: the voice of the questions")
    parser.add_argument("--vocab", type=Path, metavar="FILE", help="where the source does not tell")
    parser.add_argument("--language", default="en")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--expect", choices=("speech", "sound"), default="speech")
    return parser


def read_dialogue(text: str) -> list[Line]:
    """Return the sentences, each with the name of its file.

    Raises:
        ValueError: a line begins otherwise, or an answer stands without its question.
    """
    lines: list[Line] = []
    number, answered = 0, True
    for place, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = re.fullmatch(r"\s*([QA]):\s*(.+?)\s*", line)
        if not match or (match[1] == "A" and answered):
            raise ValueError(
                f"line {place}: {line[:60]!r} should be `Q: ...`, or the one `A: ...` to the question above"
            )
        number, answered = number + (match[1] == "Q"), match[1] == "A"
        speaker = "answer" if answered else "question"
        lines.append(Line(speaker, match[2], f"{number:03d}-{speaker}.wav"))
    return lines


def batch(args: argparse.Namespace, lines: list[Line]) -> int:
    """Speak the lines that are not there yet, and say which clips to listen to."""
    model = load_xtts(args.source, vocab=args.vocab, device=args.device)
    clips = {"question": args.question_voice, "answer": args.answer_voice or args.question_voice}
    voices = {speaker: condition(model, path) for speaker, path in clips.items()}
    args.output.mkdir(parents=True, exist_ok=True)
    failed = 0
    for number, line in enumerate(lines):
        path = args.output / line.file
        if path.exists():
            print(f"{path}  kept")
            continue
        sample = speak(model, voices[line.speaker], line.text, args.language, args.seed + number)
        unfinished = path.with_suffix(".part")
        soundfile.write(unfinished, sample.samples, sample.rate_hz, subtype="PCM_16", format="WAV")
        os.replace(unfinished, path)  # a clip has its name only when it is whole
        report = judge(path, text=line.text, language=args.language, expect=args.expect)
        wrong = ", ".join(check.name for check in report.failed(report.clips[0]))
        failed += bool(wrong)
        print(f"{path}  {sample.seconds:.1f} s  {f'listen: {wrong}' if wrong else 'ok'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
