"""How sure a difference between two modes is: paired tests, and what the design could have seen.

Under cross-validation every mode predicts every clip once, so modes are paired clip by clip. Clips of one recording are
not independent: they are drawn and swapped together. Seeds are no new clips: they are averaged before clips are
compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from specnorm.comparison.bootstrap import DRAWS, LEVEL, ROUNDING, Bootstrap
from specnorm.comparison.outcomes import Outcomes

POWER = 0.8

_BATCH = 500  # permutations at a time: bounds their memory

_Float = NDArray[np.float64]


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


def detectable(standard_error: float, recordings: int, *, pairs: int = 1) -> float:
    """The smallest true difference that a two-sided test at 5 % finds with 80 % power (Bloom 1995).

    With several pairs the level is the one that Holm's correction asks of the first: 5 % over their number. NaN where
    nothing varied, which is no power without end, and with so few recordings that no swap of them reaches the level.
    """
    level, freedom = (1 - LEVEL) / pairs, recordings - 1
    if 2.0**-freedom >= level or standard_error <= ROUNDING:  # the least p of a swap test is 2 of 2^recordings
        return float("nan")
    quantiles = stats.t.ppf(1 - level / 2, freedom) + stats.t.ppf(POWER, freedom)
    return float(quantiles * standard_error)
