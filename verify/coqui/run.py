"""Load the model strictly, prove its bytes, let it speak and judge the sound: the part of a run that needs torch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from verify.audio.prompts import Script
from verify.conversion import dtypes as kinds
from verify.coqui import model as models
from verify.coqui import speakers
from verify.coqui.samples import recite
from verify.diagnosis import attribution, components, environment
from verify.errors import CannotSpeakError, Cause, ConversionError, any_error, counted
from verify.plan import Plan
from verify.profiles import bundle
from verify.progress import Watch, timed
from verify.result import Result


def audition(
    plan: Plan,
    report: Result,
    script: Script | None,
    watch: Watch,
    *,
    folder: Path | None = None,
    written: Path | None = None,
    data: Mapping[str, np.ndarray] | None = None,
) -> Result:
    """Return the report with `load`, `identical`, `sample` and `checks` filled in as far as the model comes.

    Args:
        script: what to say; None loads without speaking.
        folder: where reference.wav and sample.wav go; None writes nothing.
        written: the new model.pth to load, or
        data: the tensors as bytes, where nothing was written.
    """
    device = choose_device(plan.job.device)
    report = replace(report, environment={**environment.versions(), "device": _device_name(device)})
    report, model = _load(plan, report, watch, written, data)
    if model is None:
        return report
    wanted = bundle.wanted_voices(plan) if folder and written else ()
    try:
        if script:
            report = _listen(plan, report, script, model, device, folder, watch)
        if folder and wanted:
            with watch.step("hearing the named voices"), timed(plan.seconds, "condition"):
                speakers.write(folder, model, str(model.device) if script else device, wanted, plan.voices)
    except CannotSpeakError as error:
        report = replace(report, causes=(*report.causes, error.cause))
    finally:
        del model
        if script or wanted:  # a model that has only been loaded is in no cycle, and a search for them takes 0.3 s
            models.release()
    return report


def _load(
    plan: Plan, report: Result, watch: Watch, written: Path | None, data: Mapping[str, np.ndarray] | None
) -> tuple[Result, Any]:
    """Return the report with how the tensors fit, and the loaded model; None where it must not be used."""
    tensors, seconds = plan.ledger.written, plan.seconds
    try:
        with watch.step("loading into Xtts"), timed(seconds, "build"):
            model = models.build_skeleton(plan.config, plan.vocab)
    except models.UnbuildableError as error:  # the causes that are known already say it better
        return (report if any_error(report.causes) else replace(report, causes=(*report.causes, error.cause))), None
    load = models.compare(model, tensors)
    shapes = {item.key: (item.checkpoint, item.model) for item in load.mismatched}
    found = attribution.explain(report.causes, load.missing, load.unexpected, shapes)
    found = components.half_parts(found, plan.base, plan.ledger)
    report = replace(report, load=asdict(load), causes=(*found, *_wrong_kinds(models.wrong_kinds(model, tensors))))
    if any_error(report.causes):
        return report, None
    with timed(seconds, "load"):
        state = models.map_written(written) if written else models.from_bytes(data or {}, tensors)
        load = models.load_strictly(model, state, load)
        del state
    with watch.step("comparing every byte", plan.ledger.written_bytes, "bytes") as progress, timed(seconds, "compare"):
        dtypes = {name: record.dtype for name, record in kinds.recorded(tensors, plan.job.dtype).items()}
        identity = models.prove_identity(model, tensors, progress, dtypes)
    identical = {"tensors": identity.tensors, "bytes": identity.bytes, "ok": identity.ok}
    report = replace(report, load=asdict(load), identical=identical)
    if not identity.ok:
        return replace(report, causes=(*report.causes, _not_identical(identity.different))), None
    return report, model


def _wrong_kinds(kinds: Mapping[str, tuple[str, str]]) -> list[Cause]:
    if not kinds:
        return []
    key, (found, needed) = next(iter(kinds.items()))
    more = f" (and {len(kinds) - 1:,} more tensors)" if len(kinds) > 1 else ""
    return [
        Cause(
            code="dtype-mismatch",
            severity="error",
            message=f"{key} holds {found} values in the file and {needed} in the model{more}",
            hint="Save the checkpoint again from the model itself.",
            keys=tuple(kinds),
        )
    ]


def _not_identical(keys: Sequence[str]) -> Cause:
    return Cause(
        code="not-identical",
        severity="error",
        message=f"{counted(len(keys), 'loaded tensor')} differ{'s' * (len(keys) == 1)} from the source: {attribution.summary(keys)}",
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
    family, _, number = wanted.partition(":")
    there = {"cpu": True, "mps": mps, "cuda": cuda and int(number or 0) < torch.cuda.device_count()}.get(family, False)
    if not there:
        found = f"{torch.cuda.device_count()} CUDA devices" if cuda else "no CUDA device"
        raise ConversionError(
            "no-device", f"--device {wanted}: torch {torch.__version__} sees {found}", "Pass --device cpu."
        )
    return wanted


def _device_name(device: str) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else device


def _listen(
    plan: Plan, report: Result, script: Script, model: Any, device: str, folder: Path | None, watch: Watch
) -> Result:
    """Speak on the device; under `auto`, a GPU without room gives way to the CPU with a warning."""
    try:
        return _named(recite(plan, report, script, model, device, folder, watch), device)
    except ConversionError as error:
        if error.cause.code != "out-of-memory" or plan.job.device != "auto" or device == "cpu":
            raise
        models.release()
        warning = Cause(code="out-of-memory", severity="warning", message=f"{error}; the CPU spoke instead")
        warned = replace(report, causes=(*report.causes, warning))
        return _named(recite(plan, warned, script, model, "cpu", folder, watch), "cpu")


def _named(report: Result, device: str) -> Result:
    return replace(report, environment={**(report.environment or {}), "device": _device_name(device)})


def set_threads(count: int) -> None:
    """Let torch compute on so many threads; the samples depend on their number."""
    torch.set_num_threads(count)


def cpu_capability() -> str:
    """Return the instruction set that torch uses on this processor, such as AVX2."""
    return torch.backends.cpu.get_cpu_capability()
