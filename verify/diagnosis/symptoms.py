"""Load failures that name no tensor, known by the words that torch and other packages print: data, one line of words each."""

import re

from verify.errors import Cause

_PINS = "Install what fits together: pip install 'torch==2.11.*' 'torchaudio==2.11.*' 'torchcodec==0.11.*' 'coqui-tts==0.28.*'."
_CONVERT = (
    "Convert it with this tool, which reads such a config without running it and writes a plain one. "
    "Do not follow the advice to turn weights_only off: that runs whatever the file holds."
)
_COPY = "Look at the file itself: inspect FILE. If it is truncated, copy or download it again."

# words (lower case, without white space) -> code, message, hint
# fmt: off
SYMPTOMS = (
    (("weightsonlyloadfailed", "weightsunpicklererror"),
     "unsafe-pickle", "torch refused the file, because its pickle asks Python to import {name}", _CONVERT),
    (("invalidloadkey,'<'",),
     "html-page", "the file is a web page, not a checkpoint", "Download the file itself, not the page that shows it."),
    (("invalidloadkey,'v'",),
     "git-lfs-pointer", "the file is a Git LFS pointer, not the checkpoint", "Fetch the content: git lfs pull."),
    (("invalidmagicnumber", "pytorchstreamreaderfailed", "invalidloadkey", "ranoutofinput", "pickledatawastruncated",
      "unexpectedeof", "failedfindingcentraldirectory", "notazipfile", "metadataincompletebuffer", "headertoolarge", "invalidheaderdeserialization"),
     "bad-container", "the file could not be opened: it is truncated, damaged, or no checkpoint", _COPY),
    (("compiledwithdifferentcudaversions",),
     "environment", "environment, not checkpoint: torch and torchaudio are built for different CUDA versions", _PINS),
    (("nomodulenamed'torchcodec'", "torchcodecisrequired", "couldnotloadlibtorchcodec"),
     "environment", "environment, not checkpoint: torchcodec, which reads audio for torchaudio, is missing or finds no FFmpeg", _PINS + " FFmpeg comes from the system's packages."),
    (("gpt2inferencemodel'objecthasnoattribute'generate'", "cannotimportname'beamsearchscorer'"),
     "environment", "environment, not checkpoint: transformers 4.50 and later took away what this old TTS calls", "Install coqui-tts, the kept-up fork, in the place of TTS. " + _PINS),
    (("cudaoutofmemory", "outofmemoryerror"),
     "out-of-memory", "the GPU had not enough memory", "Load on the CPU first: map_location='cpu'."),
)
# fmt: on
_GLOBAL = re.compile(r"GLOBAL([\w.]{1,200}?)wasnotanallowed")


def find(text: str) -> tuple[Cause, ...]:
    """Return a cause for each known failure in the text, the most telling one for each of its words."""
    compact = "".join(text.split())
    lower, name = compact.lower(), _GLOBAL.search(compact)
    found: dict[str, Cause] = {}
    for words, code, message, hint in SYMPTOMS:
        if any(word in lower for word in words) and not (code == "bad-container" and found):
            message = message.format(name=name[1] if name else "code (coqui saved its config as a Python object)")
            found.setdefault(message, Cause(code=code, severity="error", message=message, hint=hint))
    return tuple(found.values())
