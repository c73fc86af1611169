"""Speak on the CPU with one setting and print {tokens per second, wav path}; run as `python -m … MODEL OUT.npz THREADS DTYPE`."""

import json
import sys
import time

import numpy as np
import soundfile
import torch

from verify import load_xtts, resources

TEXT = "The quick brown fox jumps over the lazy dog."
TOKENS = 60  # untrained weights never stop


def speak(model, dtype: str) -> tuple[float, np.ndarray, np.ndarray]:
    """Return (tokens a second, latents `(tokens, width)`, samples)."""
    audio, rate = soundfile.read(resources.DEFAULT_REFERENCE, dtype="float32")
    audio = torch.from_numpy(audio).reshape(1, -1)
    latents, voice = model.get_gpt_cond_latents(audio, rate), model.get_speaker_embedding(audio, rate)
    if dtype == "bfloat16":  # the GPT alone: numpy cannot take what the vocoder would then return
        generate = model.gpt.generate
        model.gpt.generate = torch.autocast("cpu", dtype=torch.bfloat16)(
            lambda *args, **options: generate(*args, **options)
        )
    model.inference("Hello.", "en", latents, voice, max_new_tokens=2)
    torch.manual_seed(0)
    start = time.perf_counter()
    result = model.inference(TEXT, "en", latents, voice, max_new_tokens=TOKENS)
    seconds = time.perf_counter() - start
    codes = np.asarray(result["gpt_latents"][0], np.float32)
    return len(codes) / seconds, codes, np.asarray(result["wav"])


def main() -> None:
    folder, out, threads, dtype = sys.argv[1:5]
    torch.set_num_threads(int(threads))
    rate, latents, samples = speak(load_xtts(folder, device="cpu"), dtype)
    np.savez(out, latents=latents, samples=samples)
    print(json.dumps(rate))


if __name__ == "__main__":
    main()
