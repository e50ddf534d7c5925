"""The header of a WAV file, read from its first bytes."""

from __future__ import annotations

import struct
from typing import NamedTuple

from specnorm.errors import DataError

HEAD_BYTES = 4096  # a header with the usual chunks before the samples fits


class WavHeader(NamedTuple):
    """What a RIFF WAVE header promises about its samples."""

    format: int  # 1 is linear PCM
    channels: int
    sample_rate: int  # Hz
    bits: int  # of a sample
    frames: int


def wav_header(head: bytes, size: int, *, where: object) -> WavHeader:
    """Parse a WAV header.

    Args:
        head: the first bytes of the file, :data:`HEAD_BYTES` or all.
        size: the length of the whole file in bytes.
        where: the file's name in messages.

    Raises:
        DataError: the bytes are no WAV header, or the file is shorter than its header says.
    """
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise DataError("not a WAV file", where=where, expected="b'RIFF....WAVE'", got=repr(head[:12]))
    form: tuple[int, int, int, int, int, int] | None = None
    position = 12
    while position + 8 <= len(head):
        name, length = struct.unpack_from("<4sI", head, position)
        position += 8
        if name == b"fmt " and length >= 16 and position + 16 <= len(head):
            form = struct.unpack_from("<HHIIHH", head, position)
        if name == b"data" and form is not None:
            kind, channels, rate, _, block, bits = form
            if position + length > size or block == 0:
                raise DataError("cut WAV file", where=where, expected=f"{length} bytes of samples", got=size - position)
            return WavHeader(kind, channels, rate, bits, length // block)
        position += length + length % 2  # chunks start at even positions
    raise DataError("broken WAV header", where=where, expected="a fmt chunk, then a data chunk", got="none")
