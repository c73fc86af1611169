"""Load the model strictly, prove its bytes, let it speak and judge the sound: the part of a run that needs torch."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from verify import model as models
from verify.diagnosis import causes, environment
from verify.errors import Cause, ConversionError
from verify.listening import audio, parity, speech
from verify.listening.script import Script, reference_warnings
from verify.plan import SOUND_CHECKS, Plan, timed
from verify.reporting.report import Report
from verify.watch import Watch


def audition(
    plan: Plan, report: Report, script: Script | None, folder: Path | None, written: Path | None, watch: Watch
) -> Report:
    """Return the report with `load`, `identical`, `sample` and `checks` filled in as far as the model comes.

    Args:
        script: what to say; None loads without speaking.
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
    if script:
        report = _listen(plan, report, script, model, device, folder, watch)
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


def _listen(
    plan: Plan, report: Report, script: Script, model: Any, device: str, folder: Path | None, watch: Watch
) -> Report:
    """Speak on the device; under `auto`, a GPU without room gives way to the CPU with a warning."""
    try:
        return _speak_and_judge(plan, report, script, model, device, folder, watch)
    except ConversionError as error:
        if error.cause.code != "out-of-memory" or plan.job.device != "auto" or device == "cpu":
            raise
        models.release()
        warning = Cause(code="out-of-memory", severity="warning", message=f"{error}; the CPU spoke instead")
        return _speak_and_judge(
            plan, replace(report, causes=(*report.causes, warning)), script, model, "cpu", folder, watch
        )


def _speak_and_judge(
    plan: Plan, report: Report, script: Script, model: Any, device: str, folder: Path | None, watch: Watch
) -> Report:
    job, seconds, text, language = plan.job, plan.seconds, script.text, script.language
    with watch.step("hearing the reference voice"), timed(seconds, "condition"), speech.device_faults(model):
        models.prepare_for_speech(model, device)
        speech.encode(model, text, language)  # refuses before the long work what cannot be said
        voice = speech.condition(model, script.clips)
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
        audio.write_wav(folder / "reference.wav", script.clips[0].samples, script.clips[0].rate_hz)
    names = frozenset(check.name for check in checks)
    return replace(
        report,
        environment={**(report.environment or {}), "device": _device_name(device)},
        causes=(*report.causes, *reference_warnings(script.clips)),
        sample={**sample.as_json(), "path": path, "reference": script.reference},
        checks=tuple(asdict(check) for check in checks),
        demanded=names if job.expect == "speech" else names & SOUND_CHECKS,
    )
