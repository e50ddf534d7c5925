"""Figures of merit as functions of sums over clips, so that a bootstrap need only weigh those sums."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from specnorm.training.scores import log_losses, right

CALIBRATION_BINS = 15  # of equal width, over the probability of the predicted class

_FLOOR_VALUES = 2**22  # drawn at a time

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]


@dataclass(frozen=True)
class Metric:
    """A figure that is a function of sums over clips.

    Args:
        terms: what each clip adds, sparse ``[clips, terms]``, from probabilities ``[clips, classes]`` and targets.
        value: the figure ``[...]`` from sums ``[..., terms]``; NaN where nothing was drawn.
        biased: whether draws lie off the figure itself, because it is no mean: repeated clips raise a calibration error
            (it takes absolute values) and lower an F1 (a class's few clips get fewer).
        pooled: whether it is of all the held-out clips of a seed, not the mean over folds: a calibration error is
            the larger, the fewer clips it is of.
    """

    terms: Callable[[_Float, _Int], sparse.csr_array]
    value: Callable[[_Float], _Float]
    biased: bool = False
    pooled: bool = False

    def of(self, probabilities: _Float, targets: _Int) -> float:
        """The figure of all the clips."""
        return float(self.value(np.asarray(self.terms(probabilities, targets).sum(axis=0), np.float64)))


def points(share: float) -> float:
    """Hundredths, without the rounding of sums: differences of as many clips are shown alike, and none has no sign.

    >>> points(0.0125), points(-1e-17)
    (1.25, 0.0)
    """
    return round(100 * share, 9) + 0.0


def p_shown(p: float) -> str:
    """A p-value in two digits.

    >>> p_shown(0.0004), p_shown(0.0123)
    ('< 0.001', '0.012')
    """
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def probability_shown(share: float) -> str:
    """A probability that draws have found, in per cent: never a certainty, which they cannot give.

    >>> probability_shown(0.964), probability_shown(1.0)
    ('96 %', 'over 99 %')
    """
    if share > 0.995:
        return "over 99 %"
    return "under 1 %" if share < 0.005 else f"{100 * share:.0f} %"


def margin_shown(share: float) -> str:
    """A distance in points that somebody has chosen.

    >>> margin_shown(0.01), margin_shown(0.025)
    ('1 point', '2.5 points')
    """
    shown = f"{points(share):g}"
    return f"{shown} point" if shown == "1" else f"{shown} points"


def _with_count(values: _Float) -> sparse.csr_array:
    return sparse.csr_array(np.stack([values, np.ones_like(values)], axis=1))


def _placed(values: _Float, columns: _Int, width: int) -> sparse.csr_array:
    """``[clips, width]`` with each clip's value in a column of its own, and none where that is none."""
    own = np.flatnonzero(values)
    return sparse.csr_array((values[own], (own, columns[own])), shape=(len(values), width))


def ratio(over: _Float, under: _Float) -> _Float:
    """``over / under``, NaN where ``under`` is none."""
    found: _Float = np.divide(over, under, out=np.full(np.shape(over), np.nan), where=under > 0)
    return found


def _mean(sums: _Float) -> _Float:
    return ratio(sums[..., 0], sums[..., 1])


def _f1_terms(probabilities: _Float, targets: _Int) -> sparse.csr_array:
    """Right, predicted and there: a column a class each."""
    classes, ones = probabilities.shape[1], np.ones(len(targets))
    predicted = _placed(ones, probabilities.argmax(axis=1), classes)
    parts = [_placed(right(probabilities, targets), targets, classes), predicted, _placed(ones, targets, classes)]
    return sparse.csr_array(sparse.hstack(parts))


def _f1(sums: _Float) -> _Float:
    """Mean over the classes that are there of 2 right / (predicted + there).

    A class that a held-out fold has no clip of has no part in it: what was taken for it counts against the classes that
    it was taken from, whose clips are then not right, and against no class twice.
    """
    right, predicted, there = np.split(sums, 3, axis=-1)
    total = predicted + there
    by_class = np.divide(2 * right, total, out=np.zeros_like(total), where=total > 0)
    return ratio((by_class * (there > 0)).sum(axis=-1), (there > 0).sum(axis=-1))


def _calibration_terms(probabilities: _Float, targets: _Int) -> sparse.csr_array:
    """Confidence less correctness, in the column of the confidence's bin; and the count."""
    confidence = probabilities.max(axis=1)
    gaps = _placed(confidence - right(probabilities, targets), _bins(confidence), CALIBRATION_BINS)
    return sparse.csr_array(sparse.hstack([gaps, sparse.csr_array(np.ones((len(targets), 1)))]))


def _bins(confidence: _Float) -> _Int:
    return np.minimum((confidence * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)


def _calibration(sums: _Float) -> _Float:
    """Expected calibration error (Guo et al. 2017, equation 3): mean gap between confidence and accuracy by bin."""
    gaps: _Float = np.abs(sums[..., :-1]).sum(axis=-1)
    return ratio(gaps, sums[..., -1])


def calibration_floor(probabilities: _Float, *, draws: int = 1000, seed: int = 0) -> float:
    """The calibration error that these confidences show on average if they are perfectly calibrated.

    Args:
        probabilities: ``[clips, classes]``.
        draws: of who is right, each clip with the probability of its predicted class.
        seed: of the draws.
    """
    confidence = probabilities.max(axis=1)
    bins = np.eye(CALIBRATION_BINS)[_bins(confidence)]
    generator, rows = np.random.default_rng(seed), max(1, _FLOOR_VALUES // len(confidence))
    gaps = [
        (confidence - (generator.random((min(rows, draws - first), len(confidence))) < confidence)) @ bins
        for first in range(0, draws, rows)
    ]
    return float(np.abs(np.concatenate(gaps)).sum(axis=1).mean() / len(confidence))


def _recall_terms(probabilities: _Float, targets: _Int) -> sparse.csr_array:
    classes = probabilities.shape[1]
    parts = [_placed(values, targets, classes) for values in (right(probabilities, targets), np.ones(len(targets)))]
    return sparse.csr_array(sparse.hstack(parts))


def _recall(sums: _Float) -> _Float:
    """Share of each class's clips that are right ``[..., classes]``."""
    return ratio(*np.split(sums, 2, axis=-1))


METRICS = {
    "accuracy": Metric(lambda probabilities, targets: _with_count(right(probabilities, targets)), _mean),
    "f1_macro": Metric(_f1_terms, _f1, biased=True),
    "log_loss": Metric(lambda probabilities, targets: _with_count(log_losses(probabilities, targets)), _mean),
    "calibration_error": Metric(_calibration_terms, _calibration, biased=True, pooled=True),
}
RECALL = Metric(_recall_terms, _recall)
