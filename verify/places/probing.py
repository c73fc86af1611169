"""Start the probe in another Python, and read what it found."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from verify.audio import clips
from verify.audio.clips import Clip, Sample
from verify.audio.languages import longest_seconds
from verify.audio.prompts import Script
from verify.places import process
from verify.places.interpreter import Interpreter, environment
from verify.places.process import Ended

PROBE = Path(__file__).parent.parent / "coqui" / "probe.py"
# What is read of its answer, in which a line is what it found; the tokens of the longest sentence take 3 kB.
MOST_ANSWER_BYTES = 1_000_000
MOST_SOUND_BYTES = 4 * 24_000 * 60
_GRACE_SECONDS = 15.0  # past the limit, at which the probe ends itself and says where it stood
# Above this ratio of rates torchaudio's filter bank would need gigabytes.
_LARGEST_RATIO = 1000
_CONDITIONING_HZ = 22050


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """What the probe is to do: open the folder, and say the text in the voice of the clips; without a script only open it."""

    folder: Path
    device: str
    seed: int
    script: Script | None
    limit_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What the probe found, and how its process ended; `stage` is the last that began."""

    ended: Ended
    stage: str = "start"
    done: bool = False
    error: str = ""  # a traceback
    packages: Mapping[str, str] = field(default_factory=dict)
    device: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    clip_error: str = ""  # a traceback
    sample: Sample | None = None


def ask(interpreter: Interpreter, request: Request) -> Answer:
    """Let the probe do what is requested in this Python.

    Raises:
        OSError: the Python cannot be started any more, or this machine's disk is full.
    """
    with tempfile.TemporaryDirectory(prefix="xtts-verify-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        shutil.copyfile(PROBE, folder / "probe.py")
        (folder / "job.json").write_text(json.dumps(_job(request, folder)), encoding="utf-8")
        words = [str(interpreter.path), str(folder / "probe.py"), str(folder / "job.json")]
        ended = process.run(words, folder, _environment(interpreter, folder), request.limit_seconds + _GRACE_SECONDS)
        found = _found(folder / "answer")
        answer = Answer(
            ended=ended,
            **{
                key: found[key]
                for key in ("stage", "done", "error", "packages", "device", "seconds", "clip_error")
                if key in found
            },
        )
        return replace(answer, sample=_sample(found, folder / "sound", request))


def _environment(interpreter: Interpreter, folder: Path) -> dict[str, str]:
    """Return the variables for the probe: nothing is written beside the packages that it imports, and nothing is fetched."""
    return {
        **environment(interpreter.path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLCONFIGDIR": str(folder),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
    }


def _job(request: Request, folder: Path) -> dict[str, Any]:
    job: dict[str, Any] = {
        "folder": str(request.folder.absolute()),
        "device": request.device.partition(",")[0],
        "seed": request.seed,
        "text": None,
        "limit_seconds": request.limit_seconds,
        "answer": str(folder / "answer"),
        "sound": str(folder / "sound"),
    }
    if script := request.script:
        job |= {"text": script.texts[0], "language": script.language, "voice": script.voice, "reference": None}
        job |= {"sampling": script.sampling.to_json()}
        job["longest_seconds"] = longest_seconds(script.texts[0], script.language)
        job["clips"] = [_written(clip, folder / f"clip{number}") for number, clip in enumerate(script.clips)]
    if script and script.clips:
        job["reference"] = str(folder / "reference.wav")
        clips.write_wav(folder / "reference.wav", script.clips[0].samples, script.clips[0].rate_hz)
    return job


def _written(clip: Clip, path: Path) -> dict[str, Any]:
    """Write a clip as raw samples, which every Python reads alike."""
    samples, rate_hz = clip.samples, clip.rate_hz
    if rate_hz // np.gcd(rate_hz, _CONDITIONING_HZ) > _LARGEST_RATIO:
        samples, rate_hz = soxr.resample(samples, rate_hz, _CONDITIONING_HZ), _CONDITIONING_HZ
    samples.astype("<f4").tofile(path)
    return {"file": str(path), "rate_hz": rate_hz}


def _found(path: Path) -> dict[str, Any]:
    """Return all that stands in the answer, as one table; a line that was cut off is left out."""
    found: dict[str, Any] = {"seconds": {}}
    if not path.is_file():
        return found
    with path.open("rb") as file:
        lines = file.read(MOST_ANSWER_BYTES).decode(errors="replace").splitlines()
    for line in lines:
        try:
            item = json.loads(line)
        except ValueError:
            continue
        if isinstance(item, dict):
            found["seconds"] |= item.pop("seconds", {})
            found |= item
    return found


def _sample(found: Mapping[str, Any], path: Path, request: Request) -> Sample | None:
    """Return what was said, None where nothing was."""
    script = request.script
    if script is None or "tokens" not in found or not path.is_file():
        return None
    samples = np.fromfile(path, dtype="<f4", count=MOST_SOUND_BYTES // 4)
    codes = found["tokens"]
    stopped = bool(codes) and codes[-1] == found["stop_token"]
    return Sample(
        samples=samples,
        rate_hz=found["rate_hz"],
        text=script.texts[0],
        language=script.language,
        device=str(found.get("device")),
        seed=request.seed,
        tokens=len(codes) - stopped,
        token_bound=found["token_bound"],
        stopped=stopped,
        synthesis_seconds=found["seconds"].get("speak", 0.0),
        codes=tuple(codes[: len(codes) - stopped]),
    )
