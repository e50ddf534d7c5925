"""RIFF WAVE files: the header, and the chunks around the samples.

Layout: Microsoft, "Multiple channel audio data and WAVE files" (2007), and "New multimedia data types" (1994).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from specnorm.audio.formats.layout import Promise, check_layout, truncated
from specnorm.errors import DataError

_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_BITS = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64)}
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")  # of every sub-format that is a plain format tag


class WavHeader(NamedTuple):
    """What a RIFF WAVE header promises about its samples."""

    format: int  # 1 is linear PCM, 3 is float
    channels: int
    sample_rate: int  # Hz
    bits: int  # of a sample
    frames: int


def promise(data: bytes, where: object) -> Promise:
    """Hold a whole file to its header, and what follows its samples to the form of chunks.

    Raises:
        DataError: as :func:`header`; or there are bytes behind the samples, within the file's own length, that are no
            chunks, as where a data chunk claims less than was written.
    """
    found, end = _walked(data, len(data), where)
    return Promise(found.frames, found.frames, warnings=_strays(data, end, found, where))


def header(head: bytes, size: int, *, where: object) -> WavHeader:
    """Check the header of a file whole.

    Args:
        head: the first bytes of the file, up to its samples or all.
        size: the length of the whole file in bytes.
        where: the file's name in messages.

    Raises:
        DataError: the bytes are no WAV header or an impossible one, or the file is shorter than its header says.
    """
    return _walked(head, size, where)[0]


def _walked(head: bytes, size: int, where: object) -> tuple[WavHeader, int]:
    """The header, and where the samples end."""
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
            form = _form(head[body : body + length], length, where)
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
            return WavHeader(tag, channels, rate, bits, length // block_align), body + length
        position = body + length + length % 2  # chunks start at even positions
    raise truncated(where, "a data chunk", f"the end of the file after {len(head)} bytes")


def _form(fmt: bytes, size: int, where: object) -> tuple[int, int, int, int]:
    """Check a fmt chunk of ``size`` bytes by its header; returns format tag, channels, rate and bits."""
    if not 16 <= size <= 200:
        raise DataError("bad WAV header", where=where, expected="a fmt chunk of 16 to 200 bytes", got=size)
    if len(fmt) < size:
        raise truncated(where, f"a fmt chunk of {size} bytes", f"{len(fmt)}")
    tag, channels, rate, _, block_align, bits = struct.unpack_from("<HHIIHH", fmt)
    if tag == _EXTENSIBLE and size >= 40 and fmt[26:40] == _GUID_TAIL:
        tag = struct.unpack_from("<H", fmt, 24)[0]
    if bits not in _BITS.get(tag, ()):
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


def _strays(data: bytes, end: int, found: WavHeader, where: object) -> tuple[str, ...]:
    """Walk the chunks behind the samples; a sentence about bytes that are none.

    Within the length that the RIFF header gives, such bytes contradict it: most often they are samples that the data
    chunk does not count, and a decoder drops them in silence. Beyond that length they are something appended.
    """
    position = end
    if end % 2 and data[end : end + 1] == b"\0":  # the pad byte, which some writers forget
        position += 1
    while len(data) - position >= 8:
        kind, length = struct.unpack_from("<4sI", data, position)
        if not (kind.isascii() and kind.decode("ascii").isprintable()) or length > len(data) - position - 8:
            break
        if kind == b"data":
            raise DataError("unsupported WAV file", where=where, expected="one data chunk", got="two")
        position = min(position + 8 + length + length % 2, len(data))
    stray = len(data) - position
    if not stray:
        return ()
    frame = found.channels * found.bits // 8
    claimed = 8 + int(struct.unpack_from("<I", data, 4)[0])
    if min(claimed, len(data)) - position >= frame:
        raise DataError(
            "damaged audio",
            where=where,
            expected=f"{found.frames} frames by the data chunk and other chunks behind them",
            got=f"{stray} bytes behind the last chunk, as many as {stray // frame} more frames",
            hint="Write the file anew, or cut those bytes off",
        )
    return (f"{stray} bytes behind the last chunk are not read",)
