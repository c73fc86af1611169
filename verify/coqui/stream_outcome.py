"""Stream the first sentence, and say whether a fault of streaming is the model's or the environment's."""

from collections.abc import Sequence
from dataclasses import dataclass

from TTS.tts.models.xtts import Xtts

from verify.audio.clips import Sample
from verify.checks import Check
from verify.coqui import selftest
from verify.coqui.streaming import Streamed, broken, checks, stream
from verify.coqui.synthesis import Voice
from verify.diagnosis import environment
from verify.errors import CannotSpeakError, Cause, EnvironmentFault
from verify.findings import StreamResult
from verify.source.sampling import Sampling


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StreamOutcome:
    """What came of streaming: the checks, the causes, and where it ran the result and the sound."""

    checks: tuple[Check, ...]
    causes: tuple[Cause, ...] = ()
    streamed: Streamed | None = None
    result: StreamResult | None = None


def try_stream(
    model: Xtts, voice: Voice, sample: Sample, sampling: Sampling, failed: Sequence[Check], path: str | None
) -> StreamOutcome:
    """Stream the sentence of a sample and check it; a fault that random weights show too is the environment's.

    Args:
        failed: the checks of sound that the sample fails.
        path: the name of the file that the sound will have.

    Raises:
        DeviceMemoryError: the GPU is out of memory.
    """
    try:
        streamed = stream(model, voice, sample, sampling)
    except (EnvironmentFault, CannotSpeakError) as error:
        found: tuple[Check, ...] = (broken(error),)
        return StreamOutcome(checks=found, causes=causes(found, str(model.device)))
    found = checks(streamed, sample, sampling.speed, failed)
    result = StreamResult(
        first_chunk_seconds=round(streamed.first_chunk_seconds, 3),
        chunks=len(streamed.chunks),
        seconds=round(streamed.seconds, 4),
        synthesis_seconds=round(streamed.synthesis_seconds, 3),
        tokens=len(streamed.codes),
        stopped=streamed.stopped,
        same_tokens=streamed.codes == sample.codes,
        path=path,
    )
    return StreamOutcome(checks=found, causes=causes(found, str(model.device)), streamed=streamed, result=result)


def causes(found: Sequence[Check], device: str) -> tuple[Cause, ...]:
    """Return the cause where a tiny model of random weights fails the same check of streaming (`stream-environment`)."""
    failed = {check.name: check for check in found if not check.ok}
    shared = [check for check in selftest.stream_checks(device) if check.name in failed] if failed else []
    if not shared:
        return ()
    versions = environment.versions()
    listed = ", ".join(f"{name} {versions.get(name)}" for name in ("coqui-tts", "transformers", "torch"))
    figures = "; ".join(f"{check.name}: {check.hint}" for check in shared)
    return (
        Cause(
            code="stream-environment",
            severity="warning",
            message=f"environment, not checkpoint: streaming fails with random weights too ({figures}) with {listed}",
            hint="Stream with the tested versions (constraints.txt). What is not streamed is not touched by this.",
        ),
    )
