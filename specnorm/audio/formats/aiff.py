"""AIFF and AIFF-C files: the chunks of a FORM.

Layout: Apple, "Audio Interchange File Format", version 1.3 (1989), and "AIFF-C", draft of 1991.
"""

from __future__ import annotations

import struct

from specnorm.audio.formats.layout import Promise, check_layout, truncated
from specnorm.errors import DataError

_PCM_BITS = (8, 16, 24, 32)
# Bytes of a sample by AIFF-C's compression type; none: as many as the COMM chunk's bits fill.
_BYTES = {
    b"NONE": None,
    b"twos": None,
    b"sowt": None,
    b"raw ": 1,
    b"in24": 3,
    b"in32": 4,
    b"fl32": 4,
    b"FL32": 4,
    b"fl64": 8,
    b"FL64": 8,
}


def promise(data: bytes, where: object) -> Promise:
    """Hold a whole file to its FORM chunk, and its samples to the number that its COMM chunk gives.

    Raises:
        DataError: a chunk is missing, cut or there twice, the samples are compressed, or there are more or fewer of
            them than the COMM chunk says: libsndfile believes the SSND chunk alone.
    """
    claimed = 8 + int(struct.unpack_from(">I", data, 4)[0])
    if len(data) < claimed:
        raise truncated(where, f"{claimed} bytes by the header", f"{len(data)}")
    chunks = _chunks(data, claimed, where)
    common, sound = (_only(chunks, kind, where) for kind in (b"COMM", b"SSND"))
    frames, frame_bytes = _common(data[common[0] : common[0] + common[1]], data[8:12], where)
    if sound[1] < 8 or data[sound[0] : sound[0] + 4] != bytes(4):
        raise DataError("bad AIFF header", where=where, expected="an SSND chunk without an offset", got="another")
    if sound[1] - 8 != frames * frame_bytes:
        raise DataError(
            "bad AIFF header",
            where=where,
            expected=f"{frames} frames of {frame_bytes} bytes by its COMM chunk",
            got=f"{sound[1] - 8} bytes in its SSND chunk",
            hint="Fetch the file again",
        )
    appended = len(data) - claimed
    return Promise(
        frames, frames, warnings=(f"{appended} bytes behind the last chunk are not read",) if appended else ()
    )


def _chunks(data: bytes, end: int, where: object) -> list[tuple[bytes, int, int]]:
    """Kind, position of the body and length of every chunk of the FORM that ends at ``end``."""
    found, position = [], 12
    while position + 8 <= end:
        kind, length = struct.unpack_from(">4sI", data, position)
        if position + 8 + length > end:
            raise truncated(where, f"a {kind!r} chunk of {length} bytes", f"{end - position - 8}")
        found.append((kind, position + 8, length))
        position += 8 + length + length % 2
    if position < end:
        raise DataError(
            "damaged audio", where=where, expected=f"a chunk at byte {position}", got=f"{end - position} bytes"
        )
    return found


def _only(chunks: list[tuple[bytes, int, int]], kind: bytes, where: object) -> tuple[int, int]:
    """Position and length of the one chunk of a kind."""
    found = [(position, length) for name, position, length in chunks if name == kind]
    if len(found) != 1:
        raise DataError("bad AIFF header", where=where, expected=f"one {kind.decode()} chunk", got=len(found))
    return found[0]


def _common(body: bytes, form: bytes, where: object) -> tuple[int, int]:
    """Check a COMM chunk; returns the frames and the bytes of each."""
    compression = body[18:22] if form == b"AIFC" else b"NONE"
    if len(body) < 18 or len(compression) < 4:
        raise truncated(where, f"a COMM chunk of {22 if form == b'AIFC' else 18} bytes", f"{len(body)}")
    channels, frames, bits = struct.unpack_from(">HIH", body)
    if compression not in _BYTES or (_BYTES[compression] is None and bits not in _PCM_BITS):
        raise DataError(
            "unsupported encoding",
            where=where,
            expected="PCM of 8, 16, 24 or 32 bits or float samples",
            got=f"AIFF compression {compression!r} with {bits} bits",
            hint="Convert it to FLAC or WAV",
        )
    check_layout(where, rate=_rate(body[8:18]), channels=channels)
    return int(frames), int(channels * (_BYTES[compression] or bits // 8))


def _rate(extended: bytes) -> int:
    """The whole Hz of an 80-bit extended float: a sign, 15 bits of exponent, 64 of mantissa."""
    exponent, mantissa = struct.unpack(">HQ", extended)
    shift = 16383 + 63 - exponent
    return mantissa >> shift if 0 <= shift < 64 else 0
