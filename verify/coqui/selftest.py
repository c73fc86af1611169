"""Try the installed packages on a tiny model with random weights: a failure here is no checkpoint's fault."""

import json
import os
import string
import tempfile
from pathlib import Path
from typing import Any

import torch
from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
from TTS.tts.models.xtts import Xtts

from verify import resources
from verify.checks import Check
from verify.coqui import checks, streaming, synthesis
from verify.errors import CannotSpeakError, EnvironmentFault
from verify.source.sampling import Sampling
from verify.source.vocabulary import read_vocabulary

TINY = {"gpt_layers": 1, "gpt_n_model_channels": 64, "gpt_n_heads": 4, "decoder_input_dim": 64}
CONDITIONING_LATENTS = 32  # of the perceiver, see TTS/tts/layers/xtts/gpt.py
TEXT = "Does generation work here?"
SHORT_TEXT = "So."  # random weights never stop: 1.5 s at most, in two chunks


def check_tiny_model(device: str = "cpu") -> Check:
    """Compare cached generation of a tiny random Xtts with one teacher-forced pass.

    Raises:
        EnvironmentFault: the packages do not work together at all.
    """
    model, voice = _tiny_speaker(device)
    return checks.check_cache(model, voice, TEXT, "en")


def stream_checks(device: str = "cpu") -> tuple[Check, ...]:
    """Return the checks of streaming that a tiny random Xtts fails: always the likeliest token, so that no draw parts them."""
    likeliest = Sampling(temperature=1.0, top_k=1, top_p=1.0, repetition_penalty=1.0, length_penalty=1.0)
    try:
        model, voice = _tiny_speaker(device)
        with torch.random.fork_rng(devices=[]):
            sample = synthesis.speak(model, voice, SHORT_TEXT, "en", 0, lambda _: None, likeliest)
            streamed = streaming.stream(model, voice, sample, likeliest)
    except (EnvironmentFault, CannotSpeakError) as error:
        return (streaming.broken(error),)
    return tuple(check for check in streaming.checks(streamed, sample, 1.0, ()) if not check.ok)


def _tiny_speaker(device: str) -> tuple[Xtts, synthesis.Voice]:
    """Return the tiny model in inference mode on the device, and a random voice.

    Raises:
        EnvironmentFault: the packages do not work together at all.
    """
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = _tiny_model(Path(folder) / "vocab.json")
        voice = synthesis.Voice(latents=torch.randn(1, CONDITIONING_LATENTS, 64), embedding=torch.zeros(1, 512, 1))
    with synthesis.device_faults(model):
        model.eval()  # Xtts overrides it: builds gpt_inference and returns None
        model.to(device)
    return model, voice


def _tiny_model(vocab: Path) -> Xtts:
    write_vocab(vocab)
    tokens = read_vocabulary(vocab)
    args = XttsArgs(
        gpt_number_text_tokens=tokens.size,
        gpt_start_text_token=tokens.start,
        gpt_stop_text_token=tokens.stop,
        gpt_use_perceiver_resampler=True,
        **TINY,
    )
    model = Xtts(XttsConfig(model_args=args))
    model.tokenizer = VoiceBpeTokenizer(str(vocab))
    return model


def devices() -> tuple[str, ...]:
    """Return the devices that torch sees, by their `--device` names, each with a description."""
    listed = [f"cpu ({os.cpu_count()} cores, torch uses {torch.get_num_threads()})"]
    for number in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(number).total_memory
        listed.append(f"cuda:{number} ({torch.cuda.get_device_name(number)}, {memory / 1e9:.0f} GB)")
    return (*listed, *(["mps"] if torch.backends.mps.is_available() else []))


def cuda_version() -> str | None:
    """Return the CUDA that the installed torch was built for; None for a CPU build."""
    return torch.version.cuda


def has_gpu() -> bool:
    """Whether torch sees a device other than the CPU."""
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def write_vocab(path: Path) -> None:
    """Write a character tokenizer with XTTS's special tokens, in the format of the tokenizers library."""
    languages = [f"[{name}]" for name in resources.load("sentences")]
    tokens = ["[STOP]", "[UNK]", "[SPACE]", *string.ascii_lowercase, *string.digits, *".,!?'-:;", *languages, "[START]"]
    ids = {token: number for number, token in enumerate(tokens)}
    path.write_text(json.dumps(_tokenizer(ids), ensure_ascii=False, indent=1), encoding="utf-8")


def _tokenizer(ids: dict[str, int]) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    special = [{"id": number, "content": token, **flags} for token, number in ids.items() if token.startswith("[")]
    return {
        "version": "1.0",
        "added_tokens": special,
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "BPE", "unk_token": "[UNK]", "vocab": ids, "merges": []},
    }
