"""How far accuracies and their differences would move with other recordings and other training runs.

Source recordings and training runs are both samples, as the cases and the readers of a multi-reader multi-case analysis
are (Dorfman, Berbaum and Metz 1992; Obuchowski and Rockette 1995; Hillis 2007). What recordings move is estimated for
every pair of modes by itself; what whole runs move beyond that is pooled over the pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from specnorm.comparison.outcomes import Outcomes
from specnorm.training.scores import right

_ROUNDING = 1e-12  # a standard error below it is that of two modes that nothing tells apart
_STEPS = 20  # to the fixed point of the weights, which is reached to the last digit in some ten

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """A mean square of the pairs' differences: what it is over what recordings alone give is the runs' part."""

    square: float
    base: float
    freedom: float


@dataclass(frozen=True)
class Variance:
    """Of the accuracies of modes, over recordings and training runs.

    Attributes:
        modes: in the order of the rows below.
        means: ``[modes]``, over cells.
        recordings: covariance ``[modes, modes]`` of the means from recordings alone, each seed's runs as they are.
        flips: the part of a pair's variance that is each run's own for each recording, mean over pairs, which more
            seeds shrink; NaN with one seed, where it cannot be told from the recordings' own.
        runs: what whole runs move beyond that, as a mean over pairs; never negative.
        seed_runs: the part of it that more seeds shrink; NaN with one seed.
        parts: the mean squares that ``runs`` is from: between folds, and between seeds within folds.
        freedom: degrees of freedom of a difference; NaN for one run of one fold, which knows of no other run.
        folds: how many.
        seeds: how many.
        units: how many recordings were the units, which are clips in a fold of one group alone.
    """

    modes: tuple[str, ...]
    means: _Float
    recordings: _Float
    flips: float
    runs: float
    seed_runs: float
    parts: tuple[Part, ...]
    freedom: float
    folds: int
    seeds: int
    units: int

    @cached_property
    def pair(self) -> float:
        """Mean variance of a pair's difference from recordings alone."""
        both = list(combinations(range(len(self.modes)), 2))
        return float(np.mean([_of_pair(self.recordings, one, other) for one, other in both])) if both else float("nan")

    @property
    def inflation(self) -> float:
        """By how much the training runs make the variance of a difference larger than recordings alone do."""
        return 1 + self.runs / self.pair if self.pair > 0 else 1.0

    @property
    def covariance(self) -> _Float:
        """Of the means over recordings and training runs ``[modes, modes]``."""
        return self.recordings * self.inflation

    def error(self, one: str, other: str, *, inflated: bool = True) -> float:
        """Standard error of a difference: over recordings and training runs, or over recordings alone."""
        places = self.modes.index(one), self.modes.index(other)
        return float(np.sqrt(max(_of_pair(self.covariance if inflated else self.recordings, *places), 0.0)))

    def p(self, one: str, other: str) -> float:
        """Two-sided p of a difference by Student's t; 1 where nothing varies, or where no other run is known."""
        difference = self.means[self.modes.index(one)] - self.means[self.modes.index(other)]
        error = self.error(one, other)
        if error <= _ROUNDING or not np.isfinite(self.freedom):
            return 1.0
        return float(2 * stats.t.sf(abs(difference) / error, self.freedom))

    def reach(self, error: float, level: float) -> float:
        """Half of the width of an interval; with recordings alone where no other run is known."""
        return float(stats.t.ppf((1 + level) / 2, self._known_freedom) * error)

    @property
    def _known_freedom(self) -> float:
        return self.freedom if np.isfinite(self.freedom) else float(max(self.units - self.folds, 1))


def analyse(outcomes: Outcomes) -> Variance:
    """Estimate the variances of a comparison.

    Args:
        outcomes: the predictions of every mode.

    A recording that lies in two folds counts as one in each. A fold that holds one recording only is a population of
    its own, a speaker or a machine: its clips are the units, and what differs between such folds counts as the runs'.
    """
    modes = tuple(outcomes.probabilities)
    hits = np.stack([np.stack([right(each, outcomes.targets) for each in outcomes.probabilities[m]]) for m in modes])
    return of_hits(modes, hits.astype(np.float64), outcomes.folds, outcomes.recordings)


def of_hits(modes: tuple[str, ...], hits: _Float, folds: _Int, recordings: _Int) -> Variance:
    """As :func:`analyse`, from what each run got right ``[modes, seeds, clips]``, folds and recordings ``[clips]``."""
    _, folds = np.unique(folds, return_inverse=True)
    units, unit_fold = _units(folds, recordings)
    fold_count, seed_count = int(folds.max()) + 1, hits.shape[1]
    clips, size = np.bincount(folds), np.bincount(units)
    by_cell = np.stack([hits[:, :, folds == fold].mean(axis=2) for fold in range(fold_count)], axis=2)
    sums = np.add.reduceat(hits[:, :, np.argsort(units, kind="stable")], np.cumsum(size) - size, axis=2)
    in_fold = np.bincount(unit_fold)
    grown = np.sqrt(in_fold / np.maximum(in_fold - 1, 1))[unit_fold]  # residuals about a mean are too small
    residuals = (sums - by_cell[:, :, unit_fold] * size) * grown / (fold_count * clips[unit_fold])
    averaged = residuals.mean(axis=1)
    covariance = averaged @ averaged.T
    pairs = list(combinations(range(len(modes)), 2))
    between = _differences(by_cell.mean(axis=1), pairs)  # [pairs, folds]
    comparisons = len(modes) - 1
    parts, flips, seed_runs = [], float("nan"), float("nan")
    base = _mean_of_pairs(covariance, pairs)
    if pairs and fold_count > 1:
        square = float((between.var(axis=1, ddof=1) / fold_count).mean())
        parts.append(Part(square, base, (fold_count - 1) * comparisons))
    if pairs and seed_count > 1:
        inner = _differences(by_cell, pairs)  # [pairs, seeds, folds]
        square = float((inner.var(axis=1, ddof=1) / seed_count).sum(axis=1).mean() / fold_count**2)
        own = residuals - averaged[:, None]
        flips = _mean_of_pairs(np.einsum("asu,bsu->ab", own, own) / (seed_count - 1) / seed_count, pairs)
        seed_runs = max(square - flips, 0.0)
        if flips > _ROUNDING * base:  # seeds that all did the same are one seed, and know no more than it
            parts.append(Part(square, flips, fold_count * (seed_count - 1) * comparisons))
    runs, freedom = _runs(parts, base, folded=fold_count > 1)
    return Variance(
        modes=modes,
        means=by_cell.mean(axis=(1, 2)),
        recordings=covariance,
        flips=flips,
        runs=runs,
        seed_runs=min(seed_runs, runs) if np.isfinite(seed_runs) else seed_runs,
        parts=tuple(parts),
        freedom=freedom,
        folds=fold_count,
        seeds=seed_count,
        units=len(size),
    )


def satterthwaite(parts: tuple[Part, ...] | list[Part], base: float, runs: float) -> float:
    """Degrees of freedom of ``base + runs``, where ``runs`` is from ``parts`` (Satterthwaite 1946)."""
    return float((base + runs) ** 2 * sum(part.freedom / _squared(part.base + runs) for part in parts))


def _runs(parts: list[Part], base: float, *, folded: bool) -> tuple[float, float]:
    """What whole runs move, weighed by how well each part knows it, and the degrees of freedom."""
    if not parts or not base > 0:
        return 0.0, float("nan")
    runs = 0.0
    for _ in range(_STEPS):
        weights = [part.freedom / _squared(part.base + runs) for part in parts]
        excess = sum(weight * (part.square - part.base) for weight, part in zip(weights, parts, strict=True))
        runs = max(0.0, excess / sum(weights))
    if folded and parts[0].square - base > runs:  # folds differ more than their runs do: the training sets' part
        return parts[0].square - base, parts[0].freedom
    return runs, satterthwaite(parts, base, runs)


def _units(folds: _Int, recordings: _Int) -> tuple[_Int, _Int]:
    """A number from 0 for each clip's recording within its fold, and the fold of each such number."""
    alone = np.array([len(np.unique(recordings[folds == fold])) == 1 for fold in range(folds.max() + 1)])[folds]
    inside = np.where(alone, recordings.max() + 1 + np.arange(len(folds)), recordings)
    found, units = np.unique(np.stack([folds, inside]), axis=1, return_inverse=True)
    return units.ravel(), found[0]


def _of_pair(covariance: _Float, one: int, other: int) -> float:
    return float(covariance[one, one] + covariance[other, other] - 2 * covariance[one, other])


def _mean_of_pairs(covariance: _Float, pairs: list[tuple[int, int]]) -> float:
    return float(np.mean([_of_pair(covariance, one, other) for one, other in pairs])) if pairs else float("nan")


def _differences(values: _Float, pairs: list[tuple[int, int]]) -> _Float:
    return np.stack([values[other] - values[one] for one, other in pairs]) if pairs else values[:0]


def _squared(value: float) -> float:
    return max(value, 1e-150) ** 2
