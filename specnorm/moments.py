"""Mergeable float64 moments of spectrograms, one set per frequency bin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]


@dataclass(frozen=True)
class Moments:
    """Count, mean, sum of squared deviations (``m2``), extremes and floor count; every field is ``[bins]``.

    Two sets merge into the set of the pooled values (Chan, Golub and LeVeque 1983, "Algorithms for computing the
    sample variance", equation 2.1), so that the statistics of a training set are the merge of its folds'.
    """

    count: _Int
    mean: _Float  # dB
    m2: _Float  # dB squared
    minimum: _Float  # dB; +inf where count is 0
    maximum: _Float  # dB; -inf where count is 0
    floor_count: _Int  # cells at the dB floor

    @classmethod
    def empty(cls, bins: int) -> Moments:
        """The identity of :meth:`merge`."""
        zero = np.zeros(bins)
        none = np.zeros(bins, np.int64)
        return cls(none, zero, zero, np.full(bins, np.inf), np.full(bins, -np.inf), none)

    @classmethod
    def of(cls, values: NDArray[np.floating], floor_db: float) -> Moments:
        """Moments of ``values`` ``[bins, frames]``, by the corrected two-pass algorithm in float64.

        The values must be finite. A cell counts as floor when it is not above ``floor_db`` (to a float32 rounding).
        """
        exact = np.asarray(values, dtype=np.float64)
        bins, frames = exact.shape
        if frames == 0:
            return cls.empty(bins)
        mean = exact.mean(axis=1)
        deviations = exact - mean[:, None]
        rest = deviations.sum(axis=1)  # zero but for the rounding of the mean
        m2 = (deviations**2).sum(axis=1) - rest**2 / frames
        threshold = float(np.nextafter(np.float32(floor_db), np.float32(np.inf)))
        return cls(
            count=np.full(bins, frames, np.int64),
            mean=mean + rest / frames,
            m2=np.maximum(m2, 0.0),
            minimum=exact.min(axis=1),
            maximum=exact.max(axis=1),
            floor_count=(exact <= threshold).sum(axis=1, dtype=np.int64),
        )

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets' values together.

        Raises:
            ValueError: the sets have different numbers of bins.
        """
        if self.count.shape != other.count.shape:
            raise ValueError(f"moments of {len(self.count)} and of {len(other.count)} bins")
        count = self.count + other.count
        share = np.divide(other.count, count, out=np.zeros_like(self.mean), where=count > 0)
        step = other.mean - self.mean
        return Moments(
            count=count,
            mean=self.mean + step * share,
            m2=self.m2 + other.m2 + step**2 * self.count * share,
            minimum=np.minimum(self.minimum, other.minimum),
            maximum=np.maximum(self.maximum, other.maximum),
            floor_count=self.floor_count + other.floor_count,
        )

    def pooled(self) -> Moments:
        """All bins as one: every field becomes ``[1]``."""
        bins = [
            Moments(*(getattr(self, name)[i : i + 1] for name in self.__dataclass_fields__))
            for i in range(len(self.count))
        ]
        return merged(bins)

    @property
    def variance(self) -> _Float:
        """Population variance ``[bins]`` in dB squared."""
        return np.divide(self.m2, self.count, out=np.zeros_like(self.m2), where=self.count > 0)

    @property
    def deviation(self) -> _Float:
        """Population standard deviation ``[bins]`` in dB."""
        return np.sqrt(self.variance)

    @property
    def floor_share(self) -> _Float:
        """Share of cells at the dB floor ``[bins]``, 0 to 1."""
        return np.divide(self.floor_count, self.count, out=np.zeros_like(self.m2), where=self.count > 0)

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Bins that do not vary beyond the float32 rounding of their own peak ``[bins]``.

        Spectrograms are float32: a deviation below that rounding is no property of the sound, and dividing by it would
        turn the last bit of a level into a value of any size.
        """
        peak = np.maximum(np.abs(self.minimum), np.abs(self.maximum))
        return np.asarray(self.deviation <= np.finfo(np.float32).eps * peak)


def merged(parts: list[Moments]) -> Moments:
    """The merge of ``parts`` from left to right; the same order gives the same bits."""
    return reduce(Moments.merge, parts)
