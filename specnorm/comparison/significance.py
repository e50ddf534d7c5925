"""Tests beside the analysis of variance: with the same trained networks, and over folds alone.

Under cross-validation every mode predicts every clip once, so modes are paired clip by clip. Clips of one recording are
not independent: they are swapped together. Seeds are no new clips: they are averaged before clips are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from specnorm.comparison.family import Pair
from specnorm.comparison.outcomes import Outcomes

DRAWS = 10_000
DRAWS_A_PAIR = 400  # of a permutation test, or Holm's first level is out of its reach

_BATCH_VALUES = 2**22  # signs at a time: bounds their memory
_ROUNDING = 1e-12  # of sums in another order, as a part of all that is summed
_WHOLE = 1e-6  # how far sums may be from whole numbers, which they are where folds are equal

_Float = NDArray[np.float64]


def same_networks(outcomes: Outcomes, pairs: Sequence[Pair], *, declared: int = 1, seed: int = 0) -> list[float]:
    """p of each pair if the trained networks are taken as they are and only the recordings as a sample.

    Exact where folds have as many clips each, else from draws, the same for all pairs, which grow with the number of
    ``declared`` ones.
    """
    folds, place, sizes = np.unique(outcomes.folds, return_inverse=True, return_counts=True)
    seeds = len(next(iter(outcomes.probabilities.values())))
    exact = len(set(sizes.tolist())) == 1
    # A clip's part in the mean over cells: folds count alike, whatever their number of clips.
    weight = seeds if exact else 1 / (len(folds) * sizes[place])
    modes = {mode: _sums(outcomes.recordings, outcomes.right(mode) * weight) for pair in pairs for mode in pair}
    sums = [modes[one] - modes[other] for one, other in pairs]
    if exact:
        return [exact_p(each) for each in sums]
    return permutation_ps(sums, draws=max(DRAWS, DRAWS_A_PAIR * declared), seed=seed)


def by_class(outcomes: Outcomes, one: str, other: str) -> list[float]:
    """:func:`same_networks` within each class: 1 for a class without clips."""
    by_clip = (outcomes.right(one) - outcomes.right(other)) * len(outcomes.probabilities[one])
    order = np.argsort(outcomes.targets, kind="stable")
    ends = np.searchsorted(outcomes.targets[order], np.arange(outcomes.classes + 1))
    clips = [order[first:end] for first, end in pairwise(ends)]
    return [exact_p(_sums(outcomes.recordings[own], by_clip[own])) for own in clips]


def over_folds(outcomes: Outcomes, one: str, other: str) -> float:
    """p of the corrected resampled t-test of a pair; NaN with a single fold."""
    folds, sizes = np.unique(outcomes.folds, return_counts=True)
    by_clip = outcomes.right(one) - outcomes.right(other)
    by_fold = [float(by_clip[outcomes.folds == fold].mean()) for fold in folds]
    test_share = float(np.mean(sizes / np.maximum(outcomes.total_clips - sizes, 1)))
    return corrected_t(by_fold, test_share)[1]


def exact_p(sums: _Float) -> float:
    """Two-sided p of whole paired differences ``[recordings]`` under all swaps of the two modes, a recording at a time.

    The distribution of the signed sum is the convolution of those of its terms. Of differences that are all one clip it
    is McNemar's exact test.
    """
    whole = np.rint(np.abs(sums)).astype(np.int64)
    if np.abs(np.abs(sums) - whole).max(initial=0) > _WHOLE:
        raise ValueError("the exact distribution is that of whole differences")
    steps, times = np.unique(whole[whole > 0], return_counts=True)  # swapping two equals changes nothing
    chances = np.ones(1)  # of the number of steps by which a sum of +1 and -1 times the terms lies above its least
    for step, count in zip(steps.tolist(), times.tolist(), strict=True):
        of_step = np.zeros(step * count + 1)
        of_step[::step] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, of_step)
    found = abs(int(np.rint(sums.sum())))
    reached = np.abs(2 * np.arange(len(chances)) - (len(chances) - 1)) >= found
    return float(min(chances[reached].sum(), 1.0))


def permutation_ps(sums: Sequence[_Float], *, draws: int = DRAWS, seed: int = 0) -> list[float]:
    """Two-sided p of pairs' differences ``[recordings]`` under swaps of the two modes, a recording at a time.

    A pair's sums are a recording's summed differences: swapping it turns its sign. All swaps are tried where they are
    no more than ``draws``; else every pair is swapped by the same draws, and the swap that was found counts as one.
    """
    exact = [_of_all_swaps(each, draws) for each in sums]
    drawn = iter(_of_draws([each for each, p in zip(sums, exact, strict=True) if p is None], draws, seed))
    return [next(drawn) if p is None else p for p in exact]


def _of_all_swaps(sums: _Float, most: int) -> float | None:
    """p by all swaps, where they are no more than ``most``."""
    sums = sums[sums != 0]  # swapping two equals changes nothing
    if len(sums) < 2:
        return 1.0  # with one recording, either way round is as far from zero
    if 2 ** len(sums) > most:
        return None
    reached = np.zeros(1)
    for each in sums:
        reached = np.concatenate([reached + each, reached - each])
    return float(np.mean(np.abs(reached) >= abs(sums.sum()) - _ROUNDING * np.abs(sums).sum()))


def _of_draws(sums: Sequence[_Float], draws: int, seed: int) -> list[float]:
    if not sums:
        return []
    table = np.stack(sums, axis=1)  # [recordings, pairs]
    at_least = np.abs(table.sum(axis=0)) - _ROUNDING * np.abs(table).sum(axis=0)
    generator, reached = np.random.default_rng(seed), np.zeros(len(sums), np.int64)
    batch = max(1, _BATCH_VALUES // len(table))
    for first in range(0, draws, batch):
        signs = 2.0 * generator.integers(0, 2, (min(batch, draws - first), len(table)), np.int8) - 1
        reached += (np.abs(signs @ table) >= at_least).sum(axis=0)
    return [(count + 1) / (draws + 1) for count in reached.tolist()]  # Phipson and Smyth 2010


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


def _sums(recordings: NDArray[np.int64], by_clip: _Float) -> _Float:
    return np.asarray(np.bincount(recordings, by_clip), np.float64)
