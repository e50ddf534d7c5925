"""Moments do not depend on how the values are cut, ordered and merged."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from specnorm.statistics.moments import Moments

levels = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 60)),
    elements=st.floats(-120, 60, width=32),
)


@pytest.mark.case("S1")
@given(levels, st.lists(st.integers(0, 60), max_size=10), st.randoms(use_true_random=False))
def test_any_partition_any_order_and_any_merge_tree(
    values: NDArray[np.float32], cuts: list[int], chance: random.Random
) -> None:
    frames = list(range(values.shape[1]))
    chance.shuffle(frames)
    parts = [Moments.of(part, -100.0) for part in np.split(values[:, frames], sorted(cuts), axis=1)]
    while len(parts) > 1:
        one = parts.pop(chance.randrange(len(parts)))
        other = parts.pop(chance.randrange(len(parts)))
        parts.append(one.merge(other))
    [found] = parts

    exact = values.astype(np.float64)
    # Each of up to 10 merges rounds a mean, by half a last digit of the peak.
    rounding = 10 * np.finfo(np.float64).eps * np.abs(exact).max(axis=1)
    assert (np.abs(found.mean - exact.mean(axis=1)) <= rounding).all()
    assert (np.abs(found.deviation - exact.std(axis=1)) <= 1e-12 * exact.std(axis=1) + rounding).all()
    assert np.array_equal(found.count, np.full(len(values), values.shape[1]))
    assert np.array_equal(found.minimum, exact.min(axis=1))
    assert np.array_equal(found.maximum, exact.max(axis=1))
    assert np.array_equal(found.floor_count, (exact <= np.nextafter(np.float32(-100), np.float32(0))).sum(axis=1))


@given(levels)
def test_a_set_and_its_double_have_the_same_mean_and_deviation(values: NDArray[np.float32]) -> None:
    one = Moments.of(values, -100.0)
    two = one.merge(one)
    assert np.array_equal(two.mean, one.mean)
    assert np.array_equal(two.deviation, one.deviation)


@given(levels)
def test_the_mean_and_the_deviation_stay_within_the_extremes(values: NDArray[np.float32]) -> None:
    found = Moments.of(values, -100.0)
    rounding = 4 * np.finfo(np.float64).eps * np.abs(values).max()
    assert (found.minimum - rounding <= found.mean).all()
    assert (found.mean <= found.maximum + rounding).all()
    assert (found.m2 >= 0).all()
    assert (found.deviation <= (found.maximum - found.minimum) / 2 * (1 + 1e-12)).all()  # Popoviciu's inequality
