"""Add to a model folder the files that a program needs, and check the folder against its profile. No torch."""

import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from verify import shell
from verify.audio import clips, references
from verify.audio.clips import Clip
from verify.audio.prompts import Script
from verify.checkpoint.archive import read_archive
from verify.checkpoint.tensors import TensorRecord
from verify.conversion import dtypes, formats, safetensors_writer, torch_zip, writer
from verify.errors import SourceError
from verify.files.local import CHUNK_BYTES, file_bytes, missing, open_regular, require_regular_file, write_json
from verify.files.location import Location, local_path, parse_location
from verify.files.staging import Stage
from verify.findings import ProfileResult
from verify.options import Job
from verify.plan import Plan
from verify.profiles import auralis
from verify.profiles import profile as profiles
from verify.profiles.profile import HOME, Profile
from verify.progress import Stopwatch
from verify.result import Result

DEFAULT_VOICE = "reference"
LICENCE, MOST_LICENCE_BYTES = "LICENSE.txt", 1_000_000
NOTICE = """Weights that were trained from coqui/XTTS-v2 are under its licence, the Coqui Public Model License 1.0.0:
https://huggingface.co/coqui/XTTS-v2/blob/main/LICENSE.txt
"""
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a ZIP can state: the same files make the same ZIP


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bundle:
    """What to add to a model folder: the requested voices, clips and tensors, read and decoded once."""

    profile: Profile | None = None
    voices: Mapping[str, Sequence[Clip]] = field(default_factory=dict)  # clips of each voice to add
    reference: Clip | None = None  # the clip of the reference voice
    dvae: Mapping[str, TensorRecord] = field(default_factory=dict)

    def tensors(self, plan: Plan) -> list[TensorRecord]:
        """Return the tensors of the output, twice where the output holds the weights twice."""
        written = list(dtypes.recorded(plan.ledger.written, plan.job.dtype).values())
        return [*written, *written] if self.profile and self.profile.twice else written


def profile_of(job: Job) -> Profile | None:
    """Return the profile that the user requested.

    Raises:
        SourceError: there is none of that name.
    """
    return profiles.read(job.profile) if job.profile else None


def prepare(plan: Plan, script: Script | None) -> Bundle:
    """Return what to add, and refuse before the long work what could not be made after it.

    Raises:
        SourceError: a file that the program needs is missing and cannot be made, or a clip cannot be used.
    """
    profile, job = profile_of(plan.job), plan.job
    voices = _heard_voice(job, script) | _named_voices(job, script)
    if profile is None:
        _require_model(job, voices)
        return Bundle(voices=voices)
    reference: Sequence[Clip] = script.clips if script else ()
    needs_voice = "speakers" in profile.kinds and not (voices or plan.voices)
    if not reference and (needs_voice or "reference" in profile.kinds):
        reference, _ = references.reference_clips(plan.source.clips)
    voices = {DEFAULT_VOICE: reference} if needs_voice else voices
    _require_model(job, voices)
    dvae = _dvae(plan) if "dvae" in profile.kinds else {}
    _require_possible(plan, profile, dvae)
    return Bundle(profile=profile, voices=voices, reference=reference[0] if reference else None, dvae=dvae)


def _heard_voice(job: Job, script: Script | None) -> dict[str, Sequence[Clip]]:
    """Return the voice that speaks, so that the folder can be used without a clip and FFmpeg; none that has a name already."""
    if script is None or not job.verify or script.voice or (job.speakers and not job.speaker_wavs):
        return {}
    return {DEFAULT_VOICE: script.clips}


def _named_voices(job: Job, script: Script | None) -> dict[str, Sequence[Clip]]:
    """Return the clips of each voice that the user named; where the first of them speaks, they are the script's own.

    Raises:
        SourceError: a voice has no name, or a clip cannot be used.
    """
    named: dict[str, list[Clip]] = {}
    for text in job.speakers:
        name, _, file = text.partition("=")
        if not (name.strip() and name.isprintable() and file) or "://" in name:
            raise SourceError("bad-speaker", f"--speaker {text[:60]!r} is not NAME=FILE", _meant(text, name))
        location = parse_location(file)
        if not location.exists():
            raise missing(location)
        require_regular_file(location)
        clip = clips.read_clip(location)
        clips.require_usable(clip)
        named.setdefault(name, []).append(clip)
    speaks = next(iter(named), None) if script and script.clips and not job.speaker_wavs else None
    return {name: script.clips if script and name == speaks else own for name, own in named.items()}


def _meant(text: str, name: str) -> str:
    """Return the hint for a voice without a name or a file: a clip alone is what `--speaker-wav` takes."""
    path = PurePath(text)
    if text != name or not path.suffix:
        return "Pass NAME=FILE."
    return f'Did you mean --speaker-wav {shell.quote(text)}? To keep the voice under a name: --speaker "{path.stem}={text}".'


def _require_model(job: Job, voices: Mapping[str, Sequence[Clip]]) -> None:
    if voices and not job.verify:
        raise _incomplete("speakers_xtts.pth is made by the model, which --no-verify does not load", "Leave it away.")


def _require_possible(plan: Plan, profile: Profile, dvae: Mapping[str, TensorRecord]) -> None:
    job = plan.job
    if job.output and not local_path(job.output) and any("/" in name for name in profile.files):
        raise _incomplete(f"the folders of {profile.title} are made on this machine", "Pass a folder with -o DIR.")
    file_name = formats.of(job.format).file_name
    if "model" in profile.kinds and file_name != HOME["model"]:
        raise _incomplete(
            f"{profile.title} reads {HOME['model']}, not {file_name}", "Leave --format away, or --profile."
        )
    if "dvae" in profile.kinds and not dvae:
        raise _incomplete(
            f"{profile.title} asks for dvae.pth; neither {plan.archive.path.name}, nor its folder, nor --base holds one",
            "Convert from the training checkpoint, which holds it, or pass --base with a folder that has dvae.pth.",
        )
    if "auralis-core" in profile.kinds and plan.architecture.version != "v2":
        raise _incomplete(f"{profile.title} runs XTTS v2, and this is {plan.architecture.version}", "Pass a v2 model.")


def _incomplete(message: str, hint: str) -> SourceError:
    return SourceError("profile-incomplete", message, hint)


def make(result: Result, bundle: Bundle, stage: Stage, clock: Stopwatch) -> Result:
    """Add the files that the program needs to the staged model folder, and return the result with the check of the folder."""
    profile = bundle.profile
    if profile is None:
        return result
    with clock.step("bundle", f"making the bundle for {profile.title}"):
        _add(result.plan, bundle, profile, stage.folder)
        if profile.zip:
            files = {name: stage.folder / HOME[kind] for name, kind in profile.files.items()}
            write_zip(stage.folder / profiles.bundle_name(stage.target), files)
    return checked(result, profile, stage.folder, clock)


def checked(result: Result, profile: Profile, location: Location, clock: Stopwatch) -> Result:
    """Return the result with the files that the program would find missing or unusable."""
    if not (folder := local_path(location)):
        raise _incomplete(
            f"--profile looks at the files of a folder, and {location} is elsewhere", "Download it first."
        )
    with clock.step("bundle", f"checking as {profile.title} does"):
        causes = profiles.check(profile, folder, result.ledger.written)
    bundles = [path.name for path in folder.glob("*.zip")] if profile.zip else []
    profile_result = ProfileResult(
        name=profile.name,
        title=profile.title,
        zip=profile.zip,
        files=tuple(profile.files),
        put=profile.put,
        bundle=min(bundles, default=None),
        twice=profile.twice,
        ok=not causes,
    )
    return replace(result, causes=(*result.causes, *causes), profile=profile_result)


def _add(plan: Plan, bundle: Bundle, profile: Profile, folder: Path) -> None:
    """Write the files of the profile that a model folder lacks."""
    reference, mel_stats = bundle.reference, plan.ledger.written.get("mel_stats")
    if "reference" in profile.kinds and reference and not (folder / HOME["reference"]).exists():
        clips.write_wav(folder / HOME["reference"], reference.samples, reference.rate_hz)
    if "dvae" in profile.kinds:
        writer.write_container(folder / "dvae.pth", torch_zip.state_pickle(bundle.dvae), bundle.dvae, bundle.dvae)
    if "mel_stats" in profile.kinds and mel_stats:
        only_mel_stats = {mel_stats.key: mel_stats}
        writer.write_container(
            folder / "mel_stats.pth", torch_zip.tensor_pickle(mel_stats), only_mel_stats, only_mel_stats
        )
    if "licence" in profile.kinds:
        _add_licence(plan, folder / LICENCE)
    if "auralis-core" in profile.kinds:
        _add_auralis(plan, profile, folder)


def _add_licence(plan: Plan, path: Path) -> None:
    """Copy the licence that lies beside the checkpoint or in the base, else name the one of XTTS: it goes with what is made of its weights."""
    for folder in (plan.archive.path.parent, plan.job.base):
        if folder and 0 < file_bytes(folder / LICENCE) <= MOST_LICENCE_BYTES:
            with open_regular(folder / LICENCE) as file:
                path.write_bytes(file.read(MOST_LICENCE_BYTES))
            return
    path.write_text(NOTICE, encoding="utf-8")


def _add_auralis(plan: Plan, profile: Profile, folder: Path) -> None:
    # Cast under the canonical names, which tell buffers from weights.
    cast = dtypes.recorded(plan.ledger.written, plan.job.dtype)
    for name, split in auralis.split(plan.ledger.written).items():
        (folder / name).parent.mkdir()
        recorded = auralis.split(cast)[name]
        safetensors_writer.write_recorded(folder / name, split, recorded, {"format": "pt"}, lambda _: None)
    for name, value in auralis.configs(plan.config).items():
        write_json(folder / name, value)
    for name, kind in profile.files.items():
        if kind == "vocab":
            shutil.copyfile(folder / HOME["vocab"], folder / name)


def _dvae(plan: Plan) -> dict[str, TensorRecord]:
    """Return the tensors of the discrete VAE: the checkpoint's own, else of the `dvae.pth` beside it or in the base.

    Raises:
        ArchiveError: a dvae.pth cannot be read.
    """
    entries = plan.ledger.entries
    if own_tensors := {entry.target[5:]: entry.record for entry in entries if entry.target.startswith("dvae.")}:
        return own_tensors
    for folder in (plan.archive.path.parent, plan.job.base):
        if folder and (folder / "dvae.pth").is_file():
            return {record.key: record for record in read_archive(folder / "dvae.pth").tensors}
    return {}


def write_zip(path: Path, files: Mapping[str, Path]) -> None:
    """Write files under the names given into a ZIP of stored members, in chunks; the same files make the same bytes."""
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as bundle:
        for name in _in_order(list(files)):
            with files[name].open("rb") as source, bundle.open(stored_member(name, files[name]), "w") as member:
                shutil.copyfileobj(source, member, CHUNK_BYTES)


def stored_member(name: str, path: Path) -> zipfile.ZipInfo:
    """Return the head of a ZIP's member that holds this file: the same on every system and at any time."""
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system, info.external_attr = 3, 0o644 << 16
    info.file_size = path.stat().st_size
    return info


def _in_order(names: Sequence[str]) -> list[str]:
    """Return the names with the model file last, so that the first bytes show what the ZIP is."""
    return sorted(names, key=lambda name: (name.startswith("model."), name))
