"""Make of a model folder what one program needs, and hold it against what that program asks for. No torch."""

import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from verify.audio import clips, prompts
from verify.audio.clips import Clip
from verify.checkpoint.archive import read_archive
from verify.checkpoint.tensors import TensorRecord
from verify.conversion import dtypes as kinds
from verify.conversion import formats
from verify.errors import SourceError
from verify.files.local import CHUNK_BYTES, missing
from verify.files.location import Location, local_path
from verify.files.staging import Stage, write_json
from verify.plan import Plan
from verify.profiles import auralis
from verify.profiles import profile as profiles
from verify.profiles.profile import HOME, Profile
from verify.progress import Watch, timed
from verify.result import Result

DEFAULT_VOICE = "reference"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a ZIP can state: the same files make the same ZIP


def profile_of(plan: Plan) -> Profile | None:
    """Return the profile that the user asked for."""
    return profiles.read(plan.job.profile) if plan.job.profile else None


def require(plan: Plan) -> None:
    """Refuse before the long work a bundle that could not be made after it.

    Raises:
        SourceError: what the program needs is not there and cannot be made.
    """
    profile, job = profile_of(plan), plan.job
    if wanted_voices(plan) and not job.verify:
        raise _incomplete("speakers_xtts.pth is made by the model, which --no-verify does not load", "Leave it away.")
    if profile is None:
        return
    if job.output and not local_path(job.output) and any("/" in name for name in profile.files):
        raise _incomplete(f"the folders of {profile.title} are made on this machine", "Pass a folder with -o DIR.")
    if job.format != kinds.PTH and "model" in profile.kinds:
        raise _incomplete(
            f"{profile.title} reads model.pth, not model.{job.format}", "Leave --format away, or --profile."
        )
    if "dvae" in profile.kinds and not _dvae(plan):
        raise _incomplete(
            f"{profile.title} asks for dvae.pth; neither {plan.archive.path.name}, nor its folder, nor --base holds one",
            "Convert from the training checkpoint, which holds it, or pass --base with a folder that has dvae.pth.",
        )
    if "auralis-core" in profile.kinds and plan.architecture.version != "v2":
        raise _incomplete(f"{profile.title} runs XTTS v2, and this is {plan.architecture.version}", "Pass a v2 model.")


def _incomplete(message: str, hint: str) -> SourceError:
    return SourceError("profile-incomplete", message, hint)


def room(plan: Plan) -> list[TensorRecord]:
    """Return the tensors that the output holds, as often as it holds them."""
    written = list(kinds.recorded(plan.ledger.written, plan.job.dtype).values())
    profile = profile_of(plan)
    return [*written, *written] if profile and profile.twice else written


def wanted_voices(plan: Plan) -> dict[str, list[Clip]]:
    """Return the clips of each voice to make: those that the user named, else the reference where a program needs one.

    Raises:
        SourceError: a voice has no name, or a clip cannot be used.
    """
    named: dict[str, list[Clip]] = {}
    for spoken in plan.job.speakers:
        name, _, file = spoken.partition("=")
        if not (name.strip() and name.isprintable() and file):
            raise SourceError("bad-speaker", f"--speaker {spoken[:60]!r} is not NAME=FILE", "Pass NAME=FILE.")
        if not Path(file).exists():
            raise missing(Path(file))
        clip = clips.read_clip(Path(file))
        clips.require_usable(clip)
        named.setdefault(name, []).append(clip)
    profile = profile_of(plan)
    if named or profile is None or plan.voices or "speakers" not in profile.kinds:
        return named
    return {DEFAULT_VOICE: prompts.reference_clips(plan.source.clips)[0]}


def make(plan: Plan, report: Result, stage: Stage, watch: Watch) -> Result:
    """Add to the staged model folder what the program needs, and return the report with what it asks for held against it."""
    profile = profile_of(plan)
    if profile is None:
        return report
    with watch.step(f"making the bundle for {profile.title}"), timed(plan.seconds, "bundle"):
        _add(plan, profile, stage.folder)
        if profile.zip:
            files = {name: stage.folder / HOME[kind] for name, kind in profile.files.items()}
            write_zip(stage.folder / profiles.bundle_name(stage.target), files)
    return checked(plan, report, stage.folder, watch)


def checked(plan: Plan, report: Result, location: Location, watch: Watch) -> Result:
    """Return the report with what the program would find missing or unfit in the folder."""
    profile = profile_of(plan)
    if profile is None:
        return report
    if not (folder := local_path(location)):
        raise _incomplete(
            f"--profile looks at the files of a folder, and {location} is elsewhere", "Download it first."
        )
    with watch.step(f"checking as {profile.title} does"), timed(plan.seconds, "bundle"):
        causes = profiles.check(profile, folder, plan.ledger.written)
    bundles = [path.name for path in folder.glob("*.zip")] if profile.zip else []
    told = {**profile.as_json(), "bundle": min(bundles, default=None), "twice": profile.twice, "ok": not causes}
    return replace(report, causes=(*report.causes, *causes), profile=told)


def _add(plan: Plan, profile: Profile, folder: Path) -> None:
    """Write the files of the profile that a model folder has not."""
    tensors = plan.ledger.written
    if "reference" in profile.kinds and not (folder / HOME["reference"]).exists():
        clip = prompts.reference_clips(plan.source.clips)[0][0]
        clips.write_wav(folder / HOME["reference"], clip.samples, clip.rate_hz)
    if "dvae" in profile.kinds:
        formats.write_state(folder / "dvae.pth", _dvae(plan))
    if "mel_stats" in profile.kinds and "mel_stats" in tensors:
        formats.write_tensor(folder / "mel_stats.pth", tensors["mel_stats"])
    if "auralis-core" in profile.kinds:
        _add_auralis(plan, profile, folder)


def _add_auralis(plan: Plan, profile: Profile, folder: Path) -> None:
    # Cast under the canonical names, which tell what is a buffer.
    dtypes = kinds.recorded(plan.ledger.written, plan.job.dtype)
    for name, split in auralis.split(plan.ledger.written).items():
        (folder / name).parent.mkdir()
        kept = auralis.split(dtypes)[name]
        formats.write_recorded(folder / name, split, kept, {"format": "pt"}, lambda _: None)
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
    if own := {entry.target[5:]: entry.record for entry in entries if entry.target.startswith("dvae.")}:
        return own
    for folder in (plan.archive.path.parent, plan.job.base):
        if folder and (folder / "dvae.pth").is_file():
            return {record.key: record for record in read_archive(folder / "dvae.pth").tensors}
    return {}


def write_zip(path: Path, files: Mapping[str, Path]) -> None:
    """Write files under the names given into a ZIP of stored members, in chunks; the same files make the same bytes."""
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as bundle:
        for name in _in_order(list(files)):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system, info.external_attr = 3, 0o644 << 16  # whatever system this is
            info.file_size = files[name].stat().st_size
            with files[name].open("rb") as source, bundle.open(info, "w") as member:
                shutil.copyfileobj(source, member, CHUNK_BYTES)


def _in_order(names: Sequence[str]) -> list[str]:
    """Return the names with the small files first, so that a reader of the head sees what it is."""
    return sorted(names, key=lambda name: (name.startswith("model."), name))
