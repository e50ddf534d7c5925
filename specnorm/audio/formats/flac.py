"""FLAC files: STREAMINFO, and the last frame where STREAMINFO has no digest (RFC 9639)."""

from __future__ import annotations

import functools
import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from specnorm.audio.formats.layout import Promise, truncated
from specnorm.errors import DataError

_STREAMINFO_BYTES = 34
_TRIES = 16  # places that look like a frame's header and are none: one is rare, many are made on purpose
_RATE_BYTES = {12: 1, 13: 2, 14: 2}  # of a sample rate that stands behind a frame's header, by its code


class _StreamInfo(NamedTuple):
    block: int  # frames of every block but the last, where all are of one size
    bits: int
    frames: int
    md5: bytes


def promise(data: bytes, where: object) -> Promise:
    """What STREAMINFO says of the samples: their number and the digest that they must have.

    A file without a digest, as a stream that was never finished leaves it, is held to the number in its last frame.

    Raises:
        DataError: STREAMINFO is missing or cut or does not tell the number of samples, or the last frame is not whole
            or tells another number.
    """
    stream, audio = _stream_info(data, where)
    if not stream.frames:
        raise DataError(
            "unsupported audio",
            where=where,
            expected="a FLAC file that tells its length",
            got="none",
            hint="Encode it again",
        )
    if not any(stream.md5):
        _check_last_frame(data, audio, stream, where)
        return Promise(stream.frames, stream.frames)
    return Promise(stream.frames, stream.frames, md5=stream.md5, bits=stream.bits)


def check_samples(samples: NDArray[np.int16] | NDArray[np.int32], found: Promise, where: object) -> None:
    """Hold decoded samples to the digest in STREAMINFO, which libsndfile does not look at.

    Args:
        samples: integers ``[frames, channels]`` that fill their type: the lowest bits are zeros.
        found: from :func:`promise`.
        where: the file's name in messages.

    Raises:
        DataError: the digest is another: samples are missing or damaged.
    """
    if found.md5 is None or found.bits is None:
        return
    spare, size = 8 * samples.itemsize - found.bits, -(-found.bits // 8)
    exact = np.ascontiguousarray(samples >> spare if spare else samples, f"<i{samples.itemsize}")
    raw = exact if size == exact.itemsize else exact[..., None].view(np.uint8)[..., :size].copy()
    md5 = hashlib.md5(raw.data, usedforsecurity=False).digest()
    if md5 != found.md5:
        raise DataError(
            "damaged audio",
            where=where,
            expected=f"samples with the MD5 {found.md5.hex()} of its header",
            got=f"{md5.hex()} of {len(samples)} frames",
            hint="Fetch the file again",
        )


def _stream_info(data: bytes, where: object) -> tuple[_StreamInfo, int]:
    """STREAMINFO, and where the first frame begins."""
    position, last = 4, False
    while not last:
        if position + 4 > len(data):
            raise truncated(where, f"a block of metadata at byte {position}", f"{len(data)} bytes")
        last, kind = bool(data[position] & 0x80), data[position] & 0x7F
        length = int.from_bytes(data[position + 1 : position + 4], "big")
        if position == 4 and (kind != 0 or length != _STREAMINFO_BYTES):
            raise DataError("bad FLAC header", where=where, expected="STREAMINFO first", got=f"a block of kind {kind}")
        position += 4 + length
    if position > len(data):
        raise truncated(where, f"metadata up to byte {position}", f"{len(data)} bytes")
    least, most = (int.from_bytes(data[start : start + 2], "big") for start in (8, 10))
    packed = int.from_bytes(data[18:26], "big")  # 20 bits of rate, 3 of channels, 5 of depth, 36 of frames
    stream = _StreamInfo(
        block=least if least == most else 0,
        bits=(packed >> 36 & 0x1F) + 1,
        frames=packed & (1 << 36) - 1,
        md5=data[26:42],
    )
    return stream, position


def _check_last_frame(data: bytes, audio: int, stream: _StreamInfo, where: object) -> None:
    """Hold the number of samples to that of the last frame, which is the last place whose checksums are right."""
    position, tries = len(data), 0
    while tries < _TRIES and (position := data.rfind(b"\xff", audio, position)) >= 0:
        end = _frame_end(data, position, stream)
        if end is None:
            continue
        tries += 1
        if _crc(data[position:], 0x8005, 16):
            continue
        if end != stream.frames:
            raise DataError(
                "damaged audio",
                where=where,
                expected=f"{stream.frames} frames by the header",
                got=f"{end} by the last block",
                hint="Encode it again",
            )
        return
    raise truncated(where, "a whole last block, where there is no MD5", "none")


def _frame_end(data: bytes, position: int, stream: _StreamInfo) -> int | None:
    """The number of samples up to the end of a frame (RFC 9639, section 9.1); none: no frame begins here."""
    head = data[position : position + 16]
    if len(head) < 6 or head[1] & 0xFE != 0xF8:
        return None
    size_code, rate_code = head[2] >> 4, head[2] & 0x0F
    width = next((bits for bits in range(8) if not head[4] & 0x80 >> bits), 8)  # as in UTF-8, but up to 7 bytes
    if width in (1, 8) or size_code == 0:
        return None
    number = head[4] & 0x7F >> width
    for byte in head[5 : 4 + max(width, 1)]:
        number = number << 6 | byte & 0x3F
    behind = 4 + max(width, 1)
    size_bytes = {6: 1, 7: 2}.get(size_code, 0)
    if size_bytes:
        size = 1 + int.from_bytes(head[behind : behind + size_bytes], "big")
    elif size_code < 6:
        size = 192 if size_code == 1 else 576 << size_code - 2
    else:
        size = 256 << size_code - 8
    behind += size_bytes + _RATE_BYTES.get(rate_code, 0)
    if behind >= len(head) or _crc(head[: behind + 1], 0x07, 8):
        return None
    first = number if head[1] & 1 else number * stream.block
    return first + size


def _crc(data: bytes, polynomial: int, width: int) -> int:
    """A checksum, most significant bit first, start 0; that of data with its own checksum behind it is 0."""
    table = _table(polynomial, width)
    crc, mask = 0, (1 << width) - 1
    for byte in data:
        crc = (crc << 8 & mask) ^ table[crc >> width - 8 ^ byte]
    return crc


@functools.cache
def _table(polynomial: int, width: int) -> list[int]:
    found = []
    for byte in range(256):
        crc = byte << width - 8
        for _ in range(8):
            crc = crc << 1 ^ (polynomial if crc >> width - 1 else 0)
            crc &= (1 << width) - 1
        found.append(crc)
    return found
