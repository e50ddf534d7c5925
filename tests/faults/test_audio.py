"""Bad audio is refused in one line that names the file; nothing crashes, hangs or allocates what a header claims."""

from __future__ import annotations

import re
import struct
import tracemalloc

import numpy as np
import pytest

from specnorm.audio.decode import HIGHEST_LEVEL, decode
from specnorm.audio.resample import resample
from specnorm.errors import DataError, SpecnormError
from tests.faults.bad_wav import bad_files, chunk, encode, flac_claiming, float_wav, replaced, tone, wav

CASES = list(bad_files())


@pytest.mark.case("W1", "W2", "W3", "W5", "W6", "W8", "W9", "W10", "W11", "W14")
@pytest.mark.parametrize(("name", "data", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_bad_file_is_refused_by_name(name: str, data: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        decode(data, name=name)
    assert f" in {name}: " in str(caught.value)
    assert " object at 0x" not in str(caught.value)  # what is decoded has no name but the file's
    assert re.search(message, str(caught.value)), str(caught.value)
    assert caught.value.exit_code == 3


def test_the_cases_are_bad_by_one_fault_only() -> None:
    """The same builders, without the fault, give files that decode: no case is refused for its construction."""
    for data in (wav(), float_wav(tone()), wav(bytes(12), channels=2, rate=48000, bits=24)):
        assert decode(data, name="a.wav").waveform.size
    for container, subtype, name in (
        ("OGG", "VORBIS", "a.ogg"),
        ("OGG", "OPUS", "a.opus"),
        ("FLAC", "PCM_16", "a.flac"),
        ("MP3", "MPEG_LAYER_III", "a.mp3"),
        ("AIFF", "PCM_16", "a.aiff"),
        ("WAVEX", "PCM_16", "a.wav"),
    ):
        clip = decode(encode(tone(30000), container, subtype), name=name)
        assert clip.waveform.shape == (30000,)
        assert clip.sample_rate == 8000


@pytest.mark.case("W6", "W9", "W14")
@pytest.mark.parametrize(
    "case", ["channels-thousand", "claim-4-gb", "claim-streaming", "long-wav", "long-flac", "long-flac-unknown"]
)
def test_a_claim_allocates_nothing(case: str) -> None:
    """The headers claim up to 4 GB; what is refused by its header costs no more than an error message."""
    name, data = next((name, data) for key, name, data, _ in CASES if key == case)
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            decode(data, name=name)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # soundfile's own objects take some 10 kB; a copy of the smallest of these files would be 20 kB in float32. The
    # 36 MB one may be copied once, into the BytesIO (which shares it, in CPython).
    assert peak < 200_000


@pytest.mark.case("W14")
def test_max_seconds_is_the_longest_duration_accepted() -> None:
    assert decode(wav(), name="a.wav", max_seconds=0.5).waveform.size == 4000
    with pytest.raises(DataError, match=r"too long in a.wav: expected at most 0.499 s, got 0.5 s"):
        decode(wav(), name="a.wav", max_seconds=0.499)


@pytest.mark.case("W1", "W9")
@pytest.mark.parametrize(
    ("container", "subtype", "name", "exact"),
    [
        ("WAV", "PCM_U8", "a.wav", False),
        ("WAV", "PCM_16", "a.wav", False),
        ("WAV", "DOUBLE", "a.wav", False),
        ("WAVEX", "PCM_24", "a.wav", False),
        ("AIFF", "PCM_16", "a.aiff", False),
        ("AIFF", "FLOAT", "a.aiff", False),
        ("FLAC", "PCM_16", "a.flac", True),
        ("FLAC", "PCM_24", "a.flac", True),
        ("OGG", "VORBIS", "a.ogg", True),
        ("OGG", "OPUS", "a.ogg", True),
        ("MP3", "MPEG_LAYER_III", "a.mp3", False),
    ],
)
def test_a_damaged_file_is_refused_or_as_long_as_it_was(container: str, subtype: str, name: str, exact: bool) -> None:
    """200 seeded files with one byte changed, most of them near the start, or cut.

    FLAC and Ogg have checksums of their samples: what is decoded is what was written. WAV, AIFF and MP3 have none, so
    that a changed sample is a sample; but none is lost or added, and the values are finite and not far too loud.
    """
    generator = np.random.default_rng(20)
    whole = encode(tone(2000), container, subtype)
    undamaged = decode(whole, name=name).waveform
    refused = 0
    for case in range(200):
        data = bytearray(whole)
        if case % 4 == 0:
            data = data[: generator.integers(len(data))]
        else:
            reach = len(data) if case % 4 == 1 else min(len(data), 120)
            data[generator.integers(reach)] ^= generator.integers(1, 256)
        try:
            clip = decode(bytes(data), name=name)
        except SpecnormError:
            refused += 1
            continue
        assert clip.waveform.shape == undamaged.shape, case
        assert np.isfinite(clip.waveform).all()
        assert np.abs(clip.waveform).max() <= HIGHEST_LEVEL
        assert not exact or np.array_equal(clip.waveform, undamaged), case
    assert refused >= 50  # the cuts at least: the loop does damage


def test_no_damage_to_an_ogg_file_goes_unseen() -> None:
    """Its pages carry checksums: every changed byte is found, where libsndfile alone skips the page in silence."""
    whole = encode(tone(30000), "OGG", "VORBIS")
    generator = np.random.default_rng(21)
    for position in generator.integers(len(whole), size=100):
        data = bytearray(whole)
        data[position] ^= int(generator.integers(1, 256))
        with pytest.raises(DataError):
            decode(bytes(data), name="a.ogg")


def test_what_is_appended_is_told_or_passed_over() -> None:
    """Bytes that no chunk and no frame holds get a sentence; tags and chunks are usual, and get none."""
    wavs, aiff, mp3 = wav(), encode(tone(), "AIFF", "PCM_16"), encode(tone(20000), "MP3", "MPEG_LAYER_III")
    id3v1, listed = b"TAG" + bytes(125), chunk(b"LIST", b"INFOISFT")
    ape = b"APETAGEX" + struct.pack("<IIII", 2000, 42, 1, 0) + bytes(8)
    for name, data, behind in (
        ("a.wav", wavs + id3v1, "128 bytes behind the last chunk are not read"),
        ("a.wav", wavs + b"?", "1 bytes behind the last chunk are not read"),
        ("a.wav", wavs + listed + bytes(100), "100 bytes behind the last chunk are not read"),
        ("a.wav", wavs + listed[:-1], "15 bytes behind the last chunk are not read"),
        ("a.wav", wavs + listed, None),
        ("a.wav", wav(bytes(3), bits=8)[:-1] + listed, None),  # the pad byte forgotten
        ("a.aiff", aiff + id3v1, "128 bytes behind the last chunk are not read"),
        ("a.mp3", mp3 + bytes(50), "50 zeros behind the last frame are not read"),
        ("a.mp3", mp3 + id3v1, None),
        ("a.mp3", mp3 + bytes(10) + ape, None),
        ("a.mp3", mp3 + bytes(10) + ape + id3v1, None),
        ("a.mp3", mp3 + b"APETAGEX" + bytes(24) + bytes(10) + _with_a_header(ape), None),
        ("a.mp3", b"ID3\4\0\0\0\0\0\7" + bytes(7) + mp3, None),
        ("a.mp3", _sealed_by_ffmpeg(mp3), None),
        ("a.mp3", 2 * (b"ID3\4\0\0\0\0\0\7" + bytes(7)) + mp3, None),
    ):
        found = decode(data, name=name).warnings
        assert found == (() if behind is None else (behind,)), (name, behind)


def _sealed_by_ffmpeg(mp3: bytes) -> bytes:
    """Its checksum is of 190 bytes in every layout, and of zeros where it will stand."""
    place = mp3.index(b"Xing") + 120 + 34
    crc = 0
    for byte in (mp3[:place] + bytes(2) + mp3[place + 2 :])[:190]:
        for bit in range(8):
            crc = crc >> 1 ^ (0xA001 if (crc ^ byte >> bit) & 1 else 0)
    return replaced(mp3, place, crc.to_bytes(2, "big"))


def _with_a_header(ape: bytes) -> bytes:
    return ape[:20] + struct.pack("<I", 1 << 31) + ape[24:]


@pytest.mark.parametrize("frames", [100, 4000, 4096, 4097, 12288, 12345, 70000, 1_300_000])
def test_a_flac_file_without_a_digest_is_held_to_its_last_block(frames: int) -> None:
    """The number of a last block is written in one to three bytes and more, its size in none, one or two."""
    signal = np.sin(np.arange(frames) / 50) / 4
    whole = encode(signal, "FLAC", "PCM_16")
    unsealed = replaced(whole, 26, bytes(16))
    assert np.array_equal(decode(unsealed, name="a.flac").waveform, decode(whole, name="a.flac").waveform)
    packed = int.from_bytes(unsealed[18:26], "big")
    fewer = replaced(unsealed, 18, (packed - 1).to_bytes(8, "big"))
    with pytest.raises(DataError, match=f"expected {frames - 1} frames by the header, got {frames} by the last block"):
        decode(fewer, name="a.flac")


def test_made_up_block_headers_take_no_time() -> None:
    """Every one would be a checksum to the end of the file, 10^10 bytes in all: a few are looked at."""
    whole = flac_claiming(4000, md5=False)
    start = 4 + 4 + 34
    while not whole[start : start + 2].startswith((b"\xff\xf8", b"\xff\xf9")):
        start += 1
    header = whole[start : start + 6]
    with pytest.raises(DataError, match="expected a whole last block"):
        decode(whole[:start] + header * 20_000, name="a.flac")


def test_a_sinc_kernel_of_gigabytes_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"sinc resampling from 48001 to 16000 Hz.*Set spectrogram.resampler to polyphase"
    ):
        resample(np.zeros(100, np.float32), 48001, 16000, "sinc")
    assert resample(np.zeros(100, np.float32), 48001, 16000, "polyphase").size == 34
