"""The command `judge`: the sound checks on existing sound files. No torch."""

from collections.abc import Sequence
from pathlib import Path

from verify import resources
from verify.audio.checks import judge_speech, read_to_judge
from verify.audio.languages import spelt
from verify.audio.prompts import require_text
from verify.errors import SourceError
from verify.progress import Watch
from verify.results.clips import ClipsReport, JudgedClip


def judge(paths: Sequence[Path], text: str | None, language: str, expect: str, watch: Watch) -> ClipsReport:
    """Judge each file; one that cannot be read is reported beside the others.

    Args:
        text: what all of them say, if known.

    Raises:
        SourceError: the text or the language cannot be used.
    """
    code = spelt(language)
    languages = resources.load("sentences")
    if code not in languages:
        raise SourceError("bad-language", f"language {language[:40]!r} is none of XTTS", f"Pass one of: {' '.join(languages)}.")  # fmt: skip
    if text is not None:
        require_text(text)
    clips = []
    with watch.step("listening", len(paths), "clips") as progress:
        for path in paths:
            clips.append(_judge(path, text, code))
            progress(1)
    return ClipsReport(clips=tuple(clips), expect=expect)


def _judge(path: Path, text: str | None, language: str) -> JudgedClip:
    try:
        clip = read_to_judge(path)
    except SourceError as error:
        return JudgedClip(path=path, cause=error.cause)
    checks = judge_speech(clip.samples, clip.rate_hz, text, language)
    return JudgedClip(path=path, seconds=clip.seconds, rate_hz=clip.rate_hz, checks=checks)
