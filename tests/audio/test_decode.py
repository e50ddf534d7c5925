from __future__ import annotations

import itertools
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from specnorm.audio.decode import decode
from specnorm.audio.resample import Resampler, resample
from specnorm.audio.waveform import fit_length, prepare, standardize, zero_fraction
from tests.faults.bad_wav import chunk, encode, float_wav, fmt, riff, tone, wav

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


# Half a step of each depth, and a step at its clipped ends; a float file is exact. 32 bits exceed float32's own 24.
@pytest.mark.case("W4")
@pytest.mark.parametrize(
    ("container", "subtype", "tolerance"),
    [
        ("WAV", "PCM_U8", 2**-7),
        ("WAV", "PCM_16", 2**-15),
        ("WAV", "PCM_24", 2**-23),
        ("WAV", "PCM_32", 2**-24),
        ("WAV", "FLOAT", 2**-25),
        ("WAV", "DOUBLE", 2**-25),
        ("WAVEX", "PCM_16", 2**-15),
        ("WAVEX", "FLOAT", 2**-25),
        ("AIFF", "PCM_S8", 2**-7),
        ("AIFF", "PCM_16", 2**-15),
        ("AIFF", "DOUBLE", 2**-25),
        ("FLAC", "PCM_16", 2**-15),
        ("FLAC", "PCM_24", 2**-23),
    ],
)
def test_every_encoding_gives_the_same_waveform(container: str, subtype: str, tolerance: float) -> None:
    signal = tone()
    clip = decode(encode(signal, container, subtype), name="clip")
    assert clip.waveform.dtype == np.float32
    assert clip.waveform.flags["C_CONTIGUOUS"]
    assert clip.sample_rate == 8000
    assert clip.warnings == ()
    assert clip.waveform.shape == signal.shape
    np.testing.assert_allclose(clip.waveform, signal, rtol=0, atol=tolerance)


@pytest.mark.case("W4")
def test_sixteen_bits_are_divided_by_32768() -> None:
    """The scale of the published experiment: -32768 is -1, and 32767 is just below 1."""
    data = wav(np.array([-32768, -1, 0, 1, 32767], "<i2").tobytes())
    assert (decode(data, name="a.wav").waveform * 32768).tolist() == [-32768, -1, 0, 1, 32767]


@pytest.mark.parametrize("extra", [b"", b"odd", b"even"])
def test_other_chunks_are_passed_over(extra: bytes) -> None:
    """Chunks of odd length are padded, so a walk that forgets it reads the data's header a byte too early."""
    body = bytes([0, 128, 255])
    other = chunk(b"LIST", extra)
    data = riff(other, chunk(b"fmt ", fmt(bits=8) + bytes(2)), other, chunk(b"data", body), other)
    assert (decode(data, name="a.wav").waveform * 128).tolist() == [-128, 0, 127]


@pytest.mark.parametrize("name", ["a.wav", "a.WAVE", "folder.flac/a.wav", "no suffix", "a.unknown"])
def test_the_name_must_fit_only_where_it_promises_a_format(name: str) -> None:
    assert decode(wav(), name=name).waveform.size == 4000


@pytest.mark.case("W11")
def test_lossy_decoders_may_exceed_full_scale() -> None:
    """Overs are kept as they are; clipping them would be a change of the recording that nobody sees."""
    signal = 1.5 * np.sin(np.arange(100)).astype(np.float32)
    assert np.array_equal(decode(float_wav(signal), name="a.wav").waveform, signal)


@pytest.mark.case("W6")
def test_stereo_is_mixed_by_the_mean() -> None:
    left, right = tone(), np.cos(np.arange(4000)) / 4
    mono = decode(encode(left, "WAV", "FLOAT"), name="a.wav")
    both = decode(encode(np.stack([left, left], axis=1), "WAV", "FLOAT"), name="a.wav")
    assert np.array_equal(both.waveform, mono.waveform)
    mixed = decode(encode(np.stack([left, right], axis=1), "WAV", "FLOAT"), name="a.wav")
    assert mixed.warnings == ()
    np.testing.assert_allclose(mixed.waveform, (left + right) / 2, rtol=0, atol=2**-25)  # float32 rounding


@pytest.mark.case("W6")
def test_channels_that_cancel_are_reported() -> None:
    left = tone()
    clip = decode(encode(np.stack([left, -left], axis=1), "WAV", "FLOAT"), name="a.wav")
    assert not clip.waveform.any()
    assert clip.warnings == ("the channels cancel: their mean is more than 60 dB below them",)
    # (1 - k) / 2 of a channel remains: -59 dB is a recording, -61 dB is what rounding left of one.
    for level_db, count in ((-59.0, 0), (-61.0, 1)):
        right = -(1 - 2 * 10 ** (level_db / 20)) * left
        clip = decode(encode(np.stack([left, right], axis=1), "WAV", "DOUBLE"), name="a.wav")
        assert len(clip.warnings) == count
    silent = decode(wav(bytes(400), channels=2), name="a.wav")
    assert silent.warnings == ()


@pytest.mark.case("W7")
@pytest.mark.parametrize("method", ["polyphase", "sinc"])
@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_resampling_keeps_the_duration_to_the_rounded_up_sample(method: Resampler, rate: int) -> None:
    for samples in (1, 2, 440, 441, 442, 22050):
        resampled = resample(np.ones(samples, np.float32), rate, 16000, method)
        assert resampled.shape == (-(-samples * 16000 // rate),)
        assert resampled.dtype == np.float32
        assert np.isfinite(resampled).all()


def test_the_same_rate_changes_nothing() -> None:
    waveform = tone().astype(np.float32)
    for method in ("polyphase", "sinc"):
        assert resample(waveform, 16000, 16000, method) is waveform


@pytest.mark.parametrize("method", ["polyphase", "sinc"])
def test_resampling_leaves_its_input_alone_and_repeats_itself(method: Resampler) -> None:
    waveform = tone().astype(np.float32)
    kept = waveform.copy()
    first, second = (resample(waveform, 44100, 16000, method) for _ in range(2))
    assert np.array_equal(waveform, kept)
    assert np.array_equal(first, second)


def test_resampling_takes_a_view_that_may_not_be_written() -> None:
    """torch refuses a step back, and warns of memory that may not be written."""
    waveform = tone().astype(np.float32)
    backwards = waveform[::-1]
    backwards.flags.writeable = False
    resampled = resample(backwards, 44100, 16000, "polyphase")
    assert np.array_equal(resampled, resample(backwards.copy(), 44100, 16000, "polyphase"))


@pytest.mark.parametrize("method", ["polyphase", "sinc"])
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_does_not_depend_on_torchs_threads(method: Resampler, rate: int) -> None:
    waveform = tone(100_000).astype(np.float32)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 8):
            torch.set_num_threads(count)
            results.append(resample(waveform, rate, 16000, method))
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_mixed_precision_around_it_changes_nothing() -> None:
    waveform = tone(4000).astype(np.float32)
    plain = resample(waveform, 44100, 16000, "polyphase")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert np.array_equal(resample(waveform, 44100, 16000, "polyphase"), plain)


@pytest.mark.parametrize("rates", [(44100, 16000), (11025, 16000), (96000, 16000), (16000, 44100)])
def test_a_sample_reaches_no_further_than_the_filter(rates: tuple[int, int]) -> None:
    """Ten samples of the lower rate a side: a clip's end says nothing of its start, nor does what pads it."""
    orig, target = rates
    waveform = tone(20_000).astype(np.float32)
    changed = waveform.copy()
    changed[10_000] += 1
    before, after = (resample(wave, orig, target, "polyphase") for wave in (waveform, changed))
    touched = np.flatnonzero(before != after)
    place, reach = 10_000 * target / orig, 10 * max(1, target / orig)
    assert place - reach <= touched[0]
    assert touched[-1] <= place + reach


@pytest.mark.case("W12")
def test_silence_stays_silence() -> None:
    clip = decode(wav(bytes(88200), rate=44100), name="a.wav")
    for method in ("polyphase", "sinc"):
        for waveform in prepare(clip, sample_rate=16000, samples=20000, resampler=method).values():
            assert waveform.shape == (20000,)
            assert not waveform.any()
            assert zero_fraction(waveform) == 1.0


def test_fit_length_cuts_and_pads_the_end_and_copies() -> None:
    """A clip of one sample is padded like any other."""
    waveform = np.array([1, 2, 3], np.float32)
    assert fit_length(waveform, 2).tolist() == [1, 2]
    assert fit_length(waveform, 5).tolist() == [1, 2, 3, 0, 0]
    assert fit_length(waveform[:1], 3).tolist() == [1, 0, 0]
    same = fit_length(waveform, 3)
    same[0] = 9
    assert waveform.tolist() == [1, 2, 3]


@pytest.mark.parametrize("value", [0.0, 0.1, -1.0, 1 / 3, 1e-38, 1e-45, 7.9])
def test_a_constant_clip_is_standardized_to_zeros(value: float) -> None:
    """The naive formula turns the rounding of a constant into a signal of unit deviation."""
    constant = np.full(80000, value, np.float32)
    assert not standardize(constant).any()
    jittered = constant * (1 + 2**-23 * (np.arange(80000) % 2)).astype(np.float32)
    assert np.abs(standardize(jittered)).max() == 0


@pytest.mark.parametrize("channels", [1, 2])
def test_every_sixteen_bit_number_is_exact(channels: int) -> None:
    """All 65536 of them, in WAV and in FLAC, where they are scaled here, and in Python's own arithmetic."""
    numbers = np.arange(-32768, 32768).astype("<i2")
    frames = np.repeat(numbers[:, None], channels, axis=1)
    expected = (numbers / 32768).astype(np.float32)
    assert np.array_equal(decode(wav(frames.tobytes(), channels=channels), name="a.wav").waveform, expected)
    flac = encode(frames.astype(np.float64) / 32768, "FLAC", "PCM_16")
    assert np.array_equal(decode(flac, name="a.flac").waveform, expected)


def test_the_naive_standardization_fails_on_a_constant() -> None:
    """The test above has power: the textbook formula in float32 gives something else."""
    constant = np.full(80000, 0.1, np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        naive = (constant - constant.mean()) / constant.std()
    assert not np.array_equal(naive, np.zeros_like(naive))


def test_standardize_is_accurate_under_a_large_offset() -> None:
    """Float32 sums of 0.9 + a signal of 1e-4 would lose the mean; the output is float64 maths, rounded once."""
    waveform = (0.9 + 1e-4 * np.sin(np.arange(80000) / 7)).astype(np.float32)
    exact = waveform.astype(np.longdouble)
    expected = (exact - exact.mean()) / exact.std()
    # One float32 rounding of values up to 1.42, and the float64 cancellation: 1e-16 * 0.9 / 7e-5, far below it.
    np.testing.assert_allclose(standardize(waveform), expected.astype(np.float64), rtol=0, atol=2**-23)


@pytest.mark.case("W15")
@pytest.mark.parametrize("kind", ["offset", "square", "impulse", "quiet"])
def test_extreme_but_legal_waveforms_stay_finite(kind: str) -> None:
    time = np.arange(8000)
    waveform = {
        "offset": 0.5 + 0.01 * np.sin(time),
        "square": np.sign(np.sin(time / 20) + 1e-9),
        "impulse": (time == 4000).astype(float),
        "quiet": 1e-30 * np.sin(time),
    }[kind].astype(np.float32)
    standardized = standardize(waveform).astype(np.float64)
    assert np.isfinite(standardized).all()
    # The rounding of 8000 float32 values of at most 90 (the impulse) averages far below a millionth.
    assert abs(standardized.mean()) < 1e-6
    assert abs(standardized.std() - 1) < 1e-6


def test_prepare_gives_both_variants_of_the_same_samples() -> None:
    clip = decode(encode(tone(30000), "WAV", "PCM_16", rate=44100), name="a.wav")
    variants = prepare(clip, sample_rate=16000, samples=16000, resampler="polyphase")
    assert list(variants) == ["raw", "standardized"]
    assert np.array_equal(variants["standardized"], standardize(variants["raw"]))
    kept = -(-30000 * 16000 // 44100)
    assert np.array_equal(variants["raw"][:kept], resample(clip.waveform, 44100, 16000, "polyphase"))
    assert not variants["raw"][kept:].any()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real clips are not beside this checkout")
def test_real_clips_decode() -> None:
    """The first clips of ESC-10, as first published (Ogg) and as in ESC-50 (WAV made from it): one recording."""
    with zipfile.ZipFile(SHARED / "esc10-wav.zip") as wavs, zipfile.ZipFile(SHARED / "esc10-ogg.zip") as oggs:
        names = [name for name in wavs.namelist() if name.endswith(".wav")]
        for name in itertools.islice(names, 0, None, 40):
            ogg_name = name.removesuffix(".wav") + ".ogg"
            from_wav = decode(wavs.read(name), name=name)
            from_ogg = decode(oggs.read(ogg_name), name=ogg_name)
            assert from_wav.sample_rate == from_ogg.sample_rate == 44100
            assert from_wav.waveform.shape == (220500,)
            assert from_wav.warnings == from_ogg.warnings == ()
            overlap = min(220500, from_ogg.waveform.size)
            difference = from_wav.waveform[:overlap] - np.clip(from_ogg.waveform[:overlap], -1, 1)
            assert np.abs(difference).max() < 1.5 / 32768  # the WAV files are the Ogg ones rounded to 16 bits
