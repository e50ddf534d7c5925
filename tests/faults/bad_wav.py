"""Every bad audio file of the fault list, built in code: no binaries in the repository."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ = 8000


def tone(samples: int = 4000) -> NDArray[np.float64]:
    """440 Hz at a quarter of full scale, with a little seeded noise."""
    noise = np.random.default_rng(0).standard_normal(samples)
    return 0.25 * np.sin(2 * np.pi * 440 * np.arange(samples) / RATE_HZ) + 0.01 * noise


def encode(signal: NDArray[np.floating], container: str, subtype: str, rate: int = RATE_HZ) -> bytes:
    """Encode with libsndfile."""
    buffer = io.BytesIO()
    soundfile.write(buffer, signal, rate, format=container, subtype=subtype)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes, size: int | None = None) -> bytes:
    """A RIFF chunk, padded; ``size`` overrides what it claims."""
    return kind + struct.pack("<I", len(body) if size is None else size) + body + bytes(len(body) % 2)


def fmt(
    *, tag: int = 1, channels: int = 1, rate: int = RATE_HZ, bits: int = 16, block_align: int | None = None
) -> bytes:
    """The body of a fmt chunk."""
    align = channels * bits // 8 if block_align is None else block_align
    return struct.pack("<HHIIHH", tag, channels, rate, (rate * align) & 0xFFFFFFFF, align, bits)


def riff(*chunks: bytes) -> bytes:
    """A RIFF/WAVE file."""
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def wav(body: bytes | None = None, *, data_size: int | None = None, **fields: int) -> bytes:
    """A WAV file by hand: ``fields`` go to :func:`fmt`, ``data_size`` overrides what the data chunk claims."""
    if body is None:
        body = np.round(tone() * 32767).astype("<i2").tobytes()
    return riff(chunk(b"fmt ", fmt(**fields)), chunk(b"data", body, data_size))


def float_wav(values: object) -> bytes:
    """A 32-bit float WAV of these samples, whatever they are."""
    return wav(np.asarray(values, dtype="<f4").tobytes(), tag=3, bits=32)


def _spiked(index: int, value: float) -> bytes:
    signal = tone()
    signal[index] = value
    return float_wav(signal)


def replaced(data: bytes, position: int, values: bytes) -> bytes:
    return data[:position] + values + data[position + len(values) :]


def flac_claiming(frames: int, *, subtype: str = "PCM_16", md5: bool = True) -> bytes:
    """A FLAC file of 4000 frames whose STREAMINFO claims ``frames`` (36 bits from byte 21.5), with its MD5 or none."""
    data = encode(tone(), "FLAC", subtype)
    data = data if md5 else replaced(data, 26, bytes(16))
    return replaced(data, 21, bytes([data[21] & 0xF0 | frames >> 32]) + (frames & 0xFFFFFFFF).to_bytes(4, "big"))


def _ogg_pages(data: bytes) -> list[bytes]:
    pages, start = [], 0
    while start < len(data):
        lengths = data[start + 27 : start + 27 + data[start + 26]]
        end = start + 27 + len(lengths) + sum(lengths)
        pages.append(data[start:end])
        start = end
    return pages


def bad_files() -> Iterator[tuple[str, str, bytes, str]]:
    """(case, file name, bytes, pattern that the error's message must match)."""
    good = wav()
    ogg = encode(tone(30000), "OGG", "VORBIS")
    opus = encode(tone(30000), "OGG", "OPUS")
    flac = encode(tone(), "FLAC", "PCM_16")
    mp3 = encode(tone(20000), "MP3", "MPEG_LAYER_III")
    aiff = encode(tone(), "AIFF", "PCM_16")

    yield "cut-half", "a.wav", good[: len(good) // 2], "truncated.*expected 4000 frames by the header, got 1989 in"
    yield "cut-last-byte", "a.wav", good[:-1], "truncated.*expected 4000 frames by the header, got 3999 in"
    yield "cut-in-magic", "a.wav", good[:6], "truncated.*expected a data chunk, got the end of the file after 6 bytes"
    yield "cut-in-header", "a.wav", good[:30], "truncated.*expected a fmt chunk of 16 bytes, got 10"
    yield "cut-no-data-chunk", "a.wav", good[:36], "truncated.*expected a data chunk, got the end of the file after 36"
    yield "cut-after-header", "a.wav", good[:44], "truncated.*expected 4000 frames by the header, got 0 in 44 bytes"
    yield "cut-zero-frames", "a.wav", wav(b""), "no audio.*expected at least one frame, got 0"
    yield "cut-half-a-frame", "a.wav", wav(bytes(7)), "bad WAV header.*expected whole frames of 2 bytes, got 7 bytes"
    yield "cut-aiff", "a.aiff", aiff[:-2], r"truncated.*expected 8054 bytes by the header, got 8052"
    yield "cut-flac", "a.flac", flac[: len(flac) // 2], "undecodable audio.*expected a whole FLAC file, got "
    yield "cut-flac-metadata", "a.flac", flac[:40], "truncated.*expected a block of metadata at byte 42, got 40 bytes"
    yield "cut-flac-magic", "a.flac", flac[:4], "truncated.*expected a block of metadata at byte 4, got 4 bytes"
    yield "cut-ogg", "a.ogg", ogg[: len(ogg) // 2], "truncated.*expected an Ogg page up to byte .*, got "
    yield "cut-ogg-at-page", "a.ogg", b"".join(_ogg_pages(ogg)[:-1]), "truncated.*expected a last Ogg page.*, got none"
    yield "cut-ogg-in-page-header", "a.ogg", ogg + b"OggS", "truncated.*expected an Ogg page up to byte"
    yield "cut-ogg-hole", "a.ogg", b"".join(_ogg_pages(ogg)[:3] + _ogg_pages(ogg)[4:]), "expected .*got "
    yield "cut-opus", "a.opus", opus[:-20], "truncated.*expected an Ogg page up to byte"
    yield "cut-mp3", "a.mp3", mp3[: len(mp3) // 2], "truncated.*expected 37 frames of MPEG audio by the header, got 17"
    yield (
        "cut-mp3-no-length",
        "a.mp3",
        mp3[mp3.index(mp3[:2], 4) :],
        "unsupported audio.*expected an MP3 with its length",
    )
    yield "ogg-damaged", "a.ogg", replaced(ogg, len(ogg) // 2, b"\x5a\xa5\x5a"), "damaged audio.*got a wrong checksum"
    yield "ogg-junk-between-pages", "a.ogg", ogg + b"junk" * 10, "damaged audio.*expected an Ogg page at byte"
    yield "ogg-chain", "a.ogg", ogg + opus, "unsupported audio.*expected one Ogg stream, got another at byte"

    yield "no-audio-empty", "a.wav", b"", "not audio.*expected WAV, .*got an empty file"
    yield (
        "no-audio-html",
        "a.wav",
        b"<!DOCTYPE html><html>not found</html>",
        "not audio.*got first bytes b'<!DOCTYPE ht'",
    )
    yield (
        "no-audio-text",
        "a.wav",
        b"version https://git-lfs.github.com/spec/v1\n",
        "not audio.*got first bytes b'version",
    )
    yield "no-audio-utf16-text", "a.mp3", "plain text".encode("utf-16"), r"not audio.*got first bytes b'\\xff\\xfe"
    yield "no-audio-zeros", "a.wav", bytes(44100), "not audio.*got first bytes"
    yield "no-audio-avi", "a.wav", b"RIFF" + bytes(4) + b"AVI LIST" + bytes(100), "not audio.*got first bytes b'RIFF"

    yield "mismatch-flac", "a.wav", flac, "format mismatch.*expected WAV by its name, got FLAC bytes"
    yield "mismatch-ogg", "a.WAV", ogg, "format mismatch.*expected WAV by its name, got OGG bytes"
    yield "mismatch-mp3", "a.wav", mp3, "format mismatch.*expected WAV by its name, got MP3 bytes"
    yield "mismatch-wav", "folder/a.flac", good, "format mismatch.*expected FLAC by its name, got WAV bytes"

    for subtype, tag in (("ULAW", "0x0007"), ("ALAW", "0x0006"), ("IMA_ADPCM", "0x0011"), ("MS_ADPCM", "0x0002")):
        data = encode(tone(), "WAV", subtype)
        yield (
            f"encoding-{subtype}",
            "a.wav",
            data,
            f"unsupported WAV encoding.*expected PCM of 8, .*got format tag {tag}",
        )
    yield (
        "encoding-aifc",
        "a.aifc",
        encode(tone(), "AIFF", "ULAW"),
        r"unsupported encoding.*expected PCM of 8, .*got AIFF compression b'ulaw' with 8 bits",
    )
    extensible = encode(tone(), "WAVEX", "PCM_16")
    yield "encoding-guid", "a.wav", replaced(extensible, 46, b"\xff"), "unsupported WAV encoding.*got format tag 0xfffe"

    six = np.tile(tone()[:, None], 6)
    for container, subtype, name in (
        ("WAV", "PCM_16", "a.wav"),
        ("FLAC", "PCM_16", "a.flac"),
        ("OGG", "VORBIS", "a.ogg"),
    ):
        data = encode(six, container, subtype)
        yield f"channels-six-{name}", name, data, "bad number of channels.*expected 1 to 2, got 6"
    yield "channels-thousand", "a.wav", wav(channels=1000), "bad number of channels.*expected 1 to 2, got 1000"
    yield "channels-none", "a.wav", wav(channels=0), "bad number of channels.*expected 1 to 2, got 0"

    yield "header-rate-0", "a.wav", wav(rate=0), "bad sample rate.*expected 1000 to 768000 Hz, got 0 Hz"
    yield "header-rate-4e9", "a.wav", wav(rate=4_000_000_000), "bad sample rate.*got 4000000000 Hz"
    yield "header-rate-flac", "a.flac", encode(tone(), "FLAC", "PCM_16", 999), "bad sample rate.*got 999 Hz"
    yield "header-bits", "a.wav", wav(bits=13), "unsupported WAV encoding.*got format tag 0x0001 with 13 bits"
    yield (
        "header-float-bits",
        "a.wav",
        wav(tag=3, bits=16),
        "unsupported WAV encoding.*got format tag 0x0003 with 16 bits",
    )
    yield "header-block-align", "a.wav", wav(block_align=7), "bad WAV header.*expected block_align 2, got 7"
    yield "header-block-align-0", "a.wav", wav(block_align=0), "bad WAV header.*expected block_align 2, got 0"
    data = chunk(b"data", bytes(8))
    yield (
        "header-short-fmt",
        "a.wav",
        riff(chunk(b"fmt ", fmt()[:14]), data),
        "expected a fmt chunk of 16 to 200 .*got 14",
    )
    yield (
        "header-long-fmt",
        "a.wav",
        riff(chunk(b"fmt ", fmt() + bytes(300)), data),
        "expected a fmt chunk of 16 .*got 316",
    )
    yield (
        "header-two-fmt",
        "a.wav",
        riff(chunk(b"fmt ", fmt()), chunk(b"fmt ", fmt()), data),
        "expected one fmt chunk, got two",
    )
    yield (
        "header-data-first",
        "a.wav",
        riff(data, chunk(b"fmt ", fmt())),
        "expected a fmt chunk before the data, got none",
    )

    claim = wav(bytes(441_000), data_size=0xFFFFFFF0)
    yield (
        "claim-4-gb",
        "a.wav",
        claim,
        "truncated.*expected 2147483640 frames by the header, got 220500 in 441044 bytes",
    )
    yield "claim-streaming", "a.wav", wav(data_size=0xFFFFFFFF), "truncated.*expected 2147483647 frames by the header"
    yield (
        "claim-aiff",
        "a.aiff",
        replaced(aiff, 4, b"\xff\xff\xff\xf0"),
        "truncated.*expected 4294967288 bytes by the header",
    )

    yield "value-nan", "a.wav", _spiked(123, np.nan), "bad sample.*expected finite values, got nan at index 123"
    yield "value-inf", "a.wav", _spiked(7, -np.inf), "bad sample.*expected finite values, got -inf at index 7"
    huge = np.full(10, 1e300, dtype="<f8").tobytes()
    yield "value-beyond-float32", "a.wav", wav(huge, tag=3, bits=64), "bad sample.*got inf at index 0"
    yield (
        "level-far-above",
        "a.wav",
        _spiked(50, 47.0),
        "bad level.*at most 8.*got a peak of 47, the first beyond at index 50",
    )
    yield "level-integers", "a.wav", float_wav(np.round(tone() * 32767)), "bad level.*Divide them by their full scale"

    hours = wav(bytes(36_000_000), rate=1000, bits=8)
    yield "long-wav", "a.wav", hours, "too long.*expected at most 600 s, got 36000.0 s by the header"
    yield "long-flac", "a.flac", flac_claiming(RATE_HZ * 36000), "too long.*expected at most 600 s, got 36000.0 s"
    yield (
        "long-flac-unknown",
        "a.flac",
        flac_claiming(0),
        "unsupported audio.*expected a FLAC file that tells its length",
    )
    yield from _shortened()
    yield from _other_formats()


def _shortened() -> Iterator[tuple[str, str, bytes, str]]:
    """Files whose header claims less than they hold: libsndfile gives a part of each without a word."""
    for subtype in ("PCM_S8", "PCM_16", "PCM_24"):
        data = flac_claiming(2000, subtype=subtype)
        yield f"short-flac-{subtype}", "a.flac", data, "damaged audio.*expected samples with the MD5 .* of 2000 frames"
    data = flac_claiming(2000, md5=False)
    yield "short-flac-no-md5", "a.flac", data, "damaged audio.*expected 2000 frames by the header, got 4000 by the last"
    data = flac_claiming(4000, md5=False)
    yield (
        "short-flac-no-end",
        "a.flac",
        data[:-1] + b"?",
        "truncated.*expected a whole last block",
    )

    aiff = encode(tone(), "AIFF", "PCM_16")
    sound = aiff.index(b"SSND")
    size = (len(aiff) - sound - 8).to_bytes(4, "big")
    half = replaced(aiff, sound + 4, (8 + 4000).to_bytes(4, "big"))
    yield "short-aiff", "a.aiff", half, "(damaged|bad|truncated).*expected .*, got "
    tidy = half[: sound + 16 + 4000]
    tidy = replaced(tidy, 4, (len(tidy) - 8).to_bytes(4, "big"))
    yield "short-aiff-tidy", "a.aiff", tidy, "bad AIFF header.*4000 frames of 2 bytes.*got 4000 bytes in"
    more = replaced(aiff, aiff.index(b"COMM") + 10, (2000).to_bytes(4, "big"))
    yield (
        "short-aiff-common",
        "a.aiff",
        more,
        "bad AIFF header.*2000 frames of 2 bytes by its COMM.*got 8000 ",
    )
    twice = aiff + b"SSND" + size + aiff[sound + 8 :]
    twice = replaced(twice, 4, (len(twice) - 8).to_bytes(4, "big"))
    yield "short-aiff-two", "a.aiff", twice, "bad AIFF header.*expected one SSND chunk, got 2"
    none = replaced(aiff, aiff.index(b"COMM"), b"ANNO")
    yield "short-aiff-no-common", "a.aiff", none, "bad AIFF header.*expected one COMM chunk, got 0"
    aside = replaced(aiff, sound + 8, (16).to_bytes(4, "big"))
    yield "short-aiff-offset", "a.aiff", aside, "bad AIFF header.*expected an SSND chunk without an offset, got another"

    half = wav(data_size=4000)
    yield "short-wav", "a.wav", half, "damaged audio.*2000 frames.*got 4000 bytes.*as 2000 more frames"
    silent = wav(bytes(8000), data_size=4000)
    yield "short-wav-silence", "a.wav", silent, "damaged audio.*expected 2000 frames by.*got 4000 bytes behind"
    body = bytes(8)
    twice = riff(chunk(b"fmt ", fmt()), chunk(b"data", body), chunk(b"data", body))
    yield "short-wav-two", "a.wav", twice, "unsupported WAV file.*expected one data chunk, got two"

    mp3 = encode(tone(20000), "MP3", "MPEG_LAYER_III")
    xing = mp3.index(b"Xing")
    for count in (18, 36, 38):
        data = replaced(mp3, xing + 8, count.to_bytes(4, "big"))
        yield f"short-mp3-{count}", "a.mp3", data, "damaged audio.*wrong checksum of the MP3's first frame"
        data = replaced(data, xing + 120 + 34, bytes(2))  # the checksum: not set
        yield (
            f"short-mp3-{count}-unsealed",
            "a.mp3",
            data,
            f"expected {count} frames of MPEG audio by.*got 37",
        )
    yield (
        "short-mp3-two",
        "a.mp3",
        mp3 + mp3,
        "damaged audio.*expected 37 frames.*got 75. Two files joined",
    )
    tagged = b"ID3\4\0\0\0\0\0\7" + bytes(7) + mp3
    yield "short-mp3-two-tagged", "a.mp3", mp3 + tagged, "damaged audio.*an MP3 frame, a tag or the end at byte 6192"
    yield (
        "short-mp3-junk",
        "a.mp3",
        mp3 + b"junk" * 10,
        "damaged audio.*an MP3 frame, a tag or.*got 40 other",
    )
    yield "short-mp3-no-frame", "a.mp3", b"ID3\4\0\0\0\0\0\7" + bytes(300), "damaged audio.*an MP3 frame at byte 17"
    hole = mp3[:2000] + mp3[3000:]
    yield "short-mp3-hole", "a.mp3", hole, "damaged audio.*an MP3 frame, a tag or the end at"


def _other_formats() -> Iterator[tuple[str, str, bytes, str]]:
    """Audio of formats that are not read, some of them by libsndfile."""
    for container, name in (("AU", "a.au"), ("CAF", "a.caf"), ("W64", "a.w64"), ("RF64", "a.rf64"), ("NIST", "a.wav")):
        data = encode(tone(), container, "PCM_16")
        got = "NIST Sphere" if container == "NIST" else container
        yield (
            f"other-{container}",
            name,
            data,
            f"unsupported audio.*expected WAV, .*got {got}. Convert it",
        )
    data = b"\0\0\0\x20ftypM4A " + bytes(100)
    yield "other-MP4", "a.m4a", data, "unsupported audio.*expected WAV, .*got MP4. Convert it to FLAC or WAV"
