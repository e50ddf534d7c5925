"""The mel scales, and the bands that equal steps on one make of FFT bins."""

from __future__ import annotations

import math
from collections.abc import Sequence

# The two scales: O'Shaughnessy (1987) as in HTK, and Slaney's Auditory Toolbox (1998), linear below 1 kHz.
_SLANEY_STEP_HZ, _SLANEY_KNEE_HZ, _SLANEY_LOG_STEP = 200 / 3, 1000.0, math.log(6.4) / 27


def points_hz(f_min: float, f_max: float, bands: int, scale: str) -> list[float]:
    """``bands + 2`` frequencies in Hz, at equal steps on the mel scale: band k is a triangle on points k to k + 2.

    >>> [round(point) for point in points_hz(0, 8000, 3, "htk")]
    [0, 614, 1768, 3934, 8000]
    """
    lowest, highest = (_hz_to_mel(frequency, scale) for frequency in (f_min, f_max))
    step = (highest - lowest) / (bands + 1)
    return [_mel_to_hz(mel, scale) for mel in [index * step + lowest for index in range(bands + 1)] + [highest]]


def empty_bands(points: Sequence[float], *, n_fft: int, sample_rate: int) -> int:
    """How many bands on :func:`points_hz` hold no bin of an FFT of ``n_fft`` samples at ``sample_rate`` Hz.

    >>> empty_bands(points_hz(20, 8000, 128, "htk"), n_fft=1024, sample_rate=16000)
    0
    """
    last = n_fft // 2
    spacing = sample_rate // 2 / last  # as torchaudio has it: the last bin at half the rate, rounded down
    first_bins = (math.floor(low / spacing) + 1 for low in points[:-2])
    return sum(first > last or first * spacing >= high for first, high in zip(first_bins, points[2:], strict=True))


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
