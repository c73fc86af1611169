"""Load the model strictly, prove its bytes, let it speak and judge the sound: the part of a run that needs torch."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from verify import model as models
from verify import settings
from verify.checkpoint.source import Found
from verify.diagnosis import causes, environment
from verify.errors import Cause, ConversionError, SourceError
from verify.listening import audio, parity, speech
from verify.plan import SOUND_CHECKS, Plan, choose_language, timed
from verify.reporting.report import Report
from verify.watch import Watch


def audition(plan: Plan, report: Report, folder: Path | None, written: Path | None, watch: Watch) -> Report:
    """Return the report with `load`, `identical`, `sample` and `checks` filled in as far as the model comes.

    Args:
        folder: where reference.wav and sample.wav go; None writes nothing.
        written: the new model.pth to load; None loads the source itself.
    """
    job, tensors, seconds = plan.job, plan.ledger.written, plan.seconds
    device = choose_device(job.device)
    report = replace(report, environment={**environment.versions(), "device": _device_name(device)})
    with watch.step("loading into Xtts"), timed(seconds, "build"):
        model = models.build_skeleton(plan.config, plan.vocab)
        load = models.compare(model, tensors)
    shapes = {item.key: (item.checkpoint, item.model) for item in load.mismatched}
    report = replace(report, causes=causes.explain(report.causes, load.missing, load.unexpected, shapes))
    if not load.fits or any(cause.severity == "error" for cause in report.causes):
        return replace(report, load=asdict(load))
    with timed(seconds, "load"):
        state = models.map_written(written) if written else models.map_records(plan.archive.path, tensors)
        load = models.load_strictly(model, state, load)
        del state
    report = replace(report, load=asdict(load))
    total = sum(record.bytes for record in tensors.values())
    with watch.step("comparing every byte", total, "bytes") as progress, timed(seconds, "compare"):
        identity = models.prove_identity(model, plan.archive.path, tensors, progress)
    report = replace(report, identical={"tensors": identity.tensors, "bytes": identity.bytes, "ok": identity.ok})
    if not identity.ok:
        return replace(report, causes=(*report.causes, _not_identical(identity.different)))
    if job.sample:
        report = _listen(plan, report, model, device, folder, watch)
    del model
    models.release()
    return report


def _not_identical(keys: Sequence[str]) -> Cause:
    return Cause(
        code="not-identical",
        severity="error",
        message=f"{len(keys):,} loaded tensors differ from the source: {causes.summary(keys)}",
        hint="The disk or the memory changed data: check both, then run again.",
        keys=tuple(keys),
    )


def choose_device(wanted: str) -> str:
    """Return the device to speak on; `auto` is CUDA where there is one, else the CPU.

    Raises:
        ConversionError: the wanted device is not there.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "auto":
        return "cuda" if cuda else "cpu"
    family, _, index = wanted.partition(":")
    there = {"cpu": True, "cuda": cuda, "mps": mps}.get(family, False)
    if family == "cuda" and index and there:
        there = index.isdigit() and int(index) < torch.cuda.device_count()
    if not there:
        found = f"{torch.cuda.device_count()} CUDA devices" if cuda else "no CUDA device"
        raise ConversionError(
            "no-device", f"--device {wanted}: torch {torch.__version__} sees {found}", "Pass --device cpu."
        )
    return wanted


def _device_name(device: str) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else device


def _listen(plan: Plan, report: Report, model: Any, device: str, folder: Path | None, watch: Watch) -> Report:
    """Speak on the device; under `auto`, a GPU without room gives way to the CPU with a warning."""
    try:
        return _speak_and_judge(plan, report, model, device, folder, watch)
    except ConversionError as error:
        if error.cause.code != "out-of-memory" or plan.job.device != "auto" or device == "cpu":
            raise
        models.release()
        warning = Cause(code="out-of-memory", severity="warning", message=f"{error}; the CPU spoke instead")
        return _speak_and_judge(plan, replace(report, causes=(*report.causes, warning)), model, "cpu", folder, watch)


def _speak_and_judge(plan: Plan, report: Report, model: Any, device: str, folder: Path | None, watch: Watch) -> Report:
    job, seconds = plan.job, plan.seconds
    language = choose_language(job, plan.source, plan.config)
    text = job.text or settings.load("sentences")[language]["text"]
    _require_text(text)
    clips, found = reference_clips(plan.source.clips)
    with watch.step("hearing the reference voice"), timed(seconds, "condition"), speech.device_faults(model):
        models.prepare_for_speech(model, device)
        speech.encode(model, text, language)  # refuses before the long work what cannot be said
        voice = speech.condition(model, clips)
        cache = parity.check_cache(model, voice, text, language)
    with (
        watch.step("speaking", speech.token_bound(model, text, language), "tokens") as progress,
        timed(seconds, "speak"),
    ):
        sample = speech.speak(model, voice, text, language, job.seed, progress)
    checks = (
        *audio.judge_sound(sample.samples, sample.rate_hz, speech.seconds_range(text, language)),
        speech.stop_check(sample),
        cache,
    )
    path = None
    if folder:
        path = "sample.wav"
        audio.write_wav(folder / path, sample.samples, sample.rate_hz)
        audio.write_wav(folder / "reference.wav", clips[0].samples, clips[0].rate_hz)
    names = frozenset(check.name for check in checks)
    return replace(
        report,
        causes=(*report.causes, *_reference_warnings(clips)),
        sample={**sample.as_json(), "path": path, "reference": found},
        checks=tuple(asdict(check) for check in checks),
        demanded=names if job.expect == "speech" else names & SOUND_CHECKS,
    )


def _require_text(text: str) -> None:
    """Check that there is something to say, and not too much.

    Raises:
        SourceError: there is not.
    """
    longest = settings.load("limits")["text"]["longest_characters"]
    if not any(char.isalnum() for char in text):
        raise SourceError("bad-text", f"--text {text[:40]!r} holds nothing to say", "Pass a sentence with words in it.")
    if len(text) > longest:
        raise SourceError(
            "text-too-long", f"--text has {len(text):,} characters; {longest} is the limit", "Pass one sentence."
        )


def reference_clips(found: Sequence[Found]) -> tuple[list[audio.Clip], str]:
    """Return the reference clips and where they came from.

    What the user named must be usable, all of it; of what the run's config names the first usable clip serves, best
    one of the advised length; else the clip that ships with the project.

    Raises:
        SourceError: a clip that the user named cannot be used.
    """
    if found and found[0].origin == "--speaker-wav":
        clips = [audio.read_clip(item.path) for item in found]
        for clip in clips:
            audio.require_usable(clip)
        return clips, ", ".join(f"{item.path} (--speaker-wav)" for item in found)
    usable: list[tuple[audio.Clip, Found]] = []
    for item in found:
        try:
            clip = audio.read_clip(item.path)
            audio.require_usable(clip)
        except SourceError:
            continue  # the user did not choose it: the next one may do
        usable.append((clip, item))
        if clip.seconds >= settings.load("limits")["reference"]["advised_seconds"]:
            break
    if usable:
        clip, item = max(usable, key=lambda pair: pair[0].seconds)
        return [clip], f"{item.path} ({item.origin})"
    return [audio.read_clip(settings.DEFAULT_REFERENCE)], "the clip that ships with this project"


def _reference_warnings(clips: Sequence[audio.Clip]) -> tuple[Cause, ...]:
    limits, found = settings.load("limits")["reference"], []
    total = sum(clip.seconds for clip in clips)
    if total < limits["advised_seconds"]:
        found.append(
            f"the reference is {total:.1f} s long; {limits['advised_seconds']:g} s and more give a truer voice"
        )
    lowest = min(clip.rate_hz for clip in clips)
    if lowest < limits["advised_rate_hz"]:
        found.append(
            f"the reference is sampled at {lowest:,} Hz; {limits['advised_rate_hz']:,} Hz and more give a truer voice"
        )
    return tuple(Cause(code="reference-clip", severity="warning", message=message) for message in found)
