"""Ogg files: the pages of RFC 3533."""

from __future__ import annotations

import struct
import zlib

from specnorm.audio.formats.layout import Promise, truncated
from specnorm.errors import DataError

_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def promise(data: bytes, where: object) -> Promise:
    """Walk a file's pages: every one whole and intact, the last one marked as the last.

    libsndfile takes a cut file's last page for its end, skips damaged pages and stops after the first of several
    streams, all in silence.

    Raises:
        DataError: a page is missing, cut or damaged, or begins another stream.
    """
    position, last = 0, False
    while position < len(data):
        segments = data[position + 27 : position + 27 + data[position + 26]] if position + 27 <= len(data) else b""
        end = position + 27 + len(segments) + sum(segments)
        if data[position : position + 4] != b"OggS"[: len(data) - position]:
            raise DataError("damaged audio", where=where, expected=f"an Ogg page at byte {position}", got="other bytes")
        if end > len(data) or len(segments) != data[position + 26]:
            raise truncated(where, f"an Ogg page up to byte {end}", f"{len(data)} bytes")
        page = data[position : position + 22] + bytes(4) + data[position + 26 : end]
        if struct.unpack_from("<I", data, position + 22)[0] != _checksum(page):
            raise DataError("damaged audio", where=where, got=f"a wrong checksum of the Ogg page at byte {position}")
        if position and data[position + 5] & 0x02:
            raise DataError(
                "unsupported audio", where=where, expected="one Ogg stream", got=f"another at byte {position}"
            )
        last = bool(data[position + 5] & 0x04)
        position = end
    if not last:
        raise truncated(where, "a last Ogg page marked as the last", "none")
    return Promise()


def _checksum(page: bytes) -> int:
    """CRC-32 with the polynomial of zlib, most significant bit first, start 0 (RFC 3533): zlib's on reversed bits."""
    reflected = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)
