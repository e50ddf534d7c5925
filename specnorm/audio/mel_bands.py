"""Mel bands: triangular filters over FFT bins, and where their peaks lie."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from specnorm import mel_scale
from specnorm.audio.torchaudio_functional import torchaudio_functional
from specnorm.errors import ConfigurationError
from specnorm.params import MelParams


def filters(params: MelParams) -> Tensor:
    """Triangular filters [FFT bins, bands], float32, as ``torchaudio`` makes them."""
    with warnings.catch_warnings():
        # torchaudio only warns of empty filters, and without their number.
        warnings.filterwarnings("ignore", message="At least one mel filterbank has all zero values")
        bands: Tensor = torchaudio_functional().melscale_fbanks(
            n_freqs=params.n_fft // 2 + 1,
            f_min=params.f_min,
            f_max=_f_max(params),
            n_mels=params.n_mels,
            sample_rate=params.sample_rate,
            norm=params.mel_norm,
            mel_scale=params.mel_scale,
        )
    empty = int((bands.amax(dim=0) == 0).sum())
    if empty:
        raise ConfigurationError(
            "too many mel bands for the FFT: bands without an FFT bin",
            where="spectrogram",
            expected=0,
            got=f"{empty} of {params.n_mels}",
            hint=f"Lower n_mels, or raise n_fft ({params.n_fft}) or f_min ({params.f_min:g} Hz)",
        )
    return bands


def centres_hz(params: MelParams) -> NDArray[np.float64]:
    """Peaks of the triangular filters: equal steps on the mel scale between ``f_min`` and ``f_max``."""
    return np.array(mel_scale.points_hz(params.f_min, _f_max(params), params.n_mels, params.mel_scale)[1:-1])


def _f_max(params: MelParams) -> float:
    return params.sample_rate / 2 if params.f_max is None else params.f_max
