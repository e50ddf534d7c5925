"""Containers of audio: what a file's own bytes promise, checked before anything is decoded or allocated."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import PurePosixPath
from typing import NamedTuple

from specnorm.errors import DataError

LOWEST_RATE_HZ = 1_000
HIGHEST_RATE_HZ = 768_000
MOST_CHANNELS = 2
HEAD_BYTES = 4096  # a WAV header with the usual chunks before the samples fits

_BY_SUFFIX = {
    ".wav": "WAV",
    ".wave": "WAV",
    ".aif": "AIFF",
    ".aiff": "AIFF",
    ".aifc": "AIFF",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".oga": "OGG",
    ".opus": "OGG",
    ".mp3": "MP3",
}
SUFFIXES = tuple(_BY_SUFFIX)  # of the file names that are read as audio, in small letters
_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_WAV_BITS = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64)}
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")  # of every sub-format that is a plain format tag
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class WavHeader(NamedTuple):
    """What a RIFF WAVE header promises about its samples."""

    format: int  # 1 is linear PCM, 3 is float
    channels: int
    sample_rate: int  # Hz
    bits: int  # of a sample
    frames: int


def container_of(data: bytes, name: str) -> str:
    """The format by the first bytes, which must be the one that the name promises."""
    start = data[:12]
    found = None
    if start[:4] == b"RIFF" and start[8:] in (b"WAVE", b"WAVE"[: max(len(data) - 8, 0)]):
        found = "WAV"
    elif start[:4] == b"FORM" and start[8:] in (b"AIFF", b"AIFC"):
        found = "AIFF"
    elif start[:4] == b"fLaC":
        found = "FLAC"
    elif start[:4] == b"OggS":
        found = "OGG"
    # An ID3 tag, or a frame's 11 sync bits with layer III (UTF-16 text, FF FE, would be layer I).
    elif start[:3] == b"ID3" or (len(start) > 1 and start[0] == 0xFF and start[1] & 0xE6 == 0xE2):
        found = "MP3"
    if found is None:
        got = f"first bytes {start!r}" if data else "an empty file"
        raise DataError("not audio", where=name, expected="WAV, AIFF, FLAC, Ogg or MP3", got=got)
    promised = _BY_SUFFIX.get(PurePosixPath(name).suffix.lower(), found)
    if promised != found:
        raise DataError("format mismatch", where=name, expected=f"{promised} by its name", got=f"{found} bytes")
    return found


def check_whole(container: str, data: bytes, name: str) -> int | None:
    """Hold a file to its container's own promises; returns the frames that a WAV header claims, else ``None``.

    Raises:
        DataError: the file is cut or damaged, or of a form that libsndfile would shorten in silence.
    """
    if container == "WAV":
        return wav_header(data, len(data), where=name).frames
    if container == "AIFF":
        _check_aiff(data, name)
    elif container == "OGG":
        _check_ogg(data, name)
    elif container == "MP3":
        _check_mp3(data, name)
    return None


def wav_header(head: bytes, size: int, *, where: object) -> WavHeader:
    """Check the header of a RIFF/WAVE file whole.

    Layout: Microsoft, "Multiple channel audio data and WAVE files" (2007), and "New multimedia data types" (1994).

    Args:
        head: the first bytes of the file, :data:`HEAD_BYTES` or all.
        size: the length of the whole file in bytes.
        where: the file's name in messages.

    Raises:
        DataError: the bytes are no WAV header or an impossible one, or the file is shorter than its header says.
    """
    if head[:4] != b"RIFF"[: len(head)] or head[8:12] != b"WAVE"[: max(len(head) - 8, 0)]:  # a cut one is told below
        raise DataError("not a WAV file", where=where, expected="b'RIFF....WAVE'", got=repr(head[:12]))
    form: tuple[int, int, int, int] | None = None
    position = 12
    while position + 8 <= len(head):
        kind, length = struct.unpack_from("<4sI", head, position)
        body = position + 8
        if kind == b"fmt ":
            if form is not None:
                raise DataError("bad WAV header", where=where, expected="one fmt chunk", got="two")
            form = _wav_form(head[body : body + length], length, where)
        elif kind == b"data":
            if form is None:
                raise DataError("bad WAV header", where=where, expected="a fmt chunk before the data", got="none")
            tag, channels, rate, bits = form
            block_align, there = channels * bits // 8, size - body
            if length > there:
                raise truncated(
                    where, f"{length // block_align} frames by the header", f"{there // block_align} in {size} bytes"
                )
            if length % block_align:
                raise DataError(
                    "bad WAV header",
                    where=where,
                    expected=f"whole frames of {block_align} bytes",
                    got=f"{length} bytes",
                )
            return WavHeader(tag, channels, rate, bits, length // block_align)
        position = body + length + length % 2  # chunks start at even positions
    raise truncated(where, "a data chunk", f"the end of the file after {len(head)} bytes")


def check_layout(
    where: object, *, rate: int, channels: int, frames: int | None = None, max_seconds: float = math.inf
) -> None:
    """The gate of every format: rate, channels and, once they are known, frames."""
    if not LOWEST_RATE_HZ <= rate <= HIGHEST_RATE_HZ:
        raise DataError(
            "bad sample rate", where=where, expected=f"{LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz", got=f"{rate} Hz"
        )
    if not 1 <= channels <= MOST_CHANNELS:
        raise DataError(
            "bad number of channels", where=where, expected=f"1 to {MOST_CHANNELS}", got=channels, hint="Mix it down"
        )
    if frames is not None and frames < 1:
        raise DataError("no audio", where=where, expected="at least one frame", got=frames)
    if frames is not None and frames > max_seconds * rate:
        raise DataError(
            "too long", where=where, expected=f"at most {max_seconds:g} s", got=f"{frames / rate:.1f} s by the header"
        )


def truncated(where: object, expected: str, got: str) -> DataError:
    """The error for a file that ends before its header says."""
    return DataError("truncated", where=where, expected=expected, got=got, hint="Fetch the file again")


def _wav_form(fmt: bytes, size: int, where: object) -> tuple[int, int, int, int]:
    """Check a fmt chunk of ``size`` bytes by its header; returns format tag, channels, rate and bits."""
    if not 16 <= size <= 200:
        raise DataError("bad WAV header", where=where, expected="a fmt chunk of 16 to 200 bytes", got=size)
    if len(fmt) < size:
        raise truncated(where, f"a fmt chunk of {size} bytes", f"{len(fmt)}")
    tag, channels, rate, _, block_align, bits = struct.unpack_from("<HHIIHH", fmt)
    if tag == _EXTENSIBLE and size >= 40 and fmt[26:40] == _GUID_TAIL:
        tag = struct.unpack_from("<H", fmt, 24)[0]
    if bits not in _WAV_BITS.get(tag, ()):
        raise DataError(
            "unsupported WAV encoding",
            where=where,
            expected="PCM of 8, 16, 24 or 32 bits or float of 32 or 64",
            got=f"format tag {tag:#06x} with {bits} bits",
            hint="Convert it to 16-bit PCM",
        )
    check_layout(where, rate=rate, channels=channels)
    if block_align != channels * bits // 8:
        raise DataError(
            "bad WAV header", where=where, expected=f"block_align {channels * bits // 8}", got=f"{block_align}"
        )
    return int(tag), int(channels), int(rate), int(bits)


def _check_aiff(data: bytes, name: str) -> None:
    """Refuse an AIFF file that is shorter than its FORM chunk."""
    claimed = 8 + int(struct.unpack_from(">I", data, 4)[0])
    if len(data) < claimed:
        raise truncated(name, f"{claimed} bytes by the header", f"{len(data)}")


def _check_mp3(data: bytes, name: str) -> None:
    """Refuse an MP3 file whose first frame does not tell the length.

    libsndfile guesses it from the first frame's bit rate and then stops there: of a variable rate it drops most.
    """
    tag = 0
    if data[:3] == b"ID3" and len(data) >= 10:  # 10 bytes, and a size of 4 x 7 bits (ID3v2.4, section 3.1)
        tag = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    first_frame = data[tag : tag + 192]
    if not any(mark in first_frame for mark in (b"Xing", b"Info", b"VBRI")):
        raise DataError(
            "unsupported audio",
            where=name,
            expected="an MP3 with its length in the first frame (Xing, Info or VBRI)",
            got="none",
            hint="Convert it to FLAC or WAV",
        )


def _check_ogg(data: bytes, name: str) -> None:
    """Walk an Ogg file's pages (RFC 3533): every one whole and intact, the last one marked as the last.

    libsndfile takes a cut file's last page for its end, skips damaged pages and stops after the first of several
    streams, all in silence.
    """
    position, last = 0, False
    while position < len(data):
        segments = data[position + 27 : position + 27 + data[position + 26]] if position + 27 <= len(data) else b""
        end = position + 27 + len(segments) + sum(segments)
        if data[position : position + 4] != b"OggS"[: len(data) - position]:
            raise DataError("damaged audio", where=name, expected=f"an Ogg page at byte {position}", got="other bytes")
        if end > len(data) or len(segments) != data[position + 26]:
            raise truncated(name, f"an Ogg page up to byte {end}", f"{len(data)} bytes")
        page = data[position : position + 22] + bytes(4) + data[position + 26 : end]
        if struct.unpack_from("<I", data, position + 22)[0] != _ogg_checksum(page):
            raise DataError("damaged audio", where=name, got=f"a wrong checksum of the Ogg page at byte {position}")
        if position and data[position + 5] & 0x02:
            raise DataError(
                "unsupported audio", where=name, expected="one Ogg stream", got=f"another at byte {position}"
            )
        last = bool(data[position + 5] & 0x04)
        position = end
    if not last:
        raise truncated(name, "a last Ogg page marked as the last", "none")


def _ogg_checksum(page: bytes) -> int:
    """CRC-32 with the polynomial of zlib, most significant bit first, start 0 (RFC 3533): zlib's on reversed bits."""
    reflected = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)
