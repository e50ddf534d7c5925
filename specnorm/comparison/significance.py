"""Tests beside the analysis of variance: with the same trained networks, and over folds alone.

Under cross-validation every mode predicts every clip once, so modes are paired clip by clip. Clips of one recording are
not independent: they are swapped together. Seeds are no new clips: they are averaged before clips are compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from specnorm.comparison.outcomes import Outcomes

DRAWS = 10_000
DRAWS_A_PAIR = 400  # of a permutation test, or Holm's first level is out of its reach

_BATCH = 500  # permutations at a time: bounds their memory
_WHOLE = 1e-6  # how far sums may be from whole numbers, which they are where folds are equal

_Float = NDArray[np.float64]


def same_networks(outcomes: Outcomes, one: str, other: str, *, pairs: int = 1, seed: int = 0) -> float:
    """p of a pair if the trained networks are taken as they are and only the recordings as a sample.

    Exact where folds have as many clips each, else from draws, which grow with the number of ``pairs``.
    """
    by_clip = outcomes.right(one) - outcomes.right(other)
    folds, place, sizes = np.unique(outcomes.folds, return_inverse=True, return_counts=True)
    if len(set(sizes.tolist())) == 1:
        seeds = len(outcomes.probabilities[one])
        return exact_p(_summed(outcomes, by_clip * seeds))
    # A clip's part in the mean over cells: folds count alike, whatever their number of clips.
    sums = _summed(outcomes, by_clip / (len(folds) * sizes[place]))
    return permutation_p(sums, draws=max(DRAWS, DRAWS_A_PAIR * pairs), seed=seed)


def by_class(outcomes: Outcomes, one: str, other: str) -> list[float]:
    """:func:`same_networks` within each class: 1 for a class without clips."""
    by_clip = (outcomes.right(one) - outcomes.right(other)) * len(outcomes.probabilities[one])
    return [
        exact_p(_summed(outcomes, np.where(outcomes.targets == target, by_clip, 0.0)))
        for target in range(outcomes.classes)
    ]


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
    whole = whole[whole > 0]  # swapping two equals changes nothing
    if not len(whole):
        return 1.0
    chances = np.ones(1)  # of the number of steps by which a sum of +1 and -1 times the terms lies above its least
    for step in whole.tolist():
        grown = np.zeros(len(chances) + step)
        grown[: len(chances)] += chances / 2
        grown[step:] += chances / 2
        chances = grown
    total, found = int(whole.sum()), abs(int(np.rint(sums.sum())))
    reached = np.abs(2 * np.arange(len(chances)) - total) >= found
    return float(min(chances[reached].sum(), 1.0))


def permutation_p(sums: _Float, *, draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided p of paired differences ``[recordings]`` under swaps of the two modes, a recording at a time.

    ``sums`` are a recording's summed differences: swapping it turns its sign. All swaps are tried where they are no
    more than ``draws``.
    """
    sums = sums[sums != 0]  # swapping two equals changes nothing
    if len(sums) < 2:
        return 1.0  # with one recording, either way round is as far from zero
    found = stats.permutation_test(
        (sums, np.zeros_like(sums)),
        lambda a, b, axis: (a - b).sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=draws,
        batch=_BATCH,
        rng=np.random.default_rng(seed),
    )
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


def _summed(outcomes: Outcomes, by_clip: _Float) -> _Float:
    sums = np.zeros(outcomes.recording_count)
    np.add.at(sums, outcomes.recordings, by_clip)
    return sums
