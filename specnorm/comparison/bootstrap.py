"""Intervals of figures and of their differences, from draws of source recordings with replacement.

Clips of one recording are not independent: they are drawn together, and of both modes of a pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import special

from specnorm.comparison.metrics import METRICS, RECALL, Metric, ratio
from specnorm.comparison.outcomes import Outcomes

LEVEL = 0.95
DRAWS = 10_000
ROUNDING = 1e-12  # of sums in another order

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its 95 % interval and its standard error."""

    value: float
    low: float
    high: float
    error: float


class Bootstrap:
    """Intervals from one set of draws of source recordings, the same for every mode and metric.

    Args:
        outcomes: the predictions.
        draws: how many times as many recordings as there are are drawn with replacement.
        seed: of the draws.
    """

    def __init__(self, outcomes: Outcomes, *, draws: int = DRAWS, seed: int = 0) -> None:
        self._outcomes = outcomes
        recordings = outcomes.recording_count
        drawn = np.random.default_rng(seed).multinomial(recordings, np.full(recordings, 1 / recordings), draws)
        self._drawn = drawn.astype(np.float64)  # [draws, recordings]: how often each was drawn
        self._cells: dict[tuple[str, str], _Cells] = {}

    def estimate(self, mode: str, metric: str) -> Interval:
        """The mean over a mode's cells of a metric; a pooled one's over seeds."""
        cells = self._of(mode, metric)
        found = _interval(cells.point.mean(), cells.drawn, cells.left_out, METRICS[metric])
        if METRICS[metric].biased:  # a normal interval knows nothing of the ends, and both such metrics are shares
            return Interval(found.value, max(found.low, 0.0), min(found.high, 1.0), found.error)
        return found

    def by_cell(self, mode: str, metric: str) -> _Float:
        """A metric of each of a mode's cells, seed by seed and in a seed fold by fold; a pooled one of each seed."""
        return self._of(mode, metric).point

    def difference(self, one: str, other: str, metric: str) -> Interval:
        """A metric of ``one`` less that of ``other``, paired: every draw takes the same recordings of both."""
        first, second = self._of(one, metric), self._of(other, metric)
        value = first.point.mean() - second.point.mean()
        return _interval(value, first.drawn - second.drawn, first.left_out - second.left_out, METRICS[metric])

    def by_class(self, one: str, other: str) -> list[Interval]:
        """For each class, the share of its clips that ``one`` gets right less that of ``other``, seeds averaged."""
        first, second = (_Cells([_pooled(self._outcomes, mode, RECALL)], RECALL, self._drawn) for mode in (one, other))
        point, drawn, left_out = (
            getattr(first, name) - getattr(second, name) for name in ("point", "drawn", "left_out")
        )
        return [
            _interval(point[0, column], drawn[:, column], left_out[:, column], RECALL)
            for column in range(self._outcomes.classes)
        ]

    def _of(self, mode: str, metric: str) -> _Cells:
        if (mode, metric) not in self._cells:
            found = METRICS[metric]
            self._cells[mode, metric] = _Cells(_sums_by_cell(self._outcomes, mode, found), found, self._drawn)
        return self._cells[mode, metric]


def bca(value: float, drawn: _Float, left_out: _Float) -> tuple[float, float]:
    """Ends of the bias-corrected and accelerated bootstrap interval (Efron 1987, equation 2.3).

    Args:
        value: the figure.
        drawn: the figure of each draw; a draw that has none is NaN.
        left_out: the figure without each of the recordings, for the acceleration.
    """
    drawn, left_out = drawn[np.isfinite(drawn)], left_out[np.isfinite(left_out)]
    if not len(drawn):
        return float("nan"), float("nan")
    if np.ptp(drawn) <= ROUNDING:  # no draw changes it
        return value, value
    # Draws tie with the value often, because clips are counted: a tie is half below.
    below = (np.mean(drawn < value - ROUNDING) + np.mean(drawn <= value + ROUNDING)) / 2
    bias = special.ndtri(below)
    slopes = left_out.mean() - left_out
    spread = np.sum(slopes**2) ** 1.5
    acceleration = np.sum(slopes**3) / (6 * spread) if spread > 0 else 0.0
    ends = bias + special.ndtri([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    shares = special.ndtr(bias + ends / (1 - acceleration * ends))
    if not np.isfinite(shares).all():  # every draw lies on one side of the value
        shares = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    low, high = np.quantile(drawn, shares)
    return float(low), float(high)


def _interval(value: float, drawn: _Float, left_out: _Float, metric: Metric) -> Interval:
    known = drawn[np.isfinite(drawn)]
    error = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
    if metric.biased:  # the draws tell the spread but not the place: Efron and Tibshirani 1993, section 12.3
        reach = float(special.ndtri((1 + LEVEL) / 2)) * error
        return Interval(float(value), float(value) - reach, float(value) + reach, error)
    return Interval(float(value), *bca(float(value), drawn, left_out), error)


class _Cells:
    """A metric of a mode's cells, of all the draws, and with each recording left out."""

    def __init__(self, cells: list[tuple[_Int, _Float]], metric: Metric, drawn: _Float) -> None:
        """``cells``: for each cell, its recordings and their summed terms ``[recordings, terms]``."""
        recordings = drawn.shape[1]
        everything = [metric.value(sums.sum(axis=0, keepdims=True))[0] for _, sums in cells]
        self.point: _Float = np.stack(everything)  # [cells, ...]
        self.drawn: _Float = _mean_of_known([metric.value(drawn[:, own] @ sums) for own, sums in cells])
        self.left_out: _Float = _mean_of_known([_without_each(own, sums, recordings, metric) for own, sums in cells])


def _without_each(own: _Int, sums: _Float, recordings: int, metric: Metric) -> _Float:
    """A cell's metric with each of all recordings left out ``[recordings, ...]``; most are not its own."""
    total = sums.sum(axis=0)
    left = np.repeat(total[None], recordings, axis=0)
    left[own] -= sums
    # Sums of ones and of probabilities: what is left of them by rounding is none.
    return metric.value(np.where(np.abs(left) < 1e-9, 0.0, left))


def _mean_of_known(values: list[_Float]) -> _Float:
    """Mean over cells of those that a draw has clips of; NaN where it has none of any."""
    stacked = np.stack(values)
    known = np.isfinite(stacked)
    return ratio(np.where(known, stacked, 0.0).sum(axis=0), known.sum(axis=0))


def _sums_by_cell(outcomes: Outcomes, mode: str, metric: Metric) -> list[tuple[_Int, _Float]]:
    folds = np.unique(outcomes.folds)
    terms = [metric.terms(probabilities, outcomes.targets) for probabilities in outcomes.probabilities[mode]]
    everything = [np.ones(len(outcomes.targets), np.bool_)]
    parts = everything if metric.pooled else [outcomes.folds == fold for fold in folds]
    return [_summed(outcomes.recordings, of_seed, own) for of_seed, own in product(terms, parts)]


def _pooled(outcomes: Outcomes, mode: str, metric: Metric) -> tuple[_Int, _Float]:
    terms = np.mean([metric.terms(each, outcomes.targets) for each in outcomes.probabilities[mode]], axis=0)
    return _summed(outcomes.recordings, terms, np.ones(len(outcomes.targets), np.bool_))


def _summed(recordings: _Int, terms: _Float, own: NDArray[np.bool_]) -> tuple[_Int, _Float]:
    found, place = np.unique(recordings[own], return_inverse=True)
    sums = np.zeros((len(found), terms.shape[1]))
    np.add.at(sums, place, terms[own])
    return found, sums
