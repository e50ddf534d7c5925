"""Both resamplers against their formulas written out in float64, and what they do to tones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
from numpy.typing import NDArray

from specnorm import audio

TARGET_HZ = 16000
RATES_HZ = [8000, 22050, 48000, 96000]
METHODS: list[audio.Resampler] = ["polyphase", "sinc"]

# Share of the lower Nyquist frequency up to which levels are kept within 0.1 dB.
FLAT_TO: dict[audio.Resampler, float] = {"polyphase": 0.85, "sinc": 0.7}
# Multiple of the target's Nyquist frequency from which on aliases stay below -60 dB.
CLEAN_FROM: dict[audio.Resampler, float] = {"polyphase": 1.35, "sinc": 1.55}


def tone(frequency_hz: float, rate_hz: int, seconds: float = 1.0) -> NDArray[np.float32]:
    return np.sin(2 * np.pi * frequency_hz * np.arange(int(rate_hz * seconds)) / rate_hz).astype(np.float32)


def middle(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """Half a second from the middle: no edges, and whole periods of every multiple of 2 Hz."""
    return waveform[TARGET_HZ // 4 : 3 * TARGET_HZ // 4].astype(np.float64)


def level_db(waveform: NDArray[np.float64]) -> float:
    """Level relative to a sine of full scale."""
    return 10 * math.log10(2 * np.mean(np.square(waveform)))


def resampled_db(frequency_hz: float, rate_hz: int, method: audio.Resampler) -> float:
    return level_db(middle(audio.resample(tone(frequency_hz, rate_hz), rate_hz, TARGET_HZ, method)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rate", RATES_HZ)
def test_a_tone_keeps_its_frequency_and_level(method: audio.Resampler, rate: int) -> None:
    """Within a bin of 2 Hz, and 0.1 dB over the flat part of the band."""
    for share in (0.01, 0.1, 0.3, 0.5, 0.6, FLAT_TO[method]):
        frequency = 2 * round(share * min(rate, TARGET_HZ) / 4)
        kept = middle(audio.resample(tone(frequency, rate), rate, TARGET_HZ, method))
        assert abs(np.abs(np.fft.rfft(kept)).argmax() * 2 - frequency) <= 2
        assert abs(level_db(kept)) < 0.1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rate", [44100, 96000])
def test_what_lies_above_the_new_band_is_gone(method: audio.Resampler, rate: int) -> None:
    """Aliases below -60 dB, from the frequency on where the default filter reaches that."""
    highest = rate / 2 - 10
    for frequency in np.linspace(CLEAN_FROM[method] * TARGET_HZ / 2, highest, 12):
        assert resampled_db(frequency, rate, method) < -60


@pytest.mark.parametrize(("method", "limit_db"), [("polyphase", -60), ("sinc", -54)])
def test_raising_the_rate_adds_no_image(method: audio.Resampler, limit_db: float) -> None:
    """8 kHz -> 16 kHz: the mirror image above 4 kHz of tones below; of 2 kHz, sinc leaves -54.8 dB."""
    for frequency in (100, 500, 1000, 2000):
        spectrum = np.abs(np.fft.rfft(middle(audio.resample(tone(frequency, 8000), 8000, TARGET_HZ, method))))
        image_db = 20 * math.log10(spectrum[2050:].max() / spectrum.max())  # bins of 2 Hz, from 4.1 kHz on
        assert image_db < limit_db


@pytest.mark.parametrize(
    ("method", "edge_db", "alias_db"),
    [("polyphase", -0.66, -55.2), ("sinc", -2.43, -28.5)],
)
def test_neither_is_sharp_at_the_edge(method: audio.Resampler, edge_db: float, alias_db: float) -> None:
    """What the docstring tells: a change of these is a change of the method, and of every result near 8 kHz.

    Within 0.05 and 0.5 dB: the window of half a second is no whole number of the alias's periods.
    """
    assert resampled_db(7200, 44100, method) == pytest.approx(edge_db, abs=0.05)
    assert resampled_db(9600, 44100, method) == pytest.approx(alias_db, abs=0.5)


def direct_polyphase(waveform: NDArray[np.float32], up: int, down: int) -> NDArray[np.float64]:
    """Zeros between the samples, a Kaiser-windowed sinc of 10 zero crossings a side, every ``down``-th sample."""
    widest = max(up, down)
    offsets = np.arange(-10 * widest, 10 * widest + 1)
    taps = np.sinc(offsets / widest) * np.kaiser(len(offsets), 5.0)
    taps *= up / taps.sum()
    stuffed = np.zeros(len(waveform) * up)
    stuffed[::up] = waveform
    return scipy.signal.fftconvolve(stuffed, taps)[10 * widest :][: len(waveform) * up : down]


def direct_sinc(waveform: NDArray[np.float32], up: int, down: int) -> NDArray[np.float64]:
    """Hann-windowed sinc of 6 zero crossings a side at 0.99 of the lower rate, evaluated at every output's time.

    https://ccrma.stanford.edu/~jos/resample/
    """
    outputs = -(-len(waveform) * up // down)
    cutoff = 0.99 * min(up, down)
    gaps = np.arange(outputs)[:, None] / up - np.arange(len(waveform))[None, :] / down  # in seconds times the divisor
    phase = np.clip(gaps * cutoff, -6, 6)
    return (np.sinc(phase) * np.cos(np.pi * phase / 12) ** 2 * (cutoff / down)) @ waveform.astype(np.float64)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
@pytest.mark.parametrize(("method", "direct"), [("polyphase", direct_polyphase), ("sinc", direct_sinc)])
def test_the_method_is_its_formula(method: audio.Resampler, direct, rate: int) -> None:
    waveform = (0.3 * np.random.default_rng(0).standard_normal(1000)).astype(np.float32)
    divisor = math.gcd(rate, TARGET_HZ)
    expected = direct(waveform, TARGET_HZ // divisor, rate // divisor)
    resampled = audio.resample(waveform, rate, TARGET_HZ, method)
    assert resampled.shape == expected.shape
    # Polyphase: float32 taps and sums of some 40 products below 1.2, 1e-7 each. Sinc: torchaudio also computes the
    # times of its taps in float32, some 1e-7 of phases up to several hundred: 2e-5 was seen, -94 dB.
    np.testing.assert_allclose(resampled, expected, rtol=0, atol=3e-6 if method == "polyphase" else 4e-5)


@pytest.mark.parametrize("rate", [22050, 44100, 48000])
def test_the_two_methods_agree_inside_the_band(rate: int) -> None:
    """Noise below 5 kHz: their difference is that of their pass bands, below 0.1 dB, or -38 dB of the signal."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(rate))
    spectrum[5000:] = 0
    waveform = np.fft.irfft(spectrum, rate).astype(np.float32)
    one, other = (middle(audio.resample(waveform, rate, TARGET_HZ, method)) for method in METHODS)
    assert level_db(one - other) - level_db(one) < -38
