"""How sure a comparison of modes is: intervals, paired tests, and what the design could have seen.

Under cross-validation every mode predicts every clip once, so modes are paired clip by clip. Clips of one recording are
not independent: they are drawn and swapped together. Seeds are no new clips: they are averaged before clips are
compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from specnorm.comparison.metrics import METRICS, RECALL, Metric, ratio
from specnorm.training.scores import right

LEVEL = 0.95
POWER = 0.8
DRAWS = 10_000

_ROUNDING = 1e-12  # of sums in another order
_BATCH = 500  # permutations at a time: bounds their memory

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]


@dataclass(frozen=True)
class Outcomes:
    """Held-out predictions of every mode for the same clips.

    Args:
        targets: ``[clips]``, 0 to classes - 1.
        folds: ``[clips]``, the fold that held the clip out.
        recordings: ``[clips]``, a number from 0 without gaps for each source recording.
        probabilities: ``[seeds, clips, classes]`` for each mode.
        total_clips: of the data set, where some folds were never held out.
    """

    targets: _Int
    folds: _Int
    recordings: _Int
    probabilities: Mapping[str, _Float]
    total_clips: int

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(next(iter(self.probabilities.values())).shape[-1])

    @property
    def recording_count(self) -> int:
        """Number of source recordings."""
        return int(self.recordings.max()) + 1

    def right(self, mode: str) -> _Float:
        """Share of the seeds that get each clip right ``[clips]``."""
        share: _Float = np.mean([right(each, self.targets) for each in self.probabilities[mode]], axis=0)
        return share


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its 95 % interval and its standard error."""

    value: float
    low: float
    high: float
    error: float


@dataclass(frozen=True)
class PairTests:
    """What a pair's difference in accuracy is worth."""

    p_permutation: float
    p_corrected_t: float  # NaN with a single fold
    p_adjusted: float  # of the permutation test, Holm's over all pairs
    detectable: float  # the smallest true difference found with 80 % power; NaN where the design finds none

    @property
    def distinguishable(self) -> bool:
        """Whether the pair's adjusted p is below 5 %."""
        return self.p_adjusted < 1 - LEVEL


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
        """The mean over a mode's cells of a metric."""
        cells = self._of(mode, metric)
        found = _interval(cells.point.mean(), cells.drawn, cells.left_out, METRICS[metric])
        if METRICS[metric].biased:  # a normal interval knows nothing of the ends, and both such metrics are shares
            return Interval(found.value, max(found.low, 0.0), min(found.high, 1.0), found.error)
        return found

    def by_cell(self, mode: str, metric: str) -> _Float:
        """A metric of each of a mode's cells, seed by seed and within a seed fold by fold."""
        return self._of(mode, metric).point

    def difference(self, one: str, other: str, metric: str) -> Interval:
        """A metric of ``one`` less that of ``other``, paired: every draw takes the same recordings of both."""
        first, second = self._of(one, metric), self._of(other, metric)
        return _interval(
            first.point.mean() - second.point.mean(), first.drawn - second.drawn, first.left_out - second.left_out,
            METRICS[metric],
        )  # fmt: skip

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
    if np.ptp(drawn) <= _ROUNDING:  # no draw changes it
        return value, value
    # Draws tie with the value often, because clips are counted: a tie is half below.
    below = (np.mean(drawn < value - _ROUNDING) + np.mean(drawn <= value + _ROUNDING)) / 2
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


def paired_tests(
    outcomes: Outcomes, bootstrap: Bootstrap, pairs: Sequence[tuple[str, str]], *, draws: int = DRAWS, seed: int = 0
) -> list[PairTests]:
    """The tests of each pair's difference in accuracy, corrected for the number of pairs."""
    folds = np.unique(outcomes.folds)
    # A clip's part in the mean over cells: folds count alike, whatever their number of clips.
    sizes = np.array([np.count_nonzero(outcomes.folds == fold) for fold in folds])
    part: _Float = 1.0 / (len(folds) * sizes[np.searchsorted(folds, outcomes.folds)])
    test_share = float(np.mean(sizes / np.maximum(outcomes.total_clips - sizes, 1)))
    rows = []
    for one, other in pairs:
        by_clip = outcomes.right(one) - outcomes.right(other)
        sums = np.zeros(outcomes.recording_count)
        np.add.at(sums, outcomes.recordings, by_clip * part)
        by_fold = [float(by_clip[outcomes.folds == fold].mean()) for fold in folds]
        rows.append((permutation_p(sums, draws=draws, seed=seed), corrected_t(by_fold, test_share)[1]))
    adjusted = holm([p for p, _ in rows])
    return [
        PairTests(
            p_permutation=p,
            p_corrected_t=p_t,
            p_adjusted=p_holm,
            detectable=detectable(
                bootstrap.difference(*pair, "accuracy").error, outcomes.recording_count, pairs=len(pairs)
            ),
        )
        for pair, (p, p_t), p_holm in zip(pairs, rows, adjusted, strict=True)
    ]


def permutation_p(sums: _Float, *, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p of paired differences ``[recordings]`` under swaps of the two modes, a recording at a time.

    ``sums`` are a recording's summed differences: swapping it turns its sign. All swaps are tried where they are no
    more than ``draws``.
    """
    sums = sums[sums != 0]  # swapping two equals changes nothing
    if len(sums) < 2:
        return 1.0  # with one recording, either way round is as far from zero
    found = stats.permutation_test(
        (sums, np.zeros_like(sums)), lambda a, b, axis: (a - b).sum(axis=axis), permutation_type="samples",
        vectorized=True, n_resamples=draws, batch=_BATCH, rng=np.random.default_rng(seed),
    )  # fmt: skip
    return float(found.pvalue)


def corrected_t(differences: Sequence[float], test_share: float) -> tuple[float, float]:
    """Statistic and two-sided p of the corrected resampled t-test (Nadeau and Bengio 2003, section 3).

    Args:
        differences: of two modes, one a training and test split.
        test_share: test clips over training clips, which is what the overlap of the training sets is reckoned by.
    """
    values = np.asarray(differences, np.float64)
    if len(values) < 2:
        return float("nan"), float("nan")
    variance = (1 / len(values) + test_share) * values.var(ddof=1)
    if variance == 0:
        return (0.0, 1.0) if values.mean() == 0 else (float(np.copysign(np.inf, values.mean())), 0.0)
    statistic = float(values.mean() / np.sqrt(variance))
    return statistic, float(2 * stats.t.sf(abs(statistic), len(values) - 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the chance of any false rejection (Holm 1979), in the given order."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def detectable(standard_error: float, recordings: int, *, pairs: int = 1) -> float:
    """The smallest true difference that a two-sided test at 5 % finds with 80 % power (Bloom 1995).

    With several pairs the level is the one that Holm's correction asks of the first: 5 % over their number. NaN where
    nothing varied, which is no power without end, and with so few recordings that no swap of them reaches the level.
    """
    level, freedom = (1 - LEVEL) / pairs, recordings - 1
    if 2.0**-freedom >= level or standard_error <= _ROUNDING:  # the least p of a swap test is 2 of 2^recordings
        return float("nan")
    quantiles = stats.t.ppf(1 - level / 2, freedom) + stats.t.ppf(POWER, freedom)
    return float(quantiles * standard_error)


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
    return [_summed(outcomes.recordings, of_seed, outcomes.folds == fold) for of_seed, fold in product(terms, folds)]


def _pooled(outcomes: Outcomes, mode: str, metric: Metric) -> tuple[_Int, _Float]:
    terms = np.mean([metric.terms(each, outcomes.targets) for each in outcomes.probabilities[mode]], axis=0)
    return _summed(outcomes.recordings, terms, np.ones(len(outcomes.targets), np.bool_))


def _summed(recordings: _Int, terms: _Float, own: NDArray[np.bool_]) -> tuple[_Int, _Float]:
    found, place = np.unique(recordings[own], return_inverse=True)
    sums = np.zeros((len(found), terms.shape[1]))
    np.add.at(sums, place, terms[own])
    return found, sums
