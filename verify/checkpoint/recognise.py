"""Name what a file is when it is not the checkpoint that the user hoped for."""

import stat
from pathlib import Path

from verify.errors import ArchiveError, SourceError

ZIP_MAGIC = b"PK\x03\x04"
GIT_LFS_MAGIC = b"version https://git-lfs.github.com/spec/"
_HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<?xml")

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


def require_regular_file(path: Path) -> int:
    """Return the size of the file in bytes, having refused anything but a regular file before opening it.

    Raises:
        SourceError: the path is a FIFO, a device, a socket or a folder, or the file is empty.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        kinds = (
            (stat.S_ISFIFO, "a FIFO"),
            (stat.S_ISCHR, "a device"),
            (stat.S_ISBLK, "a device"),
            (stat.S_ISSOCK, "a socket"),
        )
        kind = next((name for test, name in kinds if test(status.st_mode)), "a folder")
        raise SourceError(
            "not-a-file", f"{path} is {kind}, not a regular file", "Pass a .pth, a .safetensors or a run folder."
        )
    if status.st_size == 0:
        raise SourceError("empty-file", f"{path} is empty (0 bytes)", "Copy or download it again.")
    return status.st_size


def refuse_other_format(path: Path, head: bytes, size: int) -> None:
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
        raise ArchiveError(
            "legacy-format",
            f"{path} is a pickle in the format that torch.save wrote before version 1.6, not a zip container",
            "If you trust it, re-save it where you made it: "
            "torch.save(torch.load(OLD, map_location='cpu', weights_only=True), NEW).",
        )
    if text.startswith(b"{"):
        raise ArchiveError("not-a-checkpoint", f"{path} is a JSON file, not a checkpoint", TRAINING_FILE_HINT)
    what = "it starts with zeros only" if not any(head) else f"it starts with {head[:8].hex(' ')}"
    raise ArchiveError("not-a-checkpoint", f"{path} is not a torch checkpoint: {what}", TRAINING_FILE_HINT)


def other_file(keys: set[str]) -> str | None:
    """Return what a set of tensor names looks like where it is no XTTS model, or None."""
    for needed, what in OTHER_FILES:
        if all(any(piece in key for key in keys) for piece in needed):
            return what
    return None
