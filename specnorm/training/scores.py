"""What a prediction is worth, clip by clip."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def log_losses(probabilities: NDArray[np.floating], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Negative log likelihood of each clip's own class in nats ``[clips]``, from probabilities ``[clips, classes]``.

    A probability of zero counts as the smallest normal float32, so that one clip's loss is at most 87.3.

    >>> log_losses(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 1])).round(2).tolist()
    [0.69, 87.34]
    """
    likelihood = probabilities[np.arange(len(targets)), targets].astype(np.float64)
    losses: NDArray[np.float64] = -np.log(np.maximum(likelihood, np.finfo(np.float32).tiny))
    return losses


def right(probabilities: NDArray[np.floating], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 for each clip whose most probable class is its own, else 0 ``[clips]``; the first class wins a tie.

    >>> right(np.array([[0.2, 0.8], [0.5, 0.5]]), np.array([1, 1])).tolist()
    [1.0, 0.0]
    """
    found: NDArray[np.bool_] = probabilities.argmax(axis=1) == targets
    return found.astype(np.float64)
