"""The front end: a waveform becomes a spectrogram in decibels."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from torch import Tensor

from specnorm.errors import ConfigurationError, DataError
from specnorm.params import LinearParams, MelParams

# Part of the fingerprint of everything made from spectrograms: raise it with any change to the numbers that the same
# bytes and settings give, here or in `specnorm.audio.decode`.
NUMERICS_VERSION = 2

# Far beyond any waveform, and its power is still far below float32's largest value for the longest window.
_HIGHEST_AMPLITUDE = 1e12


def describe(params: LinearParams | MelParams) -> dict[str, Any]:
    """What determines the numbers of a spectrogram, as JSON-like values to take a fingerprint of."""
    return {"numerics_version": NUMERICS_VERSION, **params.model_dump(mode="json")}


class FrontEnd(torch.nn.Module):
    """Waveform [..., samples] -> dB spectrogram [..., 1, bins, frames], float32.

    The power spectrogram as ``torchaudio`` defines it (Hann window, centred frames, reflect padding), summed into the
    mel bands of its filters where ``params`` says so, then 10 log10(max(power, amin)). With ``top_db``, levels are
    raised to at least the clip's own maximum less ``top_db``, each clip by itself, whatever stands beside it in the
    batch.

    Raises:
        ConfigurationError: a mel band holds no FFT bin.
    """

    def __init__(self, params: LinearParams | MelParams) -> None:
        super().__init__()
        self.params = params
        self.window: Tensor
        self.filters: Tensor | None
        self.register_buffer("window", torch.hann_window(params.win_length), persistent=False)
        filters = _mel_filters(params) if isinstance(params, MelParams) else None
        self.register_buffer("filters", filters, persistent=False)  # [FFT bins, bands]

    @property
    def bins(self) -> int:
        """Number of frequency bins, or mel bands."""
        return self.params.bins

    @property
    def frames(self) -> int:
        """Number of frames of a clip."""
        return self.params.frames

    @property
    def bin_frequencies_hz(self) -> NDArray[np.float64]:
        """Centre of each bin in Hz, float64 [bins]: of the FFT bins, or of the mel bands."""
        if isinstance(self.params, MelParams):
            return _mel_centres_hz(self.params)
        return np.arange(self.bins, dtype=np.float64) * self.params.sample_rate / self.params.n_fft

    @property
    def floor_db(self) -> float:
        """The level of digital silence, the lowest there is: 10 log10(amin)."""
        return float(self._level_db(torch.zeros(1, 1, 1)))

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform float32 [..., samples] -> level in dB, float32 [..., 1, bins, frames].

        Raises:
            DataError: the last axis is not a clip's length, there is no clip, or a value is not float32 or not finite.
        """
        if not waveform.numel() or waveform.shape[-1:] != (self.params.samples,):
            raise DataError(
                "bad waveform",
                where="the front end",
                expected=f"{self.params.samples} samples on the last axis of one clip or more",
                got=f"shape {tuple(waveform.shape)}",
            )
        if waveform.dtype != torch.float32:
            raise DataError("bad waveform", where="the front end", expected="float32", got=waveform.dtype)
        # One pass: a NaN makes the maximum a NaN, and no comparison with it is true.
        if not waveform.abs().amax() <= _HIGHEST_AMPLITUDE:
            bad = torch.nonzero(~(waveform.abs() <= _HIGHEST_AMPLITUDE))[0].tolist()
            raise DataError(
                "bad waveform",
                where="the front end",
                expected="finite values",
                got=f"{waveform[tuple(bad)].item()} at index {bad}",
            )
        # Mixed precision would round the mel bands to bfloat16, by up to 0.2 dB.
        with torch.autocast(waveform.device.type, enabled=False):
            return self.levels(waveform)

    def levels(self, waveform: Tensor) -> Tensor:
        """:meth:`forward` without its checks, which depend on the values and so cannot be part of an exported graph."""
        return self._level_db(self._power(waveform)).unsqueeze(-3)

    def _power(self, waveform: Tensor) -> Tensor:
        """Waveform [..., samples] -> power [..., bins, frames]."""
        spectrum = torch.stft(
            waveform.reshape(-1, self.params.samples),  # [clips, samples]
            self.params.n_fft,
            self.params.hop_length,
            self.params.win_length,
            self.window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )
        # Without the root that a magnitude takes and its square undoes: twice as fast, and closer to the true power.
        power = spectrum.real.square() + spectrum.imag.square()  # [clips, FFT bins, frames]
        if self.filters is not None:
            power = (power.mT @ self.filters).mT  # [clips, bands, frames]
        return power.reshape(*waveform.shape[:-1], *power.shape[-2:])

    def _level_db(self, power: Tensor) -> Tensor:
        """Power [..., bins, frames] -> dB, in the same memory."""
        level = power.clamp_(min=self.params.amin).log10_().mul_(10.0)
        if self.params.top_db is None:
            return level
        return torch.maximum(level, level.amax(dim=(-2, -1), keepdim=True) - self.params.top_db)


def _mel_filters(params: MelParams) -> Tensor:
    """Triangular filters [FFT bins, bands], float32, as ``torchaudio`` makes them."""
    with warnings.catch_warnings():
        # torchaudio only warns of empty filters, and without their number.
        warnings.filterwarnings("ignore", message="At least one mel filterbank has all zero values")
        filters: Tensor = torchaudio.functional.melscale_fbanks(
            n_freqs=params.n_fft // 2 + 1,
            f_min=params.f_min,
            f_max=_f_max(params),
            n_mels=params.n_mels,
            sample_rate=params.sample_rate,
            norm=params.mel_norm,
            mel_scale=params.mel_scale,
        )
    empty = int((filters.amax(dim=0) == 0).sum())
    if empty:
        raise ConfigurationError(
            "too many mel bands for the FFT: bands without an FFT bin",
            where="spectrogram",
            expected=0,
            got=f"{empty} of {params.n_mels}",
            hint=f"Lower n_mels, or raise n_fft ({params.n_fft}) or f_min ({params.f_min:g} Hz)",
        )
    return filters


def _f_max(params: MelParams) -> float:
    return params.sample_rate / 2 if params.f_max is None else params.f_max


def _mel_centres_hz(params: MelParams) -> NDArray[np.float64]:
    """Peaks of the triangular filters: equal steps on the mel scale between ``f_min`` and ``f_max``."""
    lowest, highest = (_hz_to_mel(frequency, params.mel_scale) for frequency in (params.f_min, _f_max(params)))
    mels = np.linspace(lowest, highest, params.n_mels + 2)[1:-1]
    return np.array([_mel_to_hz(mel, params.mel_scale) for mel in mels])


# The two scales: O'Shaughnessy (1987) as in HTK, and Slaney's Auditory Toolbox (1998), linear below 1 kHz.
_SLANEY_STEP_HZ, _SLANEY_KNEE_HZ, _SLANEY_LOG_STEP = 200 / 3, 1000.0, math.log(6.4) / 27


def _hz_to_mel(frequency: float, scale: str) -> float:
    if scale == "htk":
        return 2595.0 * math.log10(1.0 + frequency / 700.0)
    if frequency < _SLANEY_KNEE_HZ:
        return frequency / _SLANEY_STEP_HZ
    return _SLANEY_KNEE_HZ / _SLANEY_STEP_HZ + math.log(frequency / _SLANEY_KNEE_HZ) / _SLANEY_LOG_STEP


def _mel_to_hz(mel: float, scale: str) -> float:
    if scale == "htk":
        return float(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    knee = _SLANEY_KNEE_HZ / _SLANEY_STEP_HZ
    if mel < knee:
        return mel * _SLANEY_STEP_HZ
    return _SLANEY_KNEE_HZ * math.exp((mel - knee) * _SLANEY_LOG_STEP)
