"""Zero mean and unit deviation over a training set: one pair for all bins, or one pair a bin."""

from __future__ import annotations

import warnings
from typing import Self

import numpy as np
import torch
from torch import Tensor

from specnorm.normalization.base import Normalizer, Options
from specnorm.statistics.moments import Moments
from specnorm.statistics.training_set import TrainingStatistics


class _Standardize(Normalizer):
    """(x - mean) / deviation with the training set's moments; a deviation of 0 counts as 1."""

    needs_statistics = True
    mean: Tensor
    scale: Tensor

    def __init__(self, options: Options, bins: int) -> None:
        super().__init__(options, bins)
        self.register_buffer("mean", torch.zeros(self._pairs(bins), 1))  # [pairs, 1] meets [..., 1, bins, frames]
        self.register_buffer("scale", torch.ones(self._pairs(bins), 1))

    @staticmethod
    def _pairs(bins: int) -> int:
        raise NotImplementedError

    @staticmethod
    def _moments(statistics: TrainingStatistics) -> Moments:
        raise NotImplementedError

    @classmethod
    def fit(cls, options: Options, statistics: TrainingStatistics) -> Self:
        """Take the moments; a bin that never varies is named in a warning and only shifted."""
        moments = cls._moments(statistics)
        constant = moments.constant
        if constant.any():
            names = ", ".join(str(index) for index in np.flatnonzero(constant))
            warnings.warn(f"frequency bins that never vary in training, shifted but not scaled: {names}", stacklevel=2)
        normalizer = cls(options, len(statistics.bins.count))
        scale = np.where(constant, 1.0, moments.deviation)
        normalizer.mean.copy_(torch.from_numpy(moments.mean)[:, None])
        normalizer.scale.copy_(torch.from_numpy(scale)[:, None])
        return normalizer

    def forward(self, x: Tensor) -> Tensor:
        """(x - mean) / scale."""
        return (x - self.mean) / self.scale

    def inverse(self, x: Tensor) -> Tensor:
        """x * scale + mean."""
        return x * self.scale + self.mean


class Global(_Standardize):
    """One mean and one deviation for the whole spectrogram."""

    kind = "global"

    @staticmethod
    def _pairs(bins: int) -> int:  # noqa: ARG004
        return 1

    @staticmethod
    def _moments(statistics: TrainingStatistics) -> Moments:
        return statistics.pooled


class Channel(_Standardize):
    """One mean and one deviation a frequency bin (the "channel" of channel normalisation)."""

    kind = "channel"

    @staticmethod
    def _pairs(bins: int) -> int:
        return bins

    @staticmethod
    def _moments(statistics: TrainingStatistics) -> Moments:
        return statistics.bins
