"""What a prediction is worth, clip by clip."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from specnorm.comparison.metrics import METRICS
from specnorm.training import loop
from specnorm.training.scores import log_losses, right


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loop_and_the_comparison_agree_to_the_bit_and_with_scikit_learn(dtype: type) -> None:
    """A regression: the two computed the same figures in two ways."""
    import torch

    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(7), 200).astype(dtype)
    targets = generator.integers(0, 7, 200)
    scores = loop.score(torch.from_numpy(probabilities), torch.from_numpy(targets))
    exact = probabilities.astype(np.float64)
    assert scores["valid_loss"] == log_losses(exact, targets).mean()
    assert scores["valid_accuracy"] == right(exact, targets).mean() == accuracy_score(targets, exact.argmax(1))
    # Sums in another order, and scikit-learn divides by the sum of each row.
    assert METRICS["log_loss"].of(exact, targets) == pytest.approx(scores["valid_loss"], rel=1e-12)
    assert log_loss(targets, exact / exact.sum(1, keepdims=True), labels=range(7)) == pytest.approx(
        scores["valid_loss"], rel=1e-6
    )


def test_a_probability_of_zero_has_a_finite_loss() -> None:
    assert np.isfinite(log_losses(np.array([[1.0, 0.0]]), np.array([1]))).all()
