"""The usual scripts that this project is compared with. Each runs in a process of its own."""

LOAD = "import sys, os, torch\nsource, target = sys.argv[1:3]\n"
ALL = "checkpoint = torch.load(source, map_location='cpu', weights_only=True)\n"
MAPPED = "checkpoint = torch.load(source, map_location='cpu', weights_only=True, mmap=True)\n"
STRIP = """
state = checkpoint['model']
checkpoint = {'model': {k: v for k, v in state.items() if k.startswith('xtts.')}, 'config': checkpoint['config']}
"""
CAST = "checkpoint['model'] = {k: v.to(torch.float16) for k, v in checkpoint['model'].items()}\n"
SAVE = "torch.save(checkpoint, target)\nfd = os.open(target, os.O_RDONLY)\nos.fsync(fd)\n"

STRIPPERS = {
    "load everything, save everything": LOAD + ALL + SAVE,
    "load everything, drop optimizer and dvae, save": LOAD + ALL + STRIP + SAVE,
    "torch.load(mmap=True), save what is kept": LOAD + MAPPED + STRIP + SAVE,
}
CASTING = {"torch.load(mmap=True), .to(float16), save": LOAD + MAPPED + STRIP + CAST + SAVE}
LIST_KEYS = LOAD + MAPPED + "print(list(checkpoint['model']))\n"

COQUI = """
import sys, time
from TTS.tts.configs.xtts_config import XttsConfig
from TTS.tts.models.xtts import Xtts
config = XttsConfig()
config.load_json({config!r})
began = time.perf_counter()
model = Xtts(config)
model.load_checkpoint(config, checkpoint_path={checkpoint!r}, vocab_path={vocab!r}, eval={speak!r})
print(time.perf_counter() - began)
"""
COQUI_SPEAKS = """
import soundfile, torch
audio, rate = soundfile.read({reference!r}, dtype="float32")
audio = torch.from_numpy(audio).reshape(1, -1)
latents = model.get_gpt_cond_latents(audio, rate)
voice = model.get_speaker_embedding(audio, rate)
torch.manual_seed(0)
result = model.inference({text!r}, "en", latents, voice, max_new_tokens={tokens})
soundfile.write(sys.argv[2], result["wav"], 24000)
"""
OUR_LOAD = """
import json, time
from pathlib import Path
from verify.coqui import model
from verify.checkpoint.archive import read_archive
config = json.loads(Path({config!r}).read_text())
began = time.perf_counter()
records = {{record.key: record for record in read_archive(Path({checkpoint!r})).tensors}}
skeleton = model.build_skeleton(config, Path({vocab!r}))
report = model.compare(skeleton, records)
assert model.load_strictly(skeleton, model.map_written(Path({checkpoint!r})), report).strict
print(time.perf_counter() - began)
"""
MAPPED_LOAD = """
import time, torch
began = time.perf_counter()
torch.load({checkpoint!r}, map_location="cpu", mmap=True, weights_only=True)
print(time.perf_counter() - began)
"""
BYTES_READ = """
import io, os, sys
from pathlib import Path
from verify.checkpoint import archive
total = 0
class Counting(io.FileIO):
    def read(self, size=-1):
        global total
        data = super().read(size)
        total += len(data)
        return data
    def readinto(self, buffer):
        global total
        count = super().readinto(buffer)
        total += count
        return count
archive.open_regular = lambda path: Counting(path)
archive.read_archive(Path(sys.argv[1]))
print(total)
"""
