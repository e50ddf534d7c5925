"""The front end against torchaudio, librosa and a plain float64 transform written here."""

from __future__ import annotations

from typing import Any

import librosa
import numpy as np
import pytest
import torch
import torchaudio
from numpy.typing import NDArray

from specnorm.audio.front_end import FrontEnd
from specnorm.params import LinearParams, MelParams

RATE_HZ = 16000
SAMPLES = 32000
BASE: dict[str, Any] = {
    "sample_rate": RATE_HZ,
    "resampler": "polyphase",
    "clip_seconds": SAMPLES / RATE_HZ,
    "amin": 1e-10,
    "top_db": None,
}
WINDOWS = [
    {"n_fft": 400, "win_length": 400, "hop_length": 200},
    {"n_fft": 1024, "win_length": 400, "hop_length": 160},
    {"n_fft": 512, "win_length": 401, "hop_length": 200},
]
MELS = [
    {"mel_scale": scale, "mel_norm": norm, "n_mels": 40, "f_min": f_min, "f_max": f_max}
    for scale, norm, f_min, f_max in [
        ("htk", None, 20.0, None),
        ("htk", "slaney", 0.0, 7600.0),
        ("slaney", None, 50.0, 6000.0),
        ("slaney", "slaney", 0.0, None),
    ]
]


def clip() -> NDArray[np.float32]:
    """A chirp over noise that falls by 80 dB: every level and frequency."""
    time = np.arange(SAMPLES) / RATE_HZ
    decay = 10.0 ** (-4 * time / time[-1])
    signal = 0.5 * np.sin(2 * np.pi * (100 + 1900 * time) * time)
    signal += 0.1 * np.random.default_rng(0).standard_normal(SAMPLES)
    return (decay * signal).astype(np.float32)


def numpy_power(waveform: NDArray[np.float32], n_fft: int, win_length: int, hop_length: int) -> NDArray[np.float64]:
    """Power [bins, frames] in float64: periodic Hann window, zero-padded in the middle of n_fft; reflected edges."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win_length) / win_length)
    left = (n_fft - win_length) // 2
    window = np.pad(window, (left, n_fft - win_length - left))
    padded = np.pad(waveform.astype(np.float64), n_fft // 2, mode="reflect")
    starts = range(0, len(padded) - n_fft + 1, hop_length)
    return np.stack([np.abs(np.fft.rfft(padded[at : at + n_fft] * window)) ** 2 for at in starts], axis=1)


def assert_same_level(level_db: NDArray[np.float32], power: NDArray[np.float64], rtol: float) -> None:
    """Compare dB values with a reference power [bins, frames], by power and so for every bin.

    A float32 FFT errs by some 1e-7 of its frame's strongest amplitude in every bin, so a bin's amplitude may err by
    1e-6 of that, and its power by ``rtol`` of itself, for which the caller gives the reason. In bins within 60 dB of
    their frame's maximum, most of them, that is 1e-3 of the amplitude or 0.01 dB at most.
    """
    assert level_db.shape == power.shape
    strongest = np.sqrt(power.max(axis=0, keepdims=True))
    amplitude = 10 ** (level_db.astype(np.float64) / 20)
    expected = np.sqrt(np.maximum(power, 1e-10))
    assert (np.abs(amplitude - expected) <= rtol / 2 * expected + 1e-6 * strongest).all()
    near = power > 1e-6 * power.max(axis=0, keepdims=True)
    assert near.mean() > 0.5
    error_db = np.abs(level_db - 20 * np.log10(expected))[near]
    assert error_db.max() < 0.01


@pytest.mark.parametrize("windows", WINDOWS)
def test_linear_equals_plain_numpy(windows: dict[str, int]) -> None:
    module = FrontEnd(LinearParams.model_validate({"transform": "linear"} | BASE | windows))
    level = module(torch.from_numpy(clip()))[0].numpy()
    # 10 log10 in float32 rounds levels of up to 100 dB to 4e-6 dB: a relative 1e-6 of power; the FFT adds as much.
    assert_same_level(level, numpy_power(clip(), **windows), rtol=4e-6)
    np.testing.assert_allclose(module.bin_frequencies_hz, np.fft.rfftfreq(windows["n_fft"], 1 / RATE_HZ), rtol=1e-12)


@pytest.mark.case("F4")
@pytest.mark.parametrize("top_db", [None, 50.0])
@pytest.mark.parametrize("windows", WINDOWS)
def test_linear_equals_torchaudio(windows: dict[str, int], top_db: float | None) -> None:
    """The published experiment's transforms, to the rounding of the magnitude that they square.

    The transform is the same, bit for bit, so every bin agrees, at any level. torchaudio rounds the magnitude to 2^-24
    and squares that: 2^-23 of the power, 2^-24 more for the square, 2^-23 for our two squares and their sum, which is
    3e-7 or 1.3e-6 dB; the logarithm and its tenfold round levels below 128 dB by 2^-18 dB each, 8e-6 dB in either.
    """
    module = FrontEnd(LinearParams.model_validate({"transform": "linear"} | BASE | windows | {"top_db": top_db}))
    power = torchaudio.transforms.Spectrogram(**windows, power=2.0)(torch.from_numpy(clip()))
    expected = torchaudio.transforms.AmplitudeToDB("power", top_db=top_db)(power[None])
    assert (module(torch.from_numpy(clip())) - expected).abs().max() < 2e-5


@pytest.mark.case("F4")
@pytest.mark.parametrize("mel", MELS)
def test_mel_equals_torchaudio(mel: dict[str, Any]) -> None:
    """The same filters, bit for bit, on powers that differ by 3e-7: 1.3e-6 dB, and the sums' and dB's rounding."""
    windows = {"n_fft": 1024, "win_length": 400, "hop_length": 160}
    params = MelParams.model_validate({"transform": "mel"} | BASE | windows | mel)
    transform = torchaudio.transforms.MelSpectrogram(
        RATE_HZ,
        **windows,
        f_min=params.f_min,
        f_max=params.f_max,
        n_mels=params.n_mels,
        norm=params.mel_norm,
        mel_scale=params.mel_scale,
    )
    module = FrontEnd(params)
    assert module.filters is not None
    assert torch.equal(module.filters, transform.mel_scale.fb)
    expected = torchaudio.transforms.AmplitudeToDB("power")(transform(torch.from_numpy(clip()))[None])
    assert (module(torch.from_numpy(clip())) - expected).abs().max() < 3e-5


def test_the_power_is_no_worse_than_torchaudios() -> None:
    """The root and its square are rounding without a purpose: against float64, the squares alone err no more."""
    windows = WINDOWS[0]
    spectrum = torch.stft(
        torch.from_numpy(clip()), 400, 200, window=torch.hann_window(400), pad_mode="reflect", return_complex=True
    )
    exact = spectrum.to(torch.complex128).abs().square()
    ours = FrontEnd(LinearParams.model_validate({"transform": "linear"} | BASE | windows))._power(
        torch.from_numpy(clip())
    )
    theirs = torchaudio.transforms.Spectrogram(**windows, power=2.0)(torch.from_numpy(clip()))
    errors = [((power - exact) / exact).abs().mean().item() for power in (ours, theirs)]
    assert errors[0] < errors[1] < 1e-6


@pytest.mark.case("F4")
@pytest.mark.parametrize("windows", WINDOWS)
def test_linear_equals_librosa(windows: dict[str, int]) -> None:
    module = FrontEnd(LinearParams.model_validate({"transform": "linear"} | BASE | windows))
    transform = librosa.stft(clip().astype(np.float64), window="hann", center=True, pad_mode="reflect", **windows)
    assert_same_level(module(torch.from_numpy(clip()))[0].numpy(), np.abs(transform) ** 2, rtol=4e-6)


@pytest.mark.case("F4")
@pytest.mark.parametrize("mel", MELS)
def test_mel_equals_librosa(mel: dict[str, Any]) -> None:
    windows = {"n_fft": 1024, "win_length": 400, "hop_length": 160}
    params = MelParams.model_validate({"transform": "mel"} | BASE | windows | mel)
    module = FrontEnd(params)
    power = librosa.feature.melspectrogram(
        y=clip().astype(np.float64),
        sr=RATE_HZ,
        power=2.0,
        center=True,
        pad_mode="reflect",
        window="hann",
        htk=params.mel_scale == "htk",
        norm=params.mel_norm,
        n_mels=params.n_mels,
        fmin=params.f_min,
        fmax=params.f_max,
        **windows,
    )
    # torchaudio computes the filters' edges in float32: they move by 1e-3 Hz, of bands that are 30 Hz wide and more.
    assert_same_level(module(torch.from_numpy(clip()))[0].numpy(), power, rtol=1e-4)


@pytest.mark.parametrize("mel", MELS)
def test_mel_centres_equal_librosa(mel: dict[str, Any]) -> None:
    params = MelParams.model_validate(
        {"transform": "mel"} | BASE | {"n_fft": 1024, "win_length": 400, "hop_length": 160} | mel
    )
    expected = librosa.mel_frequencies(
        params.n_mels + 2, fmin=params.f_min, fmax=params.f_max or RATE_HZ / 2, htk=params.mel_scale == "htk"
    )
    np.testing.assert_allclose(FrontEnd(params).bin_frequencies_hz, expected[1:-1], rtol=1e-9)  # float64 log and power


def test_top_db_equals_librosa() -> None:
    settings = {"transform": "linear", "n_fft": 400, "win_length": 400, "hop_length": 200} | BASE | {"top_db": 50.0}
    level = FrontEnd(LinearParams.model_validate(settings))(torch.from_numpy(clip()))[0].numpy()
    expected = librosa.power_to_db(numpy_power(clip(), 400, 400, 200), ref=1.0, amin=1e-10, top_db=50.0)
    # Within 50 dB of the maximum the float32 FFT errs by at most 1e-6 / 10^(-50/20) of an amplitude: 0.003 dB.
    np.testing.assert_allclose(level, expected, rtol=0, atol=3e-3)
