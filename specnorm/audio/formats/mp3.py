"""MP3 files: the frames of ISO 11172-3 and 13818-3, layer III, and the Xing, Info or VBRI header in the first."""

from __future__ import annotations

import struct
from typing import NamedTuple

from specnorm.audio.formats.layout import Promise, truncated
from specnorm.errors import DataError

# kbit/s by the header's four bits; 0 is a free format, which tells no frame's length, and 15 is forbidden.
_KBITS = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
}
_RATES_HZ = (44100, 48000, 32000, 0)  # of MPEG-1; half and a quarter of that in 2 and 2.5
_DECODER_DELAY = 529  # frames that layer III's filters lag behind; players drop them from the start
_LAME_BYTES = 36  # from the encoder's name to the checksum


class _Frame(NamedTuple):
    kind: tuple[int, int]  # version and rate, the same in every frame of a stream
    mono: bool
    samples: int
    length: int  # bytes


def promise(data: bytes, where: object) -> Promise:
    """Walk a file's frames and hold their number to the one that the first frame gives.

    libsndfile believes the first frame: where it gives too few it stops early, and it drops a second stream behind the
    first. Without such a number it guesses from the first frame's bit rate, and of a variable rate it drops most.

    Raises:
        DataError: the first frame does not tell the number, another is there, or a frame is damaged or cut.
    """
    position = _after_tags(data)
    first = _frame(data, position)
    if first is None:
        raise DataError("damaged audio", where=where, expected=f"an MP3 frame at byte {position}", got="other bytes")
    count, trimmed = _told(data[position : position + first.length], first, where)
    found, samples, position = 0, 0, position + first.length
    while (frame := _frame(data, position)) is not None and frame.kind == first.kind:
        if position + frame.length > len(data):
            raise truncated(where, f"{count} frames of MPEG audio by the header", f"{found} and a part of one")
        found, samples, position = found + 1, samples + frame.samples, position + frame.length
    warnings = _behind(data, position, where)
    if found != count:
        raise (truncated if found < count else _damaged)(
            where, f"{count} frames of MPEG audio by the header", f"{found}"
        )
    return Promise(max(0, samples - trimmed), samples, warnings=warnings)


def _damaged(where: object, expected: str, got: str) -> DataError:
    return DataError("damaged audio", where=where, expected=expected, got=got, hint="Two files joined? Encode it again")


def _after_tags(data: bytes) -> int:
    """Where the first frame begins: behind ID3v2 tags of 10 bytes and a size of 4 x 7 bits (ID3v2.4, section 3.1)."""
    position = 0
    while data[position : position + 3] == b"ID3" and len(data) >= position + 10:
        size = sum(
            (byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(data[position + 6 : position + 10]))
        )
        position += 10 + size
    return position


def _frame(data: bytes, position: int) -> _Frame | None:
    """The frame that begins at ``position``; none: no frame does."""
    if position + 4 > len(data):
        return None
    head = int.from_bytes(data[position : position + 4], "big")
    version = {3: 1, 2: 2, 0: 3}.get(head >> 19 & 3)  # 3 stands for MPEG-2.5
    if head >> 21 != 0x7FF or head >> 17 & 3 != 1 or version is None:
        return None
    rate = _RATES_HZ[head >> 10 & 3] >> version - 1
    kbits = _KBITS[min(version, 2)][head >> 12 & 15]
    if not rate or not kbits:
        return None
    samples = 1152 if version == 1 else 576
    length = samples * kbits * 125 // rate + (head >> 9 & 1)
    return _Frame((version, rate), head >> 6 & 3 == 3, samples, length)


def _told(frame: bytes, facts: _Frame, where: object) -> tuple[int, int]:
    """The number of frames that the first one tells, and how many samples a decoder may trim at the ends."""
    side = {(1, False): 32, (1, True): 17, (2, False): 17, (2, True): 9}[min(facts.kind[0], 2), facts.mono]
    start = 4 + side
    mark, flags = frame[start : start + 4], frame[start + 4 : start + 8]
    if mark in (b"Xing", b"Info") and len(flags) == 4 and flags[3] & 1:
        count = int.from_bytes(frame[start + 8 : start + 12], "big")
        fields = ((1, 4), (2, 4), (4, 100), (8, 4))  # frames, bytes, table of contents, quality: each has a bit
        lame = start + 8 + sum(size for bit, size in fields if flags[3] & bit)
        return count, _trimmed(frame, lame, where)
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        return int(struct.unpack_from(">I", frame, 50)[0]), _DECODER_DELAY
    raise DataError(
        "unsupported audio",
        where=where,
        expected="an MP3 with its length in the first frame (Xing, Info or VBRI)",
        got="none",
        hint="Convert it to FLAC or WAV",
    )


def _trimmed(frame: bytes, lame: int, where: object) -> int:
    """Samples at both ends that are the encoder's own, by LAME's tag, whose checksum must be right where it has one."""
    tag = frame[lame : lame + _LAME_BYTES]
    if len(tag) < _LAME_BYTES or not any(tag[:4]):
        return _DECODER_DELAY
    stored, before = int.from_bytes(tag[34:36], "big"), frame[: lame + 34]
    # LAME's checksum is of all before it. FFmpeg's is always of 190 bytes, its own place still zeros.
    if stored and stored not in (_checksum(before), _checksum((before + bytes(2) + frame[lame + 36 :])[:190])):
        raise DataError("damaged audio", where=where, got="a wrong checksum of the MP3's first frame")
    packed = int.from_bytes(tag[21:24], "big")  # 12 bits of delay, 12 of padding
    return (packed >> 12) + max(packed & 0xFFF, _DECODER_DELAY)


def _behind(data: bytes, position: int, where: object) -> tuple[str, ...]:
    """Pass over the tags behind the last frame; a sentence about bytes that are none."""
    rest = data[position:]
    if rest[-128:-125] == b"TAG":  # ID3v1
        rest = rest[:-128]
    if len(rest) >= 32 and rest[-32:-24] == b"APETAGEX":  # the footer of an APE tag, with the length before it
        length, flags = int.from_bytes(rest[-20:-16], "little"), int.from_bytes(rest[-12:-8], "little")
        whole = length + (32 if flags >> 31 else 0)
        rest = rest[: max(0, len(rest) - whole)]
    if not rest:
        return ()
    if any(rest):
        raise DataError(
            "damaged audio",
            where=where,
            expected=f"an MP3 frame, a tag or the end at byte {position}",
            got=f"{len(rest)} other bytes",
            hint="Two files joined? Encode it again",
        )
    return (f"{len(rest)} zeros behind the last frame are not read",)


def _checksum(data: bytes) -> int:
    """CRC-16 of LAME's tag: polynomial 0x8005, least significant bit first, start 0."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
