"""Choose the voice to speak in: reference clips, or a named voice of the model's own speakers file. No torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from verify import resources
from verify.audio import clips as audio
from verify.checkpoint.tensors import TensorRecord
from verify.errors import Cause, OptionError, SourceError
from verify.options import Job
from verify.source.companions import CHOSEN, Found, Source

Voices = Mapping[str, Mapping[str, TensorRecord]]
PARTS = ("gpt_cond_latent", "speaker_embedding")  # of a voice; programs read them in this order
_SHOWN = 10  # names of voices in a message


def choose_voice(
    job: Job, source: Source, voices: Voices, config: Mapping[str, Any]
) -> tuple[str | None, tuple[audio.Clip, ...], str]:
    """Return the named voice or the reference clips, and in words where they were found.

    Raises:
        SourceError: the voice is not there or does not fit the model, or a clip that the user named cannot be used.
        OptionError: a named voice and clips were asked for.
    """
    if job.voice is None:
        clips, reference = reference_clips(source.clips)
        return None, tuple(clips), reference
    if job.speaker_wavs:
        raise OptionError("bad-option", "--voice and --speaker-wav name two voices", "Pass one of them.")
    where = f"{source.speakers.path.name} ({source.speakers.origin})" if source.speakers else ""
    if job.voice not in voices:
        raise _no_voice(job.voice, where, list(voices))
    _require_fitting(job.voice, voices[job.voice], config["model_args"])
    return job.voice, (), f"{job.voice}, a voice of {where}"


def _no_voice(name: str, where: str, names: list[str]) -> SourceError:
    if not names:
        message = f"--voice {name[:60]!r}: there is no speakers_xtts.pth with voices beside the model or in --base"
        return SourceError("no-voice", message, "Pass a clip of the voice instead: --speaker-wav FILE.")
    more = f" and {len(names) - _SHOWN} more, which inspect lists" if len(names) > _SHOWN else ""
    hint = f"It has {', '.join(name[:60] for name in names[:_SHOWN])}{more}."
    return SourceError("no-voice", f"{where} has no voice {name[:60]!r}", hint)


def _require_fitting(name: str, parts: Mapping[str, TensorRecord], model_args: Mapping[str, Any]) -> None:
    """Check the shapes of a voice against the model: latents `(1, any, width)`, embedding `(1, d_vector_dim, 1)`.

    Raises:
        SourceError: it was made by a model of another size, or lacks a part.
    """
    defaults = resources.load("xtts")["defaults"]
    width, dim = (model_args.get(field, defaults[field]) for field in ("gpt_n_model_channels", "d_vector_dim"))
    shapes = {part: parts[part].shape for part in PARTS if part in parts}
    latents, embedding = shapes.get(PARTS[0], ()), shapes.get(PARTS[1], ())
    if (len(latents), latents[::2], embedding) != (3, (1, width), (1, dim, 1)):
        found = ", ".join(f"{part} {list(shape)}" for part, shape in shapes.items()) or "nothing"
        raise SourceError(
            "voice-unfit",
            f"the voice {name[:60]!r} holds {found}; this model takes {PARTS[0]} [1, N, {width}] and {PARTS[1]} [1, {dim}, 1]",
            "It was made by another model: pass a clip of the voice instead, --speaker-wav FILE.",
        )


def reference_clips(candidates: Sequence[Found]) -> tuple[list[audio.Clip], str]:
    """Return the reference clips and where they came from.

    Every clip that the user named must be usable. Of those that the run's config names, take the first usable one of the
    advised length, else the longest usable one, else the clip that ships with the project.

    Raises:
        SourceError: a clip that the user named cannot be used.
    """
    if candidates and candidates[0].origin.startswith(CHOSEN):
        clips = [audio.read_clip(item.path) for item in candidates]
        for clip in clips:
            audio.require_usable(clip)
        return clips, ", ".join(f"{item.path} ({item.origin})" for item in candidates)
    usable: list[tuple[audio.Clip, Found]] = []
    for item in candidates:
        try:
            clip = audio.read_clip(item.path)
            audio.require_usable(clip)
        except SourceError:
            continue  # the user did not choose it, so try the next one
        usable.append((clip, item))
        if clip.seconds >= resources.load("limits")["reference"]["advised_seconds"]:
            break
    if usable:
        clip, item = max(usable, key=lambda pair: pair[0].seconds)
        return [clip], f"{item.path} ({item.origin})"
    return [audio.read_clip(resources.DEFAULT_REFERENCE)], "the clip that ships with this project"


def reference_warnings(clips: Sequence[audio.Clip], config: Mapping[str, Any]) -> tuple[Cause, ...]:
    """Return a warning where the clips are shorter, and one where their rate is lower, than advised; a note where one is longer."""
    limits, messages = resources.load("limits")["reference"], []
    total = sum(clip.seconds for clip in clips)
    if clips and total < limits["advised_seconds"]:
        messages.append(
            f"the reference is {total:.2f} s long; {limits['advised_seconds']:g} s and more give a truer voice"
        )
    lowest = min((clip.rate_hz for clip in clips), default=limits["advised_rate_hz"])
    if lowest < limits["advised_rate_hz"]:
        messages.append(
            f"the reference is sampled at {lowest:,} Hz; {limits['advised_rate_hz']:,} Hz and more give a truer voice"
        )
    warnings = (Cause(code="reference-clip", severity="warning", message=message) for message in messages)
    return (*warnings, *(_cut(clip, config) for clip in clips if clip.file_seconds > limits["longest_seconds"]))


def _cut(clip: audio.Clip, config: Mapping[str, Any]) -> Cause:
    """Return the note on what is used of a long clip: `Xtts.get_conditioning_latents` cuts each clip at `max_ref_len`."""
    longest = config.get("max_ref_len", resources.load("xtts")["conditioning"]["max_ref_len"])
    return Cause(
        code="reference-clip",
        severity="note",
        message=f"the reference {clip.path} is {clip.file_seconds:.1f} s long; its first {min(longest, clip.seconds):g} s "
        "are used (max_ref_len in the config)",
        hint="Cut out the part that is the voice at its best, 3 to 30 s.",
    )
