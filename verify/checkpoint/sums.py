"""CRC-32 as ZIP has it (APPNOTE 4.4.7): by zlib-ng's vector instructions, 15 times as fast as zlib here, or by zlib.

Not by ISA-L, which is as fast: it leaves the upper halves of the vector registers in use, and OpenSSL's SHA-256 then takes a third longer.
"""

try:
    from zlib_ng.zlib_ng import crc32
except ImportError:  # no wheel for this processor
    from zlib import crc32

__all__ = ["crc32"]
