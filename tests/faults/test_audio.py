"""Bad audio is refused in one line that names the file; nothing crashes, hangs or allocates what a header claims."""

from __future__ import annotations

import re
import tracemalloc

import numpy as np
import pytest

from specnorm.audio.decode import HIGHEST_LEVEL, decode
from specnorm.audio.resample import resample
from specnorm.errors import DataError, SpecnormError
from tests.faults.bad_wav import bad_files, encode, float_wav, tone, wav

CASES = list(bad_files())


@pytest.mark.parametrize(("name", "data", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_bad_file_is_refused_by_name(name: str, data: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        decode(data, name=name)
    assert f" in {name}: " in str(caught.value)
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


def test_max_seconds_is_the_longest_duration_accepted() -> None:
    assert decode(wav(), name="a.wav", max_seconds=0.5).waveform.size == 4000
    with pytest.raises(DataError, match=r"too long in a.wav: expected at most 0.499 s, got 0.5 s"):
        decode(wav(), name="a.wav", max_seconds=0.499)


@pytest.mark.parametrize(
    ("container", "subtype", "name"),
    [
        ("WAV", "PCM_16", "a.wav"),
        ("WAV", "DOUBLE", "a.wav"),
        ("WAVEX", "PCM_24", "a.wav"),
        ("AIFF", "FLOAT", "a.aiff"),
        ("FLAC", "PCM_16", "a.flac"),
        ("OGG", "VORBIS", "a.ogg"),
        ("MP3", "MPEG_LAYER_III", "a.mp3"),
    ],
)
def test_a_damaged_file_is_refused_or_finite(container: str, subtype: str, name: str) -> None:
    """200 seeded byte flips and cuts, most of them in the header: an error of ours or finite samples, nothing else."""
    generator = np.random.default_rng(20)
    whole = encode(tone(), container, subtype)
    refused = 0
    for _ in range(200):
        data = bytearray(whole)
        if generator.random() < 0.3:
            data = data[: generator.integers(len(data))]
        reach = len(data) if generator.random() < 0.4 else min(len(data), 120)
        for position in generator.integers(max(reach, 1), size=generator.integers(1, 4)):
            data[position : position + 1] = generator.bytes(1)
        try:
            clip = decode(bytes(data), name=name)
        except SpecnormError:
            refused += 1
            continue
        assert clip.waveform.size
        assert np.isfinite(clip.waveform).all()
        assert np.abs(clip.waveform).max() <= HIGHEST_LEVEL
    assert refused > 20  # the loop does damage


def test_no_damage_to_an_ogg_file_goes_unseen() -> None:
    """Its pages carry checksums: every changed byte is found, where libsndfile alone skips the page in silence."""
    whole = encode(tone(30000), "OGG", "VORBIS")
    generator = np.random.default_rng(21)
    for position in generator.integers(len(whole), size=100):
        data = bytearray(whole)
        data[position] ^= int(generator.integers(1, 256))
        with pytest.raises(DataError):
            decode(bytes(data), name="a.ogg")


def test_a_sinc_kernel_of_gigabytes_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"sinc resampling from 48001 to 16000 Hz.*Set spectrogram.resampler to polyphase"
    ):
        resample(np.zeros(100, np.float32), 48001, 16000, "sinc")
    assert resample(np.zeros(100, np.float32), 48001, 16000, "polyphase").size == 34
