"""Mergeable float64 moments of spectrograms, one set per frequency bin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]

# Share of the squares below which the squared deviations have lost three digits to cancellation.
_CANCELLING = 1e-3


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
    floor_count: _Int  # values at the dB floor

    @classmethod
    def empty(cls, bins: int) -> Moments:
        """The identity of :meth:`merge`."""
        zero = np.zeros(bins)
        none = np.zeros(bins, np.int64)
        return cls(none, zero, zero, np.full(bins, np.inf), np.full(bins, -np.inf), none)

    @classmethod
    def of(cls, values: NDArray[np.floating], floor_db: float, *, scratch: _Float | None = None) -> Moments:
        """Moments of ``values`` ``[bins, frames]``, in float64 to some 12 digits.

        The sums of the values and of their squares are one pass. Where ``m2`` is a small part of the squares, its first
        digits cancel: those bins take the second pass of the corrected two-pass algorithm (Chan, Golub and LeVeque
        1983, equation 1.7).

        Args:
            values: finite. A value counts as floor when it is not above ``floor_db`` (to a float32 rounding).
            floor_db: the level of digital silence.
            scratch: ``[bins, frames]``, contiguous, overwritten. Fresh memory for each of many clips can cost more than
                the sums.
        """
        bins, frames = values.shape
        if frames == 0:
            return cls.empty(bins)
        exact = np.empty(values.shape) if scratch is None else scratch
        np.copyto(exact, values)
        total, squares = _sums(exact)
        mean = total / frames
        m2 = squares - total * mean
        again = np.flatnonzero(m2 < _CANCELLING * squares)
        if again.size:
            deviations = exact[again] - mean[again, None]
            rest, squares = _sums(deviations)  # the rest is zero but for the rounding of the mean
            m2[again] = np.maximum(squares - rest**2 / frames, 0.0)
            mean[again] += rest / frames
        minimum = values.min(axis=1).astype(np.float64)
        # The sums are taken: their memory serves again.
        mask = exact.reshape(-1).view(np.bool_)[: values.size].reshape(values.shape)
        return cls(
            count=np.full(bins, frames, np.int64),
            mean=mean,
            m2=m2,
            minimum=minimum,
            maximum=values.max(axis=1).astype(np.float64),
            floor_count=_floor_count(values, minimum, floor_db, mask),
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
        """Share of values at the dB floor ``[bins]``, 0 to 1."""
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


@dataclass(frozen=True)
class RunningMoments:
    """:class:`Moments` that lose nothing to many merges: each mean is kept in two float64 numbers.

    A merge adds the square of a difference of two means. Where the mean is large beside the deviation, most digits of
    that difference are the rounding of the means: at 1e6 with a deviation of 1e-3, the deviation is off by up to 1e-7.
    """

    moments: Moments
    mean_rest: _Float  # dB [bins]; the true mean is ``moments.mean + mean_rest``, of which ``mean`` is the rounding

    @classmethod
    def of(cls, moments: Moments, correction: _Float | None = None) -> RunningMoments:
        """``moments`` whose mean is to be corrected by ``correction`` (nothing where it is not given), ``[bins]``."""
        if correction is None:
            return cls(moments, np.zeros_like(moments.mean))
        mean, rest = _exact_sum(moments.mean, correction)
        return cls(replace(moments, mean=mean), rest)

    def merge(self, other: RunningMoments) -> RunningMoments:
        """Moments of both sets' values together, as :meth:`Moments.merge`.

        Raises:
            ValueError: the sets have different numbers of bins.
        """
        one, two = self.moments, other.moments
        plain = one.merge(two)
        share = two.count / np.maximum(plain.count, 1)
        step = (two.mean - one.mean) + (other.mean_rest - self.mean_rest)
        mean, rest = _exact_sum(one.mean, self.mean_rest + step * share)
        first = one.count == 0  # then a sum would round the other's mean
        return RunningMoments(
            replace(plain, mean=np.where(first, two.mean, mean), m2=one.m2 + two.m2 + step**2 * one.count * share),
            np.where(first, other.mean_rest, rest),
        )


def floor_threshold(floor_db: float) -> float:
    """A value that is not above it counts as one at the dB floor: ``floor_db``, to a float32 rounding."""
    return float(np.nextafter(np.float32(floor_db), np.float32(np.inf)))


def _exact_sum(one: _Float, other: _Float) -> tuple[_Float, _Float]:
    """The rounded sum and what the rounding leaves out (Knuth 1997, volume 2, section 4.2.2, theorem B)."""
    total = one + other
    part = total - one
    return total, (one - (total - part)) + (other - part)


def _sums(values: _Float) -> tuple[_Float, _Float]:
    """Sums of ``[bins, frames]`` and of its squares, ``[bins]``.

    Not by BLAS, which shares long sums out: their bits would depend on the number of threads.
    """
    return np.einsum("bf->b", values), np.einsum("bf,bf->b", values, values)


def _floor_count(values: NDArray[np.floating], minimum: _Float, floor_db: float, mask: NDArray[np.bool_]) -> _Int:
    threshold = floor_threshold(floor_db)
    if not (minimum <= threshold).any():  # most clips
        return np.zeros(len(values), np.int64)
    at_floor = np.less_equal(values, threshold, out=mask).view(np.uint8)  # bytes add up faster than truth values
    count: NDArray[np.uint32] = at_floor.sum(axis=1, dtype=np.uint32)
    return count.astype(np.int64)
