"""Audio files that are damaged with a knowledge of their format."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from specnorm.audio.decode import HIGHEST_LEVEL, decode, promised_seconds
from tests.faults.bad_wav import chunk, encode, fmt, replaced, riff, tone
from tests.fuzz.seals import seal_sound
from tests.fuzz.spoil import Draw, change, one_of

SUBTYPES = {
    "WAV": ("PCM_U8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE", "ULAW"),
    "AIFF": ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ULAW"),
    "FLAC": ("PCM_S8", "PCM_16", "PCM_24"),
    "OGG": ("VORBIS", "OPUS"),
    "MP3": ("MPEG_LAYER_III",),
}
NAMES = {"WAV": "a.wav", "AIFF": "a.aiff", "FLAC": "a.flac", "OGG": "a.ogg", "MP3": "a.mp3"}


@functools.cache
def sound(container: str, subtype: str, channels: int) -> bytes:
    """A short sound file."""
    return encode(np.tile(tone(1500)[:, None], channels), container, subtype)


def spoil(container: str, draw: Draw, folder: Path) -> None:
    """Write a sound file with another structure or other bytes, its own checksums often edited to match."""
    whole = sound(container, draw(st.sampled_from(SUBTYPES[container])), draw(st.sampled_from([1, 2])))

    def made() -> bytes:
        return {"WAV": _wav, "AIFF": _aiff, "FLAC": _flac, "OGG": _pieces, "MP3": _mp3}[container](draw, whole)

    data = one_of(draw, made, lambda: change(draw, whole))
    if draw(st.booleans()):
        data = seal_sound(container, data)
    (folder / NAMES[container]).write_bytes(data)


def read(container: str, folder: Path) -> None:
    """Decode it; what comes of it is a waveform as long as its header promised."""
    name = NAMES[container]
    data = (folder / name).read_bytes()
    with _quiet_decoder():
        clip = decode(data, name=name)
        seconds = promised_seconds(data, size=len(data), name=name)
    assert clip.waveform.size
    assert np.isfinite(clip.waveform).all()
    assert np.abs(clip.waveform).max() <= HIGHEST_LEVEL
    assert math.isclose(seconds, clip.waveform.size / clip.sample_rate)


@contextlib.contextmanager
def _quiet_decoder() -> Iterator[None]:
    """Without the lines that the MP3 decoder itself writes of every damaged frame."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _wav(draw: Draw, _: bytes) -> bytes:
    kinds = st.sampled_from([b"fmt ", b"data", b"data", b"LIST", b"fact", b"JUNK", b"\0\0\0\0"])
    odd = st.integers(0, 2**16 - 1)
    form = fmt(
        tag=draw(st.sampled_from([1, 1, 3, 0xFFFE]) | odd),
        channels=draw(st.sampled_from([1, 2]) | odd),
        rate=draw(st.sampled_from([8000, 0, 2**32 - 1])),
        bits=draw(st.sampled_from([8, 16, 24, 32, 64]) | odd),
        block_align=draw(st.sampled_from([1, 2, 3, 4, 8]) | odd),
    )
    chunks = [chunk(b"fmt ", form + draw(st.sampled_from([b"", bytes(2), bytes(24), bytes(300)])))]
    for kind in draw(st.lists(kinds, min_size=1, max_size=4)):
        body = draw(st.binary(max_size=40))
        chunks.append(chunk(kind, body, draw(st.none() | st.integers(0, 60) | st.just(2**32 - 1))))
    return riff(*chunks) + draw(st.binary(max_size=12))


def _aiff(draw: Draw, whole: bytes) -> bytes:
    common, sound_data = whole.index(b"COMM"), whole.index(b"SSND")
    for _ in range(draw(st.integers(1, 3))):
        start, width = draw(
            st.sampled_from(
                [
                    (4, 4),
                    (common + 4, 4),
                    (common + 8, 2),
                    (common + 10, 4),
                    (common + 14, 2),
                    (common + 16, 2),
                    (common + 18, 8),
                    (sound_data + 4, 4),
                    (sound_data + 8, 4),
                ]
            )
        )
        size = 256**width - 1
        value = draw(st.sampled_from([0, 1, 2, 8, 16, 1500, 3000, 3008, size]) | st.integers(0, size))
        whole = replaced(whole, start, value.to_bytes(width, "big"))
    return whole


def _flac(draw: Draw, whole: bytes) -> bytes:
    packed = int.from_bytes(whole[18:26], "big")
    frames = draw(st.sampled_from([0, 1, 750, 1499, 1500, 1501, 2**36 - 1]))
    bits = draw(st.sampled_from([packed >> 36 & 0x1FF, 0, 0x1FF]))
    rate = draw(st.sampled_from([packed >> 44, 0, 2**20 - 1]))
    whole = replaced(whole, 18, (rate << 44 | bits << 36 & (1 << 44) - 1 | frames).to_bytes(8, "big"))
    block = draw(st.sampled_from([whole[8:12], bytes(4), b"\xff" * 4, b"\0\x10\0\x10"]))
    return _pieces(draw, replaced(whole, 8, block)) if draw(st.booleans()) else replaced(whole, 8, block)


def _mp3(draw: Draw, whole: bytes) -> bytes:
    xing = whole.index(b"Xing")
    for _ in range(draw(st.integers(1, 3))):
        start = xing + draw(st.sampled_from([0, 4, 7, 8, 12, 120, 141]))
        value = draw(st.sampled_from([b"VBRI", b"Info", bytes(4), b"\xff" * 4]) | st.binary(min_size=1, max_size=4))
        whole = replaced(whole, start, value)
    return whole if draw(st.booleans()) else _pieces(draw, whole)


def _pieces(draw: Draw, whole: bytes) -> bytes:
    """The file's pages, frames or hundredths, some of them left out, doubled or swapped."""
    cuts = [0, *(place for place in range(1, len(whole) - 4) if whole[place : place + 4] == b"OggS"), len(whole)]
    if len(cuts) < 4:
        cuts = [*range(0, len(whole), max(1, len(whole) // 20)), len(whole)]
    pieces = [whole[start:end] for start, end in itertools.pairwise(cuts)]
    for _ in range(draw(st.integers(1, 2))):
        one, other = (draw(st.integers(0, len(pieces) - 1)) for _ in range(2))
        how = draw(st.sampled_from(["remove", "double", "swap"]))
        if how == "remove" and len(pieces) > 1:
            del pieces[one]
        elif how == "double":
            pieces.insert(other, pieces[one])
        else:
            pieces[one], pieces[other] = pieces[other], pieces[one]
    return b"".join(pieces)
