"""Intervals of figures and of their differences, from draws of source recordings with replacement.

Clips of one recording are not independent: they are drawn together, and of both modes of a pair. Draws are made and
weighed a batch at a time, and of a draw only the figures are kept: memory grows with neither draws times recordings nor
recordings times classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special

from specnorm.comparison.metrics import METRICS, RECALL, Metric, ratio
from specnorm.comparison.outcomes import Outcomes

LEVEL = 0.95
DRAWS = 10_000
LEAST_DRAWS = 2_000
ROUNDING = 1e-12  # of sums in another order

_BATCH = 500  # draws at a time, and fewer
_BATCH_VALUES = 2**22  # where they have more values than this; of rows that are left out, too

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
        self._figures = {
            (mode, name): _Figure(_sums_by_cell(outcomes, mode, metric), metric, draws)
            for mode in outcomes.probabilities
            for name, metric in METRICS.items()
        }
        self._recalls = {
            mode: _Figure([_pooled(outcomes, mode, RECALL)], RECALL, draws) for mode in outcomes.probabilities
        }
        for batch in drawn(outcomes.recording_count, draws=draws, seed=seed):
            for figure in (*self._figures.values(), *self._recalls.values()):
                figure.weigh(batch)

    def estimate(self, mode: str, metric: str) -> Interval:
        """The mean over a mode's cells of a metric; a pooled one's over seeds."""
        of = self._figures[mode, metric]
        if METRICS[metric].biased:  # a normal interval knows nothing of the ends, and both such metrics are shares
            found = _normal(of.point.mean(), of.drawn)
            return Interval(found.value, max(found.low, 0.0), min(found.high, 1.0), found.error)
        return _corrected(of.point.mean(), of.drawn, of.left_out)

    def by_cell(self, mode: str, metric: str) -> _Float:
        """A metric of each of a mode's cells, seed by seed and in a seed fold by fold; a pooled one of each seed."""
        return self._figures[mode, metric].point

    def difference(self, one: str, other: str, metric: str) -> Interval:
        """A metric of ``one`` less that of ``other``, paired: every draw takes the same recordings of both."""
        first, second = self._figures[one, metric], self._figures[other, metric]
        value = first.point.mean() - second.point.mean()
        if METRICS[metric].biased:
            return _normal(value, first.drawn - second.drawn)
        return _corrected(value, first.drawn - second.drawn, first.left_out - second.left_out)

    def by_class(self, one: str, other: str) -> list[Interval]:
        """For each class, the share of its clips that ``one`` gets right less that of ``other``, seeds averaged."""
        first, second = self._recalls[one], self._recalls[other]
        point, drawn = first.point[0] - second.point[0], first.drawn - second.drawn
        classes = self._outcomes.classes
        return [
            _corrected(point[place], drawn[:, place], first.recall_without(place) - second.recall_without(place))
            for place in range(classes)
        ]


def draws_for(recordings: int) -> int:
    """How many draws intervals are made from: fewer of very many recordings, whose intervals are narrow.

    The ends of an interval from 2,000 draws are off by some 0.06 of the standard error, which has shrunk with the
    recordings.

    >>> [draws_for(count) for count in (400, 20_000, 200_000)]
    [10000, 10000, 2000]
    """
    return max(LEAST_DRAWS, min(DRAWS, 2 * 10**8 // recordings))


def drawn(recordings: int, *, draws: int, seed: int) -> Iterator[_Float]:
    """How often each recording was drawn ``[recordings, draws of the batch]``, batch by batch."""
    generator = np.random.default_rng(seed)
    most = max(1, min(_BATCH, _BATCH_VALUES // recordings))
    for first in range(0, draws, most):
        count = min(most, draws - first)
        places = generator.integers(0, recordings, (count, recordings)) * count + np.arange(count)[:, None]
        yield np.bincount(places.ravel(), minlength=recordings * count).reshape(recordings, count).astype(np.float64)


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


def _corrected(value: float, drawn: _Float, left_out: _Float) -> Interval:
    return Interval(float(value), *bca(float(value), drawn, left_out), _error(drawn))


def _normal(value: float, drawn: _Float) -> Interval:
    """Of a biased metric the draws tell the spread but not the place: Efron and Tibshirani 1993, section 12.3."""
    error = _error(drawn)
    reach = float(special.ndtri((1 + LEVEL) / 2)) * error
    return Interval(float(value), float(value) - reach, float(value) + reach, error)


def _error(drawn: _Float) -> float:
    known = drawn[np.isfinite(drawn)]
    return float(known.std(ddof=1)) if len(known) > 1 else float("nan")


class _Figure:
    """A metric of a mode's cells, of all the draws, and with each recording left out.

    Args:
        cells: each one's summed terms ``[terms, recordings]``, of which most are none.
        metric: which.
        draws: how many there will be.
    """

    def __init__(self, cells: list[sparse.csr_array], metric: Metric, draws: int) -> None:
        self._cells, self._metric = cells, metric
        self.point: _Float = np.stack([metric.value(_total(cell)) for cell in cells])  # [cells, ...]
        self.drawn: _Float = np.empty((draws, *self.point.shape[1:]))  # of each draw
        self._weighed = 0

    def weigh(self, batch: _Float) -> None:
        """Add draws ``[recordings, draws]``."""
        values = _mean_of_known([self._metric.value((cell @ batch).T) for cell in self._cells])
        self.drawn[self._weighed : self._weighed + len(values)] = values
        self._weighed += len(values)

    @cached_property
    def left_out(self) -> _Float:
        """Without each recording ``[recordings, ...]``."""
        return _mean_of_known([self._without_each(cell) for cell in self._cells])

    def recall_without(self, place: int) -> _Float:
        """A class's recall without each recording, of which most have none of its clips."""
        cell = self._cells[0]
        classes = cell.shape[0] // 2
        return self._without_each(cell[[place, classes + place]])[:, 0]

    def _without_each(self, cell: sparse.csr_array) -> _Float:
        total = _total(cell)
        by_recording = cell.T.tocsr()
        own = np.flatnonzero(np.diff(by_recording.indptr))  # leaving out another changes nothing
        found = np.repeat(self._metric.value(total)[None], cell.shape[1], axis=0)
        rows = max(1, _BATCH_VALUES // len(total))
        for first in range(0, len(own), rows):
            part = own[first : first + rows]
            left = total - by_recording[part].toarray()
            # Sums of ones and of probabilities: what is left of them by rounding is none.
            found[part] = self._metric.value(np.where(np.abs(left) < 1e-9, 0.0, left))
        return found


def _total(cell: sparse.csr_array) -> _Float:
    return np.asarray(cell.sum(axis=1), np.float64)


def _mean_of_known(values: list[_Float]) -> _Float:
    """Mean over cells of those that a draw has clips of; NaN where it has none of any."""
    stacked = np.stack(values)
    known = np.isfinite(stacked)
    return ratio(np.where(known, stacked, 0.0).sum(axis=0), known.sum(axis=0))


def _sums_by_cell(outcomes: Outcomes, mode: str, metric: Metric) -> list[sparse.csr_array]:
    terms = [metric.terms(probabilities, outcomes.targets) for probabilities in outcomes.probabilities[mode]]
    everything = [np.ones(len(outcomes.targets), np.bool_)]
    parts = everything if metric.pooled else [outcomes.folds == fold for fold in np.unique(outcomes.folds)]
    return [_summed(outcomes, of_seed, own) for of_seed, own in product(terms, parts)]


def _pooled(outcomes: Outcomes, mode: str, metric: Metric) -> sparse.csr_array:
    runs = outcomes.probabilities[mode]
    first, *others = (metric.terms(each, outcomes.targets) for each in runs)
    terms = sparse.csr_array(sum(others, start=first) / len(runs))
    return _summed(outcomes, terms, np.ones(len(outcomes.targets), np.bool_))


def _summed(outcomes: Outcomes, terms: sparse.csr_array, own: NDArray[np.bool_]) -> sparse.csr_array:
    clips = np.flatnonzero(own)
    owners = outcomes.recordings[clips]
    of_recording = sparse.csr_array(
        (np.ones(len(clips)), (clips, owners)), shape=(len(own), outcomes.recording_count)
    )  # [clips, recordings]
    return sparse.csr_array(terms.T @ of_recording)
