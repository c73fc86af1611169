"""Write a character tokenizer with XTTS's special tokens, for models that are made here."""

import json
import string
from pathlib import Path
from typing import Any

from verify import settings


def write_vocab(path: Path) -> None:
    """Write a character tokenizer with XTTS's special tokens, in the format of the tokenizers library."""
    languages = [f"[{name}]" for name in settings.load("sentences")]
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
