"""Statistics do not depend on how the clips are cut into batches, padded, ordered and merged."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from specnorm.statistics.recorder import Statistics

clips = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 8), st.integers(1, 2), st.integers(1, 3), st.integers(1, 6)),
    elements=st.floats(-120, 60, width=32),
)


def assert_close(found: NDArray[np.float64], expected: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    # A few float64 roundings of the largest value: what the expected values themselves carry.
    rounding = 8 * np.finfo(np.float64).eps * np.abs(values).max()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=rounding)


@given(clips, st.sets(st.integers(-4, -1), min_size=1), st.sets(st.integers(1, 7)), st.randoms(use_true_random=False))
def test_any_axes_any_batches_and_any_merge_tree(
    values: NDArray[np.float32], axes: set[int], cuts: set[int], chance: random.Random
) -> None:
    reduced = sorted(axes | {-4})  # batches of any size
    parts = []
    for batch in np.split(values, sorted(cut for cut in cuts if cut < len(values))):
        parts.append(Statistics(reduced_axes=reduced, floor_db=-100.0))
        parts[-1].update(batch)
    chance.shuffle(parts)
    while len(parts) > 1:
        parts.append(parts.pop(chance.randrange(len(parts))) + parts.pop(chance.randrange(len(parts))))
    [found] = parts

    exact = values.astype(np.float64)
    over = tuple(reduced)
    assert found.mean.shape == exact.mean(axis=over).shape
    assert_close(found.mean, exact.mean(axis=over), exact)
    assert_close(found.deviation, exact.std(axis=over), exact)
    assert np.array_equal(found.minimum, exact.min(axis=over))
    assert np.array_equal(found.maximum, exact.max(axis=over))
    at_floor = exact <= np.nextafter(np.float32(-100), np.float32(0))
    np.testing.assert_allclose(found.floor_share, at_floor.mean(axis=over), rtol=1e-15)


@given(clips, st.data())
def test_padding_is_as_if_it_were_not_there(values: NDArray[np.float32], data: st.DataObject) -> None:
    frames = values.shape[-1]
    lengths = data.draw(st.lists(st.integers(1, frames), min_size=len(values), max_size=len(values)))
    mask = (np.arange(frames) < np.asarray(lengths)[:, None])[:, None, None, :]
    padding: float = data.draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e30]))
    padded = np.where(mask, values, padding)
    by_lengths, by_mask, cut = Statistics(), Statistics(), Statistics()
    by_lengths.update(padded, lengths=lengths)
    by_mask.update(padded, mask=mask)
    for clip, length in zip(values, lengths, strict=True):
        cut.update(clip[None, :, :, :length])
    exact = values.astype(np.float64)
    for found in (by_lengths, by_mask):
        assert found.count.tolist() == cut.count.tolist()
        assert_close(found.mean, cut.mean, exact)
        assert_close(found.deviation, cut.deviation, exact)
        assert found.minimum.tolist() == cut.minimum.tolist()
        assert found.maximum.tolist() == cut.maximum.tolist()
