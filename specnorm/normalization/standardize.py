"""Zero mean and unit deviation over a training set: one pair for all bins, or one pair a bin."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

from specnorm.normalization.base import Normalizer, Options
from specnorm.statistics.moments import Moments


class _Standardize(Normalizer):
    """(x - mean) / deviation with the training set's moments; a deviation of 0 counts as 1."""

    fitted_on = "moments"
    family = "fitted"
    mean: Tensor
    scale: Tensor

    def __init__(self, bins: int, options: Options | None = None) -> None:
        super().__init__(bins, options)
        self.register_buffer("mean", torch.zeros(self._pairs(bins), 1))  # [pairs, 1] meets [..., 1, bins, frames]
        self.register_buffer("scale", torch.ones(self._pairs(bins), 1))

    @staticmethod
    def _pairs(bins: int) -> int:
        raise NotImplementedError

    @staticmethod
    def _chosen(moments: Moments) -> Moments:
        raise NotImplementedError

    def adapt(self, moments: Moments) -> None:
        """Take mean and population deviation; a bin that never varies is named in a warning and only shifted."""
        chosen = self._chosen(moments)
        constant = chosen.constant
        if constant.any():
            names = ", ".join(str(index) for index in np.flatnonzero(constant))
            warnings.warn(f"frequency bins that never vary in training, shifted but not scaled: {names}", stacklevel=3)
        scale = np.where(constant, 1.0, chosen.deviation)
        self.mean.copy_(torch.from_numpy(chosen.mean)[:, None])
        self.scale.copy_(torch.from_numpy(scale)[:, None])

    def forward(self, x: Tensor) -> Tensor:
        """(x - mean) / scale."""
        return (x - self.mean) / self.scale

    def inverse(self, x: Tensor) -> Tensor:
        """x * scale + mean."""
        return x * self.scale + self.mean


class Global(_Standardize):
    """Subtracts one mean and divides by one deviation, the training set's over all frequency bins.

    Shapes as :class:`~specnorm.normalization.base.Normalizer`; the buffers ``mean`` and ``scale`` are ``[1, 1]``, in
    dB.

    >>> levels = np.array([[-60.0, -40.0], [-30.0, -20.0]])  # dB, [bins, frames]
    >>> norm = Global.fit(Moments.of(levels, floor_db=-100.0))
    >>> norm.mean.item()
    -37.5
    >>> norm(torch.full((1, 1, 2, 1), -37.5)).flatten().tolist()
    [0.0, 0.0]
    """

    kind = "global"
    version = 1
    cost = 20

    @staticmethod
    def _pairs(bins: int) -> int:  # noqa: ARG004
        return 1

    @staticmethod
    def _chosen(moments: Moments) -> Moments:
        return moments.pooled()


class Channel(_Standardize):
    """Subtracts from every frequency bin its own mean and divides it by its own deviation, the training set's.

    Shapes as :class:`~specnorm.normalization.base.Normalizer`; the buffers ``mean`` and ``scale`` are ``[bins, 1]``,
    in dB. Each frequency bin is a "channel" of channel normalisation.

    >>> levels = np.array([[-60.0, -40.0], [-30.0, -20.0]])  # dB, [bins, frames]
    >>> norm = Channel.fit(Moments.of(levels, floor_db=-100.0))
    >>> norm(torch.full((1, 1, 2, 1), -40.0)).flatten().tolist()
    [1.0, -3.0]
    >>> norm.inverse(norm(torch.full((1, 1, 2, 1), -40.0))).flatten().tolist()
    [-40.0, -40.0]
    """

    kind = "channel"
    version = 1
    cost = 30

    @staticmethod
    def _pairs(bins: int) -> int:
        return bins

    @staticmethod
    def _chosen(moments: Moments) -> Moments:
        return moments
