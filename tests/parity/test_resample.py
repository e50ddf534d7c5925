"""Both resamplers against their formulas written out in float64, polyphase against scipy, and what they do to tones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
from numpy.typing import NDArray

from specnorm.audio import resample as resampling
from specnorm.audio.resample import Resampler, resample

TARGET_HZ = 16000
RATES_HZ = [8000, 22050, 44100, 48000, 96000]
METHODS: list[Resampler] = ["polyphase", "sinc"]

# Share of the lower Nyquist frequency up to which levels are kept within 0.1 dB.
FLAT_TO: dict[Resampler, float] = {"polyphase": 0.85, "sinc": 0.7}
# Multiple of the target's Nyquist frequency from which on aliases stay below -60 dB.
CLEAN_FROM: dict[Resampler, float] = {"polyphase": 1.35, "sinc": 1.55}


def tone(frequency_hz: float, rate_hz: int, seconds: float = 1.0) -> NDArray[np.float32]:
    return np.sin(2 * np.pi * frequency_hz * np.arange(int(rate_hz * seconds)) / rate_hz).astype(np.float32)


def middle(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """Half a second from the middle: no edges, and whole periods of every multiple of 2 Hz."""
    return waveform[TARGET_HZ // 4 : 3 * TARGET_HZ // 4].astype(np.float64)


def level_db(waveform: NDArray[np.float64]) -> float:
    """Level relative to a sine of full scale."""
    return 10 * math.log10(2 * np.mean(np.square(waveform)))


def resampled_db(frequency_hz: float, rate_hz: int, method: Resampler) -> float:
    return level_db(middle(resample(tone(frequency_hz, rate_hz), rate_hz, TARGET_HZ, method)))


@pytest.mark.case("W7")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rate", RATES_HZ)
def test_a_tone_keeps_its_frequency_and_level(method: Resampler, rate: int) -> None:
    """Within a bin of 2 Hz, and 0.1 dB over the flat part of the band."""
    for share in (0.01, 0.1, 0.3, 0.5, 0.6, FLAT_TO[method]):
        frequency = 2 * round(share * min(rate, TARGET_HZ) / 4)
        kept = middle(resample(tone(frequency, rate), rate, TARGET_HZ, method))
        assert abs(np.abs(np.fft.rfft(kept)).argmax() * 2 - frequency) <= 2
        assert abs(level_db(kept)) < 0.1


@pytest.mark.case("W7")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rate", [44100, 96000])
def test_what_lies_above_the_new_band_is_gone(method: Resampler, rate: int) -> None:
    """Aliases below -60 dB, from the frequency on where the default filter reaches that."""
    highest = rate / 2 - 10
    for frequency in np.linspace(CLEAN_FROM[method] * TARGET_HZ / 2, highest, 12):
        assert resampled_db(frequency, rate, method) < -60


@pytest.mark.parametrize(("method", "limit_db"), [("polyphase", -60), ("sinc", -54)])
def test_raising_the_rate_adds_no_image(method: Resampler, limit_db: float) -> None:
    """8 kHz -> 16 kHz: the mirror image above 4 kHz of tones below; of 2 kHz, sinc leaves -54.8 dB."""
    for frequency in (100, 500, 1000, 2000):
        spectrum = np.abs(np.fft.rfft(middle(resample(tone(frequency, 8000), 8000, TARGET_HZ, method))))
        image_db = 20 * math.log10(spectrum[2050:].max() / spectrum.max())  # bins of 2 Hz, from 4.1 kHz on
        assert image_db < limit_db


@pytest.mark.parametrize(
    ("method", "edge_db", "alias_db"),
    [("polyphase", -0.66, -55.2), ("sinc", -2.43, -28.5)],
)
def test_neither_is_sharp_at_the_edge(method: Resampler, edge_db: float, alias_db: float) -> None:
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
def test_the_method_is_its_formula(method: Resampler, direct, rate: int) -> None:
    waveform = (0.3 * np.random.default_rng(0).standard_normal(1000)).astype(np.float32)
    divisor = math.gcd(rate, TARGET_HZ)
    expected = direct(waveform, TARGET_HZ // divisor, rate // divisor)
    resampled = resample(waveform, rate, TARGET_HZ, method)
    assert resampled.shape == expected.shape
    # Polyphase: float32 taps and sums of some 40 products below 1.2, 1e-7 each. Sinc: torchaudio also computes the
    # times of its taps in float32, some 1e-7 of phases up to several hundred: 2e-5 was seen, -94 dB.
    np.testing.assert_allclose(resampled, expected, rtol=0, atol=3e-6 if method == "polyphase" else 4e-5)


SCIPY_RATES_HZ = [
    (44100, 16000),
    (48000, 16000),
    (22050, 16000),
    (11025, 16000),
    (8000, 16000),
    (96000, 16000),
    (32000, 16000),
    (24000, 16000),
    (44100, 48000),
    (48000, 44100),
    (16000, 44100),
    (44100, 22050),
    (8000, 48000),
    (1000, 96000),
    (192000, 1000),
    (768000, 1000),
    (1000, 8000),
    (1001, 1000),
    (1000, 1001),
    (44102, 16000),
    (44100, 4001),
    (44100, 16001),
    (16000, 44101),
]


@pytest.mark.parametrize(("orig", "target"), SCIPY_RATES_HZ)
@pytest.mark.parametrize("samples", [1, 2, 41, 442, 2999])
def test_polyphase_equals_scipy(orig: int, target: int, samples: int) -> None:
    waveform = np.random.default_rng(samples).uniform(-1, 1, samples).astype(np.float32)
    divisor = math.gcd(orig, target)
    up, down = target // divisor, orig // divisor
    resampled = resample(waveform, orig, target, "polyphase")
    exact = scipy.signal.resample_poly(waveform.astype(np.float64), up, down)
    assert resampled.shape == exact.shape
    # Float32: a sum of at most a few thousand products rounds to some 1e-7 of its largest partial sum, in scipy's order
    # and in ours, and the taps are rounded to 6e-8 each. The filter gathers at most twice the peak of 1.
    np.testing.assert_allclose(resampled, scipy.signal.resample_poly(waveform, up, down), rtol=0, atol=1e-6)
    np.testing.assert_allclose(resampled, exact, rtol=0, atol=1e-6)


def test_polyphase_equals_scipy_on_five_seconds() -> None:
    """The published experiment's clip: 220500 samples, at levels from 0 down to -100 dB."""
    decay = np.logspace(0, -5, 220500)
    waveform = (decay * np.random.default_rng(0).uniform(-1, 1, 220500)).astype(np.float32)
    resampled = resample(waveform, 44100, 16000, "polyphase")
    expected = scipy.signal.resample_poly(waveform, 160, 441)
    assert resampled.shape == expected.shape == (80000,)
    local = np.interp(np.arange(80000) * 441 / 160, np.arange(220500), decay)
    assert (np.abs(resampled - expected) < 1e-6 * local).all()


def test_rates_without_a_table_are_scipys_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hardly a common divisor: no table of gigabytes is made, whatever the rates claim."""

    def none(*_: int) -> None:
        raise AssertionError("a table was made")

    monkeypatch.setattr(resampling, "_polyphase_tables", none)
    waveform = np.random.default_rng(0).uniform(-1, 1, 50).astype(np.float32)
    expected = scipy.signal.resample_poly(waveform, 16001, 192000)
    assert np.array_equal(resample(waveform, 192000, 16001, "polyphase"), expected)


@pytest.mark.parametrize(("orig", "target"), SCIPY_RATES_HZ)
def test_a_table_holds_every_tap_of_every_phase_and_keeps_to_its_limit(orig: int, target: int) -> None:
    divisor = math.gcd(orig, target)
    up, down = target // divisor, orig // divisor
    repeats, starts, tables = resampling._polyphase_tables(up, down)
    groups, width, phases = tables.shape
    assert width <= down * repeats  # or the windows' rows would overlap by more than a period, and be copied
    assert len(starts) == groups == -(-up * repeats // phases)
    used = tables.permute(0, 2, 1).reshape(groups * phases, width)[: up * repeats].double().sum().item()
    # The taps sum to ``up`` over all phases of one repetition; each of them is rounded once to float32.
    assert used == pytest.approx(up * repeats, rel=1e-6)
    assert tables.numel() <= 2 * resampling._MOST_TABLE_VALUES


@pytest.mark.parametrize("rate", [22050, 44100, 48000])
def test_the_two_methods_agree_inside_the_band(rate: int) -> None:
    """Noise below 5 kHz: their difference is that of their pass bands, below 0.1 dB, or -38 dB of the signal."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(rate))
    spectrum[5000:] = 0
    waveform = np.fft.irfft(spectrum, rate).astype(np.float32)
    one, other = (middle(resample(waveform, rate, TARGET_HZ, method)) for method in METHODS)
    assert level_db(one - other) - level_db(one) < -38
