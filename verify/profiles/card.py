"""What a model hub reads of a folder: README.md with its front matter, the model card. It names no path of this machine."""

import json
import re
from collections.abc import Iterator, Sequence

from verify import __version__
from verify.checks import WORD_CHECKS, Check
from verify.errors import counted
from verify.files.seal import sealed
from verify.findings import OutputFile, SampleResult
from verify.result import Result

LICENCE = {
    "license": "other",
    "license_name": "coqui-public-model-license",
    "license_link": "https://huggingface.co/coqui/XTTS-v2/blob/main/LICENSE.txt",
}
_FOLDER = "my-voice"  # stands for wherever the reader keeps the folder
_COQUI = """from TTS.api import TTS

tts = TTS(model_path="{folder}", config_path="{folder}/config.json")
tts.tts_to_file("Hello there.", {voice}, language="{language}", file_path="hello.wav")
"""
_OURS = """import soundfile
from verify import condition, load_xtts, speak

model = load_xtts("{folder}")
sample = speak(model, condition(model, "{folder}/reference.wav"), "Hello there.", language="{language}")
soundfile.write("hello.wav", sample.samples, sample.rate_hz)
"""


def card(result: Result, files: Sequence[OutputFile], voices: Sequence[str]) -> str:
    """Return the text of the card.

    Args:
        files: those of the folder so far.
        voices: names of the voices in speakers_xtts.pth.
    """
    version = result.architecture.version or "v2"
    parts = [
        _front_matter(result, version),
        f"# XTTS {version}, fine-tuned\n",
        f"A fine-tuned [XTTS {version}](https://huggingface.co/{_base(version)}), converted for inference.\n",
        _verified(result),
        _files(files),
        _use(result, {file.name for file in files}, voices),
        _limits(),
    ]
    return sealed("\n".join(parts))


def _base(version: str) -> str:
    return f"coqui/XTTS-{version}"


def _language(result: Result) -> str:
    """Return the language that the model spoke or, where it did not, that of the run's dataset; empty where neither is known."""
    language = ((result.sample.language if result.sample else result.source.language) or "").lower()
    return language if re.fullmatch(r"[a-z]{2}(-[a-z]{2})?", language) else ""


def _front_matter(result: Result, version: str) -> str:
    language = _language(result)[:2]  # hubs know zh, not zh-cn
    lines = ["---", *(["language:", f"- {language}"] if language else [])]
    lines += [f"base_model: {_base(version)}", "base_model_relation: finetune"]
    lines += ["pipeline_tag: text-to-speech", "library_name: coqui"]
    lines += [f"{name}: {value}" for name, value in LICENCE.items()]
    return "\n".join([*lines, "tags:", "- xtts", "- voice-cloning", "---", ""])


def _verified(result: Result) -> str:
    rows = [f"| {what} | {found} |" for what, found in _facts(result)]
    return "\n".join(["## What was verified\n", "| | |", "|---|---|", *rows, ""])


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    """Yield what was found, each with its name."""
    archive, found = result.archive, result.environment or {}
    trained = [
        f"{name} {value:,}" for name, value in (("step", archive.step), ("epoch", archive.epoch)) if value is not None
    ]
    name, digest = ("SHA-256", sha256) if (sha256 := result.source_sha256) else ("fingerprint", archive.fingerprint)
    known_by = f", {name} `{digest}`" if digest else ""
    yield "source", f"checkpoint of {', '.join(trained) or 'an unknown step'}, {archive.bytes:,} bytes{known_by}"
    rows = result.architecture.fields.get("gpt_number_text_tokens")
    yield "model", f"XTTS {result.architecture.version or ''}, {rows:,} text tokens" if rows else "XTTS"
    names = ("coqui-tts", "torch", "transformers", "python")
    versions = ", ".join(f"{name} {found[name]}" for name in names if found.get(name))
    yield "versions", f"xtts-verify {__version__}{f', {versions}' if versions else ''}"
    yield "load", _load(result)
    yield "speech", _speech(result.samples, any(check.name in WORD_CHECKS for check in result.checks or ()))
    if result.checks:
        yield "checks", _checks(result.checks, result.failed_checks)
    codes = ", ".join(f"`{cause.code}`" for cause in result.causes if cause.severity != "note")
    heard = f": {result.sound_cause.says}" if result.sound_cause else ""
    yield "verdict", f"**{result.verdict}**{heard}{f' ({codes})' if codes else ''}"


def _checks(checks: Sequence[Check], failed: Sequence[Check]) -> str:
    passed, names = sum(check.ok for check in checks), [check.name for check in failed]
    spared = [check.name for check in checks if not check.ok and check.name not in names]
    wrong = [
        f"; {what}: {', '.join(which)}"
        for what, which in (("failed", names), ("failed, but not asked for", spared))
        if which
    ]
    return f"{passed} of {len(checks)} pass{''.join(wrong)}"


def _load(result: Result) -> str:
    if not (result.load and result.load.strict):
        return "not loaded"
    same = (
        f", all {result.identical.bytes:,} bytes identical to the source"
        if result.identical and result.identical.ok
        else ""
    )
    return f"strictly: {result.load.matched:,} tensors{same}"


def _speech(samples: Sequence[SampleResult], has_words: bool) -> str:
    if not samples:
        return "nothing was spoken"
    first = samples[0]
    words = "its words were held against the text" if has_words else "its words were not checked"
    if first.transcript is not None:
        words = f"the Whisper {_plain(first.heard_by or '?')} heard “{_plain(first.transcript)}” (character error rate {first.character_error_rate or 0:.2f})"
    more = f", and {counted(len(samples) - 1, 'sample')} more" if len(samples) > 1 else ""
    clip = f"[{first.path}]({first.path}): " if first.path else ""
    return f"{clip}“{_plain(first.text)}” ({first.language}, {first.seconds:.1f} s, seed {first.seed}){more}; {words}"


def _plain(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&$-])", r"\\\1", line)


def _files(files: Sequence[OutputFile]) -> str:
    rows = [f"| `{file.name}` | {file.bytes:,} | `{file.sha256}` |" for file in files]
    return "\n".join(["## Files\n", "| file | bytes | SHA-256 |", "|---|---|---|", *rows, ""])


def _use(result: Result, names: set[str], voices: Sequence[str]) -> str:
    """Return how Python opens the folder; a named voice first, which needs no clip and no FFmpeg."""
    values = {"folder": _FOLDER, "language": _language(result) or "en"}
    lead = f"`{_FOLDER}` is the folder that holds these files.\n"
    if "model.pth" not in names:  # coqui-tts reads that alone
        return f"## How to load it\n\n{lead}\n```python\n{_OURS.format(**values)}```\n"
    clip = (
        f'speaker_wav="{_FOLDER}/reference.wav"'
        if "reference.wav" in names
        else 'speaker_wav="a clip of the voice.wav"'
    )
    voice = f"speaker={json.dumps(voices[0], ensure_ascii=False)}" if voices else clip
    note = "" if voices else "\ncoqui-tts reads the clip through FFmpeg, which must be installed on the system.\n"
    return f"## How to load it\n\n{lead}\n```python\n{_COQUI.format(voice=voice, **values)}```\n{note}"


def _limits() -> str:
    return """## What it is not for

Not for training on: the optimizer, and the discrete VAE that codes the training's audio, are left out. Go on from the training checkpoint.

The weights are derived from XTTS and stay under its licence, the Coqui Public Model License, which must go with every copy: read it before you share
them or what they speak. Speak in the voices only of people who agreed.

"""
