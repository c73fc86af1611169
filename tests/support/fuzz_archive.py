"""Coverage-guided fuzzing of the reader with atheris, which is no dependency: `pip install atheris numpy "fsspec[http]"`, then

    python -m tests.support.fuzz_archive CORPUS -max_total_time=1800 -rss_limit_mb=1000 -timeout=60 -max_len=16384

CORPUS is a new folder that is seeded with small valid files; what it finds is written to CORPUS.finds and it goes on. A
find is an exception, and an input that takes too long or too much memory for its size: the machine's repetition is what
a limit on bytes does not see. `python -m tests.support.fuzz_archive --lines CORPUS` says which share of the lines the corpus reaches.
"""

import collections
import contextlib
import hashlib
import os
import resource
import struct
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

from tests.support import bombs, fake_server, seeds

MAX_SECONDS = 1.0  # of the processor, for an input of 16 kB under the instruments of atheris
MAX_GROWTH_BYTES = 100e6
ASIDE = "/dev/shm" if os.path.isdir("/dev/shm") else None
ERROR_TEXTS = (
    'RuntimeError: Error(s) in loading state_dict for Xtts:\n\tMissing key(s) in state_dict: "gpt.gpt.h.2.ln_1.weight". \n'
    '\tUnexpected key(s) in state_dict: "xtts.gpt.gpt.h.0.ln_1.weight", "emb_g.weight". \n'
    "\tsize mismatch for gpt.text_embedding.weight: copying a param with shape torch.Size([65, 128]) from checkpoint, "
    "the shape in current model is torch.Size([66, 128]).",
    "[rank1]: INFO | > > KeyError: 'model'\nModuleNotFoundError: No module named 'TTS'",
)
WHOLE, INDEX, VOICES, HEADER, ERROR_TEXT, RANGES = range(6)  # the first byte of an input says what the rest of it is
# What a web server answers to one of the requests: its number, its status, headers; the others get what they ask for.
ANSWERS = (
    b"0 206", b"1 206\nContent-Range: bytes 0-0/99999999999", b"2 206\nContent-Length: 10000000000",
    b"1 200\nContent-Type: text/html", b"3 206\nETag: \"2\"", b"1 206\nContent-Encoding: gzip", b"2 416", b"4 503",
    b"1 302\nLocation: https://127.0.0.1/x?y", b"0 302\nLocation: //[::1", b"0 206\nContent-Range: bytes */*",
)  # fmt: skip


def seed_inputs() -> list[bytes]:
    """Return one input of each kind for each valid file."""
    trained, other = seeds.checkpoint(), seeds.checkpoint(protocol=4, prefix="")
    config = {
        "config": seeds.Name("TTS.tts.models.xtts", "XttsArgs"),
        "model": {"mel_stats": seeds.Tensor("11", (80,))},
    }
    header = seeds.safetensors()
    length = struct.unpack("<Q", header[:8])[0]
    inputs = [(WHOLE, trained), (WHOLE, other), (WHOLE, seeds.speakers()), (WHOLE, header), (WHOLE, trained[:3000])]
    inputs += [(INDEX, seeds.pickled(config)), (INDEX, seeds.pickled(config, 4)), (INDEX, b"\x80\x02cos\nsystem\n.")]
    inputs += [(INDEX, _index_of(trained)), (INDEX, _index_of(other)), (VOICES, _index_of(seeds.speakers()))]
    inputs += [(INDEX, index) for index in bombs.small_indexes()]
    inputs += [(ERROR_TEXT, text.encode()) for text in ERROR_TEXTS]
    inputs += [(RANGES, answer + b"\n\n" + trained) for answer in ANSWERS]
    inputs += [(HEADER, header[8 : 8 + length]), (WHOLE, b"<!doctype html>"), (WHOLE, b"\x80\x02]q\x00.")]
    return [bytes([kind]) + data for kind, data in inputs]


def _index_of(container: bytes) -> bytes:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(container)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))


def as_file(data: bytes) -> bytes:
    """Return the file that an input stands for: an index gets a sound container, a header its true length."""
    kind, rest = (data[0] % 6, data[1:]) if data else (WHOLE, b"")
    if kind in (INDEX, VOICES):
        members = {"x/data.pkl": rest, **{f"x/data/{n}": bytes(320) for n in range(12)}}
        return seeds.zipped(members)
    if kind == HEADER:
        return struct.pack("<Q", len(rest)) + rest + bytes(64)
    return rest


def read(path: Path) -> None:
    """Read the file as a checkpoint and as voices, and hold what is said about it against its size.

    Raises:
        AssertionError: a record points out of the file, or out of its storage.
    """
    from verify.checkpoint import archive, reader
    from verify.checkpoint.equality import same_bytes
    from verify.conversion.ledger import build_ledger
    from verify.diagnosis.architecture import read_architecture
    from verify.errors import ConversionError

    size = path.stat().st_size
    with contextlib.suppress(ConversionError):
        checkpoint = archive.read_archive(path)
        for record in checkpoint.tensors:
            assert 0 <= record.storage_start <= record.storage_start + record.storage_bytes <= size, record
            assert record.offset + record.bytes <= record.storage_bytes or not record.contiguous, record
        ledger = build_ledger(checkpoint.tensors, same_bytes)
        read_architecture(ledger.written)
        reader.read_tensors(ledger.written, lambda _: None)
    with contextlib.suppress(ConversionError):
        archive.read_voices(path)


def explain(text: bytes) -> None:
    """Explain an error text, without a checkpoint beside it."""
    from verify.diagnosis import explain as diagnosis
    from verify.errors import ConversionError

    with contextlib.suppress(ConversionError):
        diagnosis.explain(text)


class Harness:
    """One file, written anew for each input; what raises anything but a ConversionError is a find."""

    def __init__(self, finds: Path) -> None:
        self.finds, self.seen = finds, set()
        self.path = Path(tempfile.mkdtemp(dir=ASIDE)) / "x.pth"

    def __call__(self, data: bytes) -> None:
        before, began = _peak(), time.process_time()
        try:
            if data and data[0] % 6 == ERROR_TEXT:
                explain(data[1:])
            elif data and data[0] % 6 == RANGES:
                fake_server.read(data[1:])
            else:
                self.path.write_bytes(as_file(data))
                read(self.path)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            self._keep(data, f"{type(error)}{place.filename}{place.lineno}", traceback.format_exc())
        seconds, growth = time.process_time() - began, _peak() - before
        if seconds > MAX_SECONDS or growth > MAX_GROWTH_BYTES:
            self._keep(data, f"cost of kind {data[0] % 6}", f"{seconds:.1f} s, {growth / 1e6:.0f} MB")

    def _keep(self, data: bytes, what: str, words: str) -> None:
        """Write down a find, once for each place."""
        mark = hashlib.sha256(what.encode()).hexdigest()[:12]
        if mark not in self.seen:
            self.seen.add(mark)
            self.finds.mkdir(exist_ok=True)
            (self.finds / mark).write_bytes(data)
            (self.finds / f"{mark}.txt").write_text(words)


def _peak() -> int:
    """Return the most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def lines(corpus: Path) -> None:
    """Print which share of the lines of each module the inputs of the corpus reach."""
    reached_lines: dict[str, set[int]] = collections.defaultdict(set)

    def trace(frame, event, _):
        file = frame.f_code.co_filename
        if "/checkpoint/" not in file and "/files/" not in file:
            return None
        reached_lines[frame.f_code.co_filename].add(frame.f_lineno)
        return trace

    harness = Harness(corpus.with_suffix(".replayed"))
    inputs = [path.read_bytes() for path in sorted(corpus.iterdir())]
    threading.settrace(trace)  # the answers of a server are read on a thread
    for data in inputs:
        sys.settrace(trace)  # anew, as Python ends it where a deep input leaves it no room
        harness(data)
    sys.settrace(None)
    print(f"{len(inputs):,} inputs")
    for name, reached in sorted(reached_lines.items()):
        all_lines = _lines_of(compile(Path(name).read_text(), name, "exec"), inside=False)
        print(f"{Path(name).name}: {len(reached & all_lines)} of {len(all_lines)} lines in functions")


def _lines_of(code, inside: bool) -> set[int]:
    own_lines = {line for _, _, line in code.co_lines() if line and line != code.co_firstlineno} if inside else set()
    nested = [const for const in code.co_consts if hasattr(const, "co_lines")]
    return own_lines.union(*(_lines_of(const, not const.co_name[0].isupper()) for const in nested))


def main() -> None:
    if sys.argv[1] == "--lines":
        return lines(Path(sys.argv[2]))
    import atheris

    with atheris.instrument_imports(include=["verify"]):
        from verify.checkpoint import archive  # noqa: F401
        from verify.files import remote_file  # noqa: F401
    corpus = Path(sys.argv[1])
    corpus.mkdir(exist_ok=True)
    for number, data in enumerate(seed_inputs()):
        (corpus / f"seed{number}").write_bytes(data)
    atheris.Setup(sys.argv, Harness(corpus.with_suffix(".finds")))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
