"""Say what a file is if it is not an XTTS checkpoint."""

from typing import Any, BinaryIO

from verify import shell
from verify.checkpoint import allowlist, unpickle, zip_directory
from verify.checkpoint.budget import Budget
from verify.checkpoint.tensors import STORAGES
from verify.errors import TRUNCATED_HINT, ArchiveError, TruncatedError, UnreadFormatError, UnsafePickleError
from verify.files.location import Location

ZIP_MAGIC = b"PK\x03\x04"
GIT_LFS_MAGIC = b"version https://git-lfs.github.com/spec/"
_HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<?xml")
_SOUND_STARTS = (b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"FORM")

# pieces that names of tensors have, all of which must occur -> what the file looks like; the first line that fits counts.
# The models of coqui-tts were built with its own classes to read their names off (see tests/test_wrong_files.py).
# fmt: off
OTHER_FILES = (
    (("lora_",),                                                     "a LoRA adapter: merge it into its base model first"),
    (("codebook.embed",),                                            "dvae.pth, the discrete VAE that only training needs"),
    (("encoder.0.0.weight", "decoder.0.weight"),                     "dvae.pth, the discrete VAE that only training needs"),
    (("text_encoder.emb.", "posterior_encoder.", "flow.flows."),     "a VITS model"),
    (("acoustic_model.", "waveform_decoder."),                       "a Delightful TTS model"),
    (("encoder.lstm.", "decoder.attention_rnn."),                    "a Tacotron 2 model"),
    (("encoder.cbhg.", "decoder.attention_rnn."),                    "a Tacotron model"),
    (("neural_hmm.", "decoder.glow_decoder."),                       "an OverFlow model"),
    (("neural_hmm.",),                                               "a Neural HMM TTS model"),
    (("decoder.flows.", "encoder.duration_predictor."),              "a Glow-TTS model"),
    (("mdn_block.", "duration_predictor."),                          "an AlignTTS model"),
    (("pitch_predictor.", "encoder.encoder."),                       "a FastPitch model"),
    (("conditioning_timestep_integrator.",),                         "Tortoise's diffusion decoder"),
    (("text_transformer.", "speech_transformer."),                   "Tortoise's CLVP"),
    (("ref_enc.", "enc_q.", "dec.ups."),                             "an OpenVoice model"),
    (("enc_p.", "enc_q.", "dec.ups."),                               "a voice conversion model such as FreeVC, RVC or So-VITS"),
    (("enc_p.", "dec.ups."),                                         "a voice conversion model such as FreeVC, RVC or So-VITS"),
    (("model_g.",),                                                  "a vocoder trained by itself (HiFi-GAN, MelGAN, UnivNet)"),
    (("upsample.resnet.", "rnn1."),                                  "a WaveRNN vocoder"),
    (("ublocks.", "dblocks.", "film."),                              "a WaveGrad vocoder"),
    (("waveform_decoder.ups.", "waveform_decoder.conv_pre."),        "the vocoder of an XTTS saved by itself"),
    (("layer1.0.", "layer4.0.", "attention.0.", "fc.weight"),        "a speaker encoder saved by itself"),
    (("lstm.weight_ih_l0", "linear.weight"),                         "a speaker encoder saved by itself"),
    (("ema_model.transformer.",),                                    "an F5-TTS or E2-TTS model"),
    (("transformer.wte.", "lm_head."),                               "a language model of GPT-2's kind, such as one of Bark's"),
)
# fmt: on
TORTOISE = "Tortoise's autoregressive.pth, whose GPT has the names of XTTS's but neither perceiver nor prompt embedding"
TRAINING_FILE_HINT = "Pass best_model_N.pth, checkpoint_N.pth, or the run folder that holds them."


def refuse_other_format(path: Location, head: bytes, size: int) -> None:
    """Raise the error that names what the first bytes of the file say it is.

    Raises:
        ArchiveError: always.
    """
    text = head.lstrip().lower()
    if head.startswith(GIT_LFS_MAGIC):
        raise ArchiveError(
            "git-lfs-pointer",
            f"{path} is a Git LFS pointer of {size} bytes, not the file itself",
            "Run `git lfs pull` in that repository.",
        )
    if text.startswith(_HTML_STARTS):
        raise ArchiveError(
            "html-page",
            f"{path} is a web page, not a checkpoint",
            "The download link gave a page: download the file itself again.",
        )
    if head.startswith((b"\x80", b"(")):
        raise UnreadFormatError(
            "legacy-format",
            f"{path} is a pickle in the format that torch.save wrote before version 1.6, not a zip container",
            "If you trust it, re-save it where you made it: "
            "torch.save(torch.load(OLD, map_location='cpu', weights_only=True), NEW).",
        )
    if text.startswith(b"{"):
        hint = f"Pass the folder that it lies in, {shell.quote(path.parent)}; another config or vocabulary goes with --config or --vocab."
        raise ArchiveError("not-a-checkpoint", f"{path} is a JSON file, not a checkpoint", hint)
    if head.startswith(_SOUND_STARTS) or (head.startswith(b"RIFF") and head[8:12] == b"WAVE"):
        hint = f"To hear what is wrong with a clip: {shell.command('judge', path)}. A voice to speak in goes with --speaker-wav."
        raise ArchiveError("not-a-checkpoint", f"{path} is a sound file, not a checkpoint", hint)
    reason = "it starts with zeros only" if not any(head) else f"it starts with {head[:8].hex(' ')}"
    raise ArchiveError("not-a-checkpoint", f"{path} is not a torch checkpoint: {reason}", TRAINING_FILE_HINT)


def other_file(keys: set[str]) -> str | None:
    """Return what model the tensor names look like if it is not XTTS, or None."""
    for needed, description in OTHER_FILES:
        if all(any(piece in key for key in keys) for piece in needed):
            return description
    return None


def no_index(path: Location, directory: zip_directory.Directory, folders: set[str]) -> ArchiveError:
    """Return the error for a zip without `data.pkl`: a checkpoint that lost it, or some other archive."""
    names = ", ".join(list(directory.members)[:5])
    if len(folders) > 1 and any(name.endswith("data.pkl") for name in directory.members):
        shown = ", ".join(sorted(folders)[:5])
        return ArchiveError("bad-container", f"the members lie in several folders ({shown}); torch.save writes one")
    if directory.members:
        folder = next(iter(directory.members)).split("/")[0]
        if any(name.startswith(f"{folder}/data/") for name in directory.members):
            return ArchiveError("missing-member", f"member {folder}/data.pkl is missing from {path}", TRUNCATED_HINT)
    return ArchiveError("not-a-checkpoint", f"{path} is a ZIP without data.pkl (it holds {names})", TRAINING_FILE_HINT)


def list_blocked(data: bytes, budget: Budget) -> None:
    """Run the pickle machine over the start of `data` to list blocked names; damage is ignored here.

    Raises:
        UnsafePickleError: they name code.
    """
    for _ in range(5):  # a legacy file has a magic number, a version, system facts, the object, then the storage keys
        try:
            _, used = unpickle.loads(data, budget)
        except UnsafePickleError:
            raise
        except ArchiveError:
            return
        data = data[used:]


def explain_truncation(path: Location, file: BinaryIO, size: int, budget: Budget) -> ArchiveError:
    """Return the error for a truncated file; its index comes first, so it often shows how much is missing."""
    file.seek(0)
    start = zip_directory.LOCAL_HEADER.unpack(
        file.read(zip_directory.LOCAL_HEADER.size).ljust(zip_directory.LOCAL_HEADER.size, b"\0")
    )
    file.seek(zip_directory.LOCAL_HEADER.size + start[9] + start[10])
    try:
        root, _ = unpickle.loads(file.read(unpickle.MAX_PICKLE_BYTES), budget)
        needed = _storage_bytes(root)
        expected = f"its tensors alone need {needed:,} bytes"
        if size >= needed:
            expected += ", and the directory that must follow them is missing"
    except UnsafePickleError as error:
        return error
    except ArchiveError:
        expected = "not even its index is whole"
    return TruncatedError("truncated", f"{path} is truncated: {size:,} bytes are there, {expected}", TRUNCATED_HINT)


def _storage_bytes(root: Any) -> int:
    """Return the bytes of all storages below `root`; shared containers are visited once."""
    storages: dict[str, int] = {}
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, allowlist.TensorSpec):
            storages[value.storage.member] = value.storage.elements * STORAGES.get(value.storage.kind, ("", 1))[1]
        elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value.values() if isinstance(value, dict) else value)
    return sum(storages.values())
