"""Moments against numpy's two passes and scikit-learn's running ones, on spectrogram-like values."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from specnorm.statistics.moments import Moments, merged


@pytest.fixture(scope="module")
def clips() -> NDArray[np.float32]:
    """Levels [40 clips, 33 bins, 101 frames]; clips differ by tens of decibels, one is all floor."""
    generator = np.random.default_rng(0)
    level = generator.uniform(-90, 0, (40, 1, 1)) + generator.uniform(-20, 0, (1, 33, 1))
    values = np.maximum(level + generator.uniform(1, 15, (1, 33, 1)) * generator.standard_normal((40, 33, 101)), -100)
    values[7] = -100.0
    return values.astype(np.float32)


def test_numpy(clips: NDArray[np.float32]) -> None:
    found = merged([Moments.of(clip, -100.0) for clip in clips])
    exact = clips.astype(np.float64).transpose(1, 0, 2).reshape(33, -1)
    # 1e-9 is the design's promise; float64 keeps it with four digits to spare.
    np.testing.assert_allclose(found.mean, exact.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.deviation, exact.std(axis=1), rtol=1e-9)
    assert found.pooled().mean[0] == pytest.approx(exact.mean(), rel=1e-9)
    assert found.pooled().deviation[0] == pytest.approx(exact.std(), rel=1e-9)


def test_numpys_two_passes_on_every_clip(clips: NDArray[np.float32]) -> None:
    """A clip by itself, where the deviation is a few hundredths of the mean in many bins, and 0 in those of one."""
    for clip in clips:
        found, exact = Moments.of(clip, -100.0), clip.astype(np.float64)
        np.testing.assert_allclose(found.mean, exact.mean(axis=1), rtol=1e-12)
        # The roundings of -100 dB are all that an all-floor clip may show.
        np.testing.assert_allclose(found.deviation, exact.std(axis=1), rtol=1e-11, atol=1e-13)


def test_scikit_learn(clips: NDArray[np.float32]) -> None:
    found = Moments.empty(33)
    scaler = StandardScaler()
    for clip in clips:
        found = found.merge(Moments.of(clip, -100.0))
        scaler.partial_fit(clip.T.astype(np.float64))
        # Both keep float64 moments: only the order of operations differs.
        np.testing.assert_allclose(found.mean, scaler.mean_, rtol=1e-11)
        np.testing.assert_allclose(found.variance, scaler.var_, rtol=1e-11, atol=1e-20)
    assert found.count[0] == scaler.n_samples_seen_
