"""The report as one file to open in a browser: a player for each clip, every check, what became of the keys."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from verify.audio.clips import dbfs
from verify.checks import WORD_CHECKS
from verify.report import pictures, templating
from verify.report.words import PAGE, UNCHECKED_WORDS, number, opened, settings, streamed

PLAYER_HZ = 24000
LONGEST_SECONDS = 30.0  # XTTS itself never speaks longer than 28 s at a time; a reference may be
# Base64 of 16 bits at 24 kHz takes 64 kB a second, of MP3 a tenth of that: WAV while all clips fit, else MP3 for all, so
# that they stay alike, and no player for the last ones where even that is too much. So the page stays below 4 MB.
WAV_SECONDS, MP3_SECONDS = 58.0, 150.0
MOST_SAMPLES = 60  # their pictures and figures need room too
MARKS = {"pass": "✓", "warn": "!", "fail": "✗", "error": "✗"}


def write_page(folder: Path, document: dict[str, Any], command: str) -> Path:
    """Write report.html beside the clips that it plays.

    Args:
        folder: where reference.wav and the samples are, as far as there are any.
        document: the report in schema 1.
        command: what to type to have the same again.
    """
    path = folder / PAGE
    path.write_text(render(folder, document, command), encoding="utf-8")
    return path


def render(folder: Path, document: dict[str, Any], command: str) -> str:
    """Return the page as HTML that needs nothing but itself."""
    samples = document.get("samples") or [document["sample"]] if document.get("sample") else []
    return templating.render(
        "report.html.j2",
        report=document,
        mark=MARKS[document["verdict"]],
        title=headline(document),
        reason=reason(document),
        unchecked=UNCHECKED_WORDS if samples and not checks_words(document) else "",
        use=use(document),
        settings=settings,
        streamed=streamed,
        clips=_clips(folder, samples[:MOST_SAMPLES], document.get("held_out") or {}),
        unheard=len(samples[MOST_SAMPLES:]),
        ticks=pictures.ticks(),
        bars=pictures.key_bar(document["ledger"]["groups"]),
        checks=_with_bars(sorted(document["checks"] or [], key=lambda check: check["ok"])),
        command=command,
        times=", ".join(f"{name} {value:.1f} s" for name, value in document["seconds"].items() if value >= 0.05),
    )


def checks_words(document: dict[str, Any]) -> bool:
    """Whether what was said was held against the text."""
    transcribed = any("transcript" in sample for sample in document["samples"] or ())
    return transcribed or any(check["name"] in WORD_CHECKS for check in document["checks"] or ())


def headline(document: dict[str, Any]) -> str:
    """Return the verdict in one sentence."""
    load, first_sample = document["load"], document["sample"]
    if any(cause["severity"] == "error" for cause in document["causes"]):
        return "It loads, but cannot be used" if load and load["strict"] else "It does not load"
    if document["verdict"] == "error":
        return f"It loads{' and speaks' if first_sample else ''} here, but not in every Python that was tried"
    if document["verdict"] == "fail":
        return (
            "It loads, but sounds wrong: listen before you use it" if first_sample else "It loads, but a check failed"
        )
    verdict = "It loads and speaks" if first_sample else "It loads; it was not heard"
    if first_sample and any(_is_not_asked(check) for check in document["checks"]):
        verdict = "It loads and makes sound, and no more was asked of it"
    return f"{verdict}, with a warning" if document["verdict"] == "warn" else verdict


def _is_not_asked(check: dict[str, Any]) -> bool:
    """Whether a check failed that `--expect` does not ask for; what the recordings excuse is another matter."""
    return not (check["ok"] or check["demanded"] or check.get("excused"))


def use(document: dict[str, Any]) -> str:
    """Return how Python opens the folder, where it may be used."""
    output = document["output"]
    if document["verdict"] == "fail" or not output:
        return ""
    return opened(output["directory"], {file["name"] for file in output["files"]})


def reason(document: dict[str, Any]) -> dict[str, str] | None:
    """Return what decided the verdict and the next thing to do: the first error, failed check or warning."""
    causes = {
        severity: [c for c in document["causes"] if c["severity"] == severity] for severity in ("error", "warning")
    }
    if causes["error"]:
        return _cause(causes["error"][0])
    if document.get("sound"):
        return _cause(document["sound"])
    for check in document["checks"] or []:
        if check["demanded"] and not check["ok"]:
            measured = f"{number(check['measured'])}, where the limit is {check['limit']} {check['unit']}"
            return {"what": f"{check['name']}: {measured}", "hint": check["hint"]}
    for place in document.get("places") or []:
        for cause in place["causes"]:
            if cause["severity"] == "error":
                return {"what": f"{place['python']}: {cause['message']}", "hint": cause["hint"]}
    return _cause(causes["warning"][0]) if causes["warning"] else None


def _cause(cause: dict[str, Any]) -> dict[str, str]:
    return {"what": cause["message"], "hint": cause["hint"]}


def _with_bars(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**check, "bar": pictures.limit_bar(check)} for check in checks]


def _clips(folder: Path, samples: list[dict[str, Any]], held_out: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the first sample, the reference and the other samples with sound and pictures, as far as there is room.

    A sample of a sentence that the speaker has recorded has the recording beside it, once for each sentence.
    """
    in_order = [*samples[:1], None, *samples[1:]]
    names = [sample["path"] or "" if sample else "reference.wav" for sample in in_order]
    beside = _recordings(in_order, held_out.get("recordings", []))
    files = [
        (name, recording["path"] or "" if recording else "") for name, recording in zip(names, beside, strict=True)
    ]
    lengths = [sum(_seconds(folder / name) for name in pair if name) for pair in files]
    form = "wav" if sum(lengths) <= WAV_SECONDS else "mp3"
    clips, room = [], WAV_SECONDS if form == "wav" else MP3_SECONDS
    for (name, other), seconds, sample, recording in zip(files, lengths, in_order, beside, strict=True):
        room -= seconds
        clip = _clip(folder, name, form, is_heard=room >= 0)
        if clip["file"] or sample:
            own = {**recording, **_clip(folder, other, form, is_heard=room >= 0)} if recording else None
            checks = sample.get("checks") or [] if sample else []
            clips.append({"sample": sample, "checks": checks, "recording": own, **clip})
    return clips


def _recordings(samples: list[dict[str, Any] | None], recordings: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    """Return for each sample the recording that goes beside it: where a sentence was said several times, beside the first."""
    left = dict(enumerate(recordings, 1))
    return [left.pop(sample.get("recording") or 0, None) if sample else None for sample in samples]


def _clip(folder: Path, name: str, form: str, is_heard: bool) -> dict[str, Any]:
    """Return the sound of a file with its pictures, or only its name where the page has no room for it; without one, nothing."""
    there = bool(name) and (folder / name).is_file()
    return _sounding(folder / name, form) if there and is_heard else {"file": name if there else "", "audio": None}


def _seconds(path: Path) -> float:
    """Return how much of a file the page would play; 0 where it is not there."""
    if not path.is_file():
        return 0.0
    info = soundfile.info(path)
    return min(info.frames / info.samplerate, LONGEST_SECONDS)


def _sounding(path: Path, form: str) -> dict[str, Any]:
    """Return the sound of a file as data URI, with its pictures."""
    with soundfile.SoundFile(path) as file:
        seconds, rate = file.frames / file.samplerate, file.samplerate
        samples = file.read(int(LONGEST_SECONDS * rate), dtype="float32", always_2d=True).mean(axis=1)
    kept = len(samples) / rate
    return {
        "file": path.name,
        "seconds": seconds,
        "cut": kept if kept < seconds else None,
        "form": form,
        "audio": sound_uri(samples, rate, form),
        "peak": dbfs(float(np.abs(samples).max())),
        "wave": templating.markup(pictures.waveform(samples)),
        "mel": templating.data_uri("image/png", pictures.spectrogram(samples, rate)),
    }


def sound_uri(samples: np.ndarray, rate_hz: int, form: str) -> Any:
    """Return the samples `(samples,)` as a data URI that every browser plays; `form` is wav or mp3."""
    return templating.data_uri("audio/wav" if form == "wav" else "audio/mpeg", _encoded(samples, rate_hz, form))


def _encoded(samples: np.ndarray, rate_hz: int, form: str) -> bytes:
    """Return the samples at 24 kHz as a WAV of 16 bits, or as MP3: every browser plays both."""
    buffer = io.BytesIO()
    even = soxr.resample(samples, rate_hz, PLAYER_HZ) if rate_hz != PLAYER_HZ else samples
    options = {"format": "WAV", "subtype": "PCM_16"} if form == "wav" else {"format": "MP3"}
    soundfile.write(buffer, np.clip(even, -1, 1), PLAYER_HZ, **options)
    return buffer.getvalue()
