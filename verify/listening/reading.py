"""What a text is to the model: token ids, how many of them it knows, and how many audio tokens it may take."""

import torch
from TTS.tts.models.xtts import Xtts

from verify import settings
from verify.checks import Check
from verify.errors import EnvironmentFault, SourceError


def encode(model: Xtts, text: str, language: str) -> torch.Tensor:
    """Return the text as token ids `(1, tokens)` on the model's device.

    Raises:
        EnvironmentFault: the installed coqui-tts lacks a package for the language.
        SourceError: the text is too long for the model.
    """
    try:
        ids = model.tokenizer.encode(text.strip().lower(), lang=language)
    except ImportError as error:
        extra = language.split("-")[0]
        raise EnvironmentFault(
            "language-package",
            f"coqui-tts needs another package to read {language!r}: {error}",
            f"pip install 'coqui-tts[{extra}]'",
        ) from error
    except (ValueError, OverflowError, IndexError, KeyError, NotImplementedError) as error:
        # num2words and its like, on odd numbers, and on any number in Hindi
        raise SourceError(
            "bad-text",
            f"coqui-tts cannot read the text ({type(error).__name__}: {str(error)[:200]})",
            "Pass another --text.",
        ) from error
    if len(ids) >= model.args.gpt_max_text_tokens:
        raise SourceError(
            "text-too-long",
            f"the text has {len(ids)} tokens; the model takes fewer than {model.args.gpt_max_text_tokens}",
            "Pass a shorter --text.",
        )
    return torch.tensor(ids, dtype=torch.int32, device=model.device).unsqueeze(0)


def known_check(model: Xtts, ids: torch.Tensor) -> Check:
    """Return whether the vocabulary knows the text: the share of `[UNK]` among its token ids `(1, tokens)`."""
    unknown = model.tokenizer.tokenizer.token_to_id("[UNK]")
    share = float((ids == unknown).float().mean()) if unknown is not None and ids.numel() else 0.0
    limit = settings.load("limits")["text"]["unknown_share"]
    return Check(
        name="known tokens",
        ok=share <= limit,
        measured=share,
        limit=f"<= {limit:g}",
        unit="share of [UNK]",
        hint="vocab.json does not know these letters: another vocabulary, or another script than the language's.",
    )


def token_bound(model: Xtts, text: str, language: str) -> int:
    """Return how many audio tokens the slowest plausible reading of the text needs, plus a second of pause."""
    tokens_per_second = model.args.input_sample_rate / model.args.gpt_code_stride_len
    seconds = len(text) / settings.load("sentences")[language]["slowest"] + 1.0
    return min(int(seconds * tokens_per_second), model.args.gpt_max_audio_tokens)
