"""What holds for every waveform and for any bytes at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from specnorm.audio.decode import HIGHEST_LEVEL, decode
from specnorm.audio.resample import Resampler, resample
from specnorm.audio.waveform import fit_length, standardize, zero_fraction
from specnorm.errors import DataError, SpecnormError
from tests.faults.bad_wav import chunk, fmt, riff, wav

levels = st.floats(-HIGHEST_LEVEL, HIGHEST_LEVEL, width=32)
waveforms = arrays.arrays(np.float32, st.integers(1, 300), elements=levels)
rates = st.sampled_from([1000, 8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000])
methods = st.sampled_from(["polyphase", "sinc"])


@given(arrays.arrays(np.int16, st.integers(1, 500), elements=st.integers(-32768, 32767)), rates)
def test_sixteen_bit_samples_come_back_exactly(samples: NDArray[np.int16], rate: int) -> None:
    clip = decode(wav(samples.astype("<i2").tobytes(), rate=rate), name="a.wav")
    assert clip.sample_rate == rate
    assert np.array_equal(clip.waveform * 32768, samples)


@given(waveforms)
def test_float_samples_come_back_exactly(waveform: NDArray[np.float32]) -> None:
    clip = decode(wav(waveform.astype("<f4").tobytes(), tag=3, bits=32), name="a.wav")
    assert np.array_equal(clip.waveform, waveform)


@given(arrays.arrays(np.int16, st.tuples(st.integers(1, 200), st.just(2)), elements=st.integers(-32768, 32767)))
def test_a_downmix_is_the_mean(samples: NDArray[np.int16]) -> None:
    clip = decode(wav(samples.astype("<i2").tobytes(), channels=2), name="a.wav")
    assert np.array_equal(clip.waveform * 65536, samples.sum(axis=1, dtype=np.int64))  # exact: 17 bits


@settings(max_examples=300)
@given(
    st.sampled_from([b"", b"RIFF\0\0\0\0WAVE", b"FORM\0\0\0\0AIFF", b"fLaC", b"OggS\0\2", b"ID3\4\0", b"\xff\xfb"]),
    st.binary(max_size=300),
    st.sampled_from(["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff", "a", ""]),
)
def test_any_bytes_are_refused_or_finite(magic: bytes, rest: bytes, name: str) -> None:
    try:
        clip = decode(magic + rest, name=name)
    except SpecnormError:
        return
    assert clip.waveform.size
    assert np.isfinite(clip.waveform).all()


@settings(max_examples=300)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "tag": st.sampled_from([0, 1, 2, 3, 6, 7, 0x55, 0xFFFE]),
            "channels": st.integers(0, 65535),
            "rate": st.integers(0, 2**32 - 1),
            "bits": st.integers(0, 65535),
            "block_align": st.integers(0, 65535),
        },
    ),
    st.binary(max_size=200),
    st.none() | st.integers(0, 2**32 - 1),
)
@example({}, bytes(4), None)
def test_a_wav_is_decoded_whole_or_refused(fields: dict[str, int], body: bytes, size: int | None) -> None:
    """Whatever the header claims: the frames that come out are the frames of the header."""
    data = riff(chunk(b"fmt ", fmt(**{**fields, "rate": fields.get("rate", 8000)})) if _packs(fields) else b"")
    data += chunk(b"data", body, size)
    try:
        clip = decode(data, name="a.wav")
    except DataError:
        return
    align = fields.get("block_align", fields.get("channels", 1) * fields.get("bits", 16) // 8)
    assert clip.waveform.size * align == (len(body) if size is None else size)


def _packs(fields: dict[str, int]) -> bool:
    """Whether the derived block_align fits its 16 bits."""
    return "block_align" in fields or fields.get("channels", 1) * fields.get("bits", 16) // 8 < 65536


@given(waveforms)
def test_standardized_waveforms_have_mean_0_and_deviation_1_or_are_zeros(waveform: NDArray[np.float32]) -> None:
    standardized = standardize(waveform)
    assert standardized.dtype == np.float32
    assert standardized.shape == waveform.shape
    assert np.isfinite(standardized).all()
    if standardized.any():
        # Each value is rounded once to float32, 6e-8 relative, and none exceeds sqrt(300).
        assert standardized.mean(dtype=np.float64) == pytest.approx(0, abs=1e-6)
        assert standardized.std(dtype=np.float64) == pytest.approx(1, abs=1e-6)
    else:
        exact = waveform.astype(np.float64)
        assert np.ptp(exact) <= 2 * np.finfo(np.float32).eps * np.abs(exact).max() * len(exact) ** 0.5


@given(waveforms, st.integers(-20, 20), st.booleans())
def test_standardizing_ignores_gain(waveform: NDArray[np.float32], exponent: int, flip: bool) -> None:
    """A power of two scales float32 and float64 exactly, so the result is the same bits (but for subnormals)."""
    waveform = np.where(np.abs(waveform) < 1e-25, np.float32(0), waveform)
    gain = np.float32(2.0**exponent * (-1 if flip else 1))
    expected = standardize(waveform) * np.sign(gain)
    assert np.array_equal(standardize(waveform * gain), expected)


@given(waveforms, st.integers(1, 600))
def test_fit_length_keeps_the_start_and_pads_zeros(waveform: NDArray[np.float32], samples: int) -> None:
    fitted = fit_length(waveform, samples)
    kept = min(samples, len(waveform))
    assert fitted.shape == (samples,)
    assert np.array_equal(fitted[:kept], waveform[:kept])
    assert not fitted[kept:].any()
    assert zero_fraction(fitted) == pytest.approx((samples - np.count_nonzero(waveform[:kept])) / samples)


@given(waveforms, rates, rates, methods)
def test_resampling_rounds_the_length_up(
    waveform: NDArray[np.float32], orig: int, target: int, method: Resampler
) -> None:
    resampled = resample(waveform, orig, target, method)
    assert resampled.dtype == np.float32
    assert resampled.shape == (-(-len(waveform) * target // orig),)
    assert np.isfinite(resampled).all()


@given(waveforms, rates, methods, st.integers(-10, 10))
def test_resampling_is_linear(waveform: NDArray[np.float32], rate: int, method: Resampler, exponent: int) -> None:
    """Exactly so for powers of two, but for subnormal products."""
    waveform = np.where(np.abs(waveform) < 1e-25, np.float32(0), waveform)
    gain = np.float32(2.0**exponent)
    doubled = resample(waveform * gain, rate, 16000, method)
    np.testing.assert_allclose(doubled, resample(waveform, rate, 16000, method) * gain, rtol=0, atol=1e-37)
