"""Waveforms: of one rate, of one length, standardised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from specnorm.audio.decode import Recording
from specnorm.audio.resample import Resampler, resample

if TYPE_CHECKING:
    from torch import Tensor

_Waveform = TypeVar("_Waveform", NDArray[np.float32], "Tensor")


def prepare(
    recording: Recording, *, sample_rate: int, samples: int, resampler: Resampler
) -> dict[Literal["raw", "standardized"], NDArray[np.float32]]:
    """Both waveform variants of a recording, float32 ``[samples]`` at ``sample_rate`` Hz.

    ``raw`` is the recording resampled and fitted to ``samples``; ``standardized`` is :func:`standardize` of that.
    """
    raw = fit_length(resample(recording.waveform, recording.sample_rate, sample_rate, resampler), samples)
    return {"raw": raw, "standardized": standardize(raw)}


def fit_length(waveform: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """Cut the end or append zeros, so that ``[n]`` becomes ``[samples]``; always a copy.

    >>> fit_length(np.array([1, 2], np.float32), 3).tolist()
    [1.0, 2.0, 0.0]
    """
    fitted = np.zeros(samples, dtype=np.float32)
    kept = waveform[:samples]
    fitted[: len(kept)] = kept
    return fitted


def standardize(waveform: _Waveform) -> _Waveform:
    """(x - mean) / deviation of every waveform by itself, float32 ``[..., samples]``, array or tensor.

    Computed in float64 with the population deviation, and traceable into a graph. A waveform that is constant gives
    zeros. It counts as constant when its deviation is no more than float32 rounding of its peak, so that the rounding
    of a constant is never blown up to unit deviation.

    >>> standardize(np.array([1, 3], np.float32)).tolist()
    [-1.0, 1.0]
    >>> import torch
    >>> standardize(torch.tensor([[1.0, 3.0], [0.1, 0.1]])).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """
    xp: Any  # numpy and torch have the same functions, and torch takes numpy's names of their arguments
    exact: Any
    if isinstance(waveform, np.ndarray):
        xp, exact = np, waveform.astype(np.float64)
    else:
        import torch  # heavy, and waveforms in arrays do not need it

        xp, exact = torch, waveform.double()
    exact = exact - xp.mean(exact, -1, keepdims=True)
    deviation = xp.sqrt(xp.mean(xp.square(exact), -1, keepdims=True))
    peak = xp.amax(xp.abs(waveform), -1, keepdims=True)
    constant = deviation <= float(np.finfo(np.float32).eps) * peak
    standardized: _Waveform = xp.asarray(
        xp.where(constant, 0.0, exact / xp.where(constant, 1.0, deviation)), dtype=xp.float32
    )
    return standardized


def zero_fraction(waveform: NDArray[np.float32]) -> float:
    """Share of the samples that are exactly zero: 1.0 is digital silence.

    >>> zero_fraction(np.array([0, 0.5, 0, 0], np.float32))
    0.75
    """
    return 1.0 - float(np.count_nonzero(waveform != 0)) / waveform.size
