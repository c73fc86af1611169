"""Measure the libraries that compute CRC-32, and how they slow down the SHA-256 after them: `python -m benchmarks.crc`.

`pip install isal` first for the row of ISA-L.
"""

import hashlib
import os
import time
import zlib
from importlib import import_module

LIBRARIES = {"zlib": "zlib", "zlib-ng": "zlib_ng.zlib_ng", "ISA-L": "isal.isal_zlib"}
PIECE, PIECES = os.urandom(2**19), 3460  # the size of the tensors of an XTTS v2: 1.8 GB


def seconds(function):
    start = time.perf_counter()
    for _ in range(PIECES):
        function(PIECE)
    return time.perf_counter() - start


def main():
    print("| library | CRC-32 of 1.8 GB, s | SHA-256 of 1.8 GB after it, s |\n|---|---|---|")
    for name, module in LIBRARIES.items():
        try:
            crc32 = import_module(module).crc32
        except ImportError:
            print(f"| {name} | not installed | |")
            continue
        assert crc32(PIECE) == zlib.crc32(PIECE)
        taken = seconds(crc32)
        print(f"| {name} | {taken:.2f} | {seconds(hashlib.sha256().update):.2f} |")


if __name__ == "__main__":
    main()
