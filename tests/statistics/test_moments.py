from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from specnorm.audio.front_end import FrontEnd
from specnorm.statistics.moments import Moments, merged
from tests.builders import front_end_params

FLOOR_DB = -100.0


def of(values: object) -> Moments:
    return Moments.of(np.atleast_2d(np.asarray(values)), FLOOR_DB)


def noise(frames: int, mean: float, deviation: float, *, bins: int = 3, seed: int = 0) -> NDArray[np.float64]:
    return mean + deviation * np.random.default_rng(seed).standard_normal((bins, frames))


def assert_identical(found: Moments, expected: Moments) -> None:
    for field in fields(Moments):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes(), field.name


def test_the_fields_of_known_values() -> None:
    found = of([[1.0, 2.0, 3.0, 6.0], [-100.0, -100.0, -100.0, -40.0]])
    assert found.count.tolist() == [4, 4]
    assert found.mean.tolist() == [3.0, -85.0]
    assert found.m2.tolist() == [14.0, 2700.0]
    assert found.variance.tolist() == [3.5, 675.0]
    assert found.deviation.tolist() == [3.5**0.5, 675.0**0.5]
    assert (found.minimum.tolist(), found.maximum.tolist()) == ([1.0, -100.0], [6.0, -40.0])
    assert found.floor_count.tolist() == [0, 3]
    assert found.floor_share.tolist() == [0.0, 0.75]


def test_merging_known_values() -> None:
    found = of([1.0, 2.0]).merge(of([3.0, 6.0, -100.0]))
    values = np.array([1.0, 2.0, 3.0, 6.0, -100.0])
    assert found.count.tolist() == [5]
    assert found.mean[0] == pytest.approx(values.mean(), rel=1e-14)  # a few float64 roundings
    assert found.m2[0] == pytest.approx(((values - values.mean()) ** 2).sum(), rel=1e-14)
    assert (found.minimum[0], found.maximum[0], found.floor_count[0]) == (-100.0, 6.0, 1)


@pytest.mark.case("S3")
def test_the_empty_set_is_the_identity() -> None:
    something = of(noise(50, -60, 15))
    empty = Moments.empty(3)
    assert_identical(empty.merge(something), something)
    assert_identical(something.merge(empty), something)
    assert_identical(empty.merge(empty), empty)
    assert_identical(of(np.empty((3, 0))), empty)


@pytest.mark.case("S3")
def test_the_empty_set_has_no_spread_and_no_nan() -> None:
    empty = Moments.empty(2)
    assert empty.variance.tolist() == empty.deviation.tolist() == empty.floor_share.tolist() == [0.0, 0.0]
    assert empty.constant.all()


@pytest.mark.case("S3")
def test_merging_with_itself_doubles_exactly() -> None:
    one = of(noise(1000, -60, 15))
    two = one.merge(one)
    assert two.count.tolist() == [2000] * 3
    assert two.mean.tobytes() == one.mean.tobytes()
    assert two.m2.tobytes() == (2 * one.m2).tobytes()
    assert two.deviation.tobytes() == one.deviation.tobytes()


@pytest.mark.case("S3")
def test_one_value_has_deviation_zero() -> None:
    one = of([[-37.5]])
    assert (one.mean[0], one.m2[0], one.deviation[0]) == (-37.5, 0.0, 0.0)
    assert one.constant.all()
    assert one.merge(of([[-35.5]])).deviation.tolist() == [1.0]


@pytest.mark.case("S2")
@pytest.mark.parametrize(
    ("mean", "deviation", "naive_type", "naive_misses", "tolerance"),
    [
        (-80.0, 0.5, np.float32, 1e-3, 1e-11),
        (-100.0, 0.01, np.float32, 1.0, 1e-11),
        # At 1e7 a float64 mean is rounded by 1e-9, so the step between two chunks' means, about 3e-6, is off by one in
        # 1e3; the steps carry a thousandth of the variance.
        (1e7, 1e-4, np.float64, 0.9, 1e-5),
        (-1e7, 1e-4, np.float64, 0.9, 1e-5),
    ],
)
def test_small_variance_far_from_zero(
    mean: float, deviation: float, naive_type: type, naive_misses: float, tolerance: float
) -> None:
    values = noise(10_000, mean, deviation, bins=1)[0]
    exact = np.var(values.astype(np.longdouble))

    typed = values.astype(naive_type)  # float32 resolves 8e-6 at -100: storing the values is not the problem
    naive = (typed**2).mean(dtype=naive_type) - typed.mean(dtype=naive_type) ** 2
    assert abs(naive - exact) > naive_misses * exact, "the naive formula passes: this test has no power"

    assert of(values).variance[0] == pytest.approx(float(exact), rel=tolerance)
    chunks = merged([of(chunk) for chunk in np.split(values, 10)])
    assert chunks.variance[0] == pytest.approx(float(exact), rel=tolerance)


@pytest.mark.case("S2")
@pytest.mark.parametrize("ratio", [1e-3, 1e-2, 0.03, 0.0316, 0.032, 0.1, 1.0, 100.0])
@pytest.mark.parametrize("frames", [2, 401, 100_000])
def test_both_ways_of_the_sums_hold_the_promise(ratio: float, frames: int) -> None:
    """Bins whose deviation is a small part of their mean take a second pass: around the limit both are good."""
    values = noise(frames, -60.0, 60.0 * ratio, bins=20).astype(np.float32)
    exact = values.astype(np.longdouble)
    found = of(values)
    # 1e-9 is the design's promise. The squares are summed in some 16 parts, so their rounding is far below
    # frames / 16 * 1e-16; a thousandth of them remains at worst.
    np.testing.assert_allclose(found.deviation, exact.std(axis=1).astype(float), rtol=1e-10)
    np.testing.assert_allclose(found.mean, exact.mean(axis=1).astype(float), rtol=0, atol=1e-11 * 60 * max(1, ratio))


def test_each_bin_goes_its_own_way() -> None:
    """Neighbours that need the second pass, or not, change nothing of a bin."""
    mixed = np.concatenate([noise(401, -60, 15), noise(401, -60, 1e-3), np.full((1, 401), -100.0), noise(401, -3, 9)])
    together = of(mixed)
    for index, values in enumerate(mixed):
        for field in fields(Moments):
            assert getattr(together, field.name)[index] == getattr(of(values), field.name)[0], field.name


def test_the_scratch_memory_changes_nothing_and_the_values_stay() -> None:
    values = noise(401, -60, 15).astype(np.float32)
    values[1] = -100.0
    kept = values.copy()
    assert_identical(Moments.of(values, FLOOR_DB, scratch=np.full((3, 401), np.nan)), of(values))
    assert np.array_equal(values, kept)
    columns = noise(401, -60, 15)[:, ::2]  # not contiguous, as a choice of frames may be
    assert_identical(Moments.of(columns, FLOOR_DB, scratch=np.empty(columns.shape)), of(columns.copy()))


def test_pooled_is_the_moments_of_all_bins_together() -> None:
    values = noise(500, -60, 15) + np.array([[-30.0], [0.0], [30.0]])
    values[0, :7] = -100.0
    found, expected = of(values).pooled(), of(values.reshape(1, -1))
    for field in fields(Moments):
        assert getattr(found, field.name).shape == (1,)
        # Two orders of summation of 1500 float64 values.
        np.testing.assert_allclose(getattr(found, field.name), getattr(expected, field.name), rtol=1e-12)


@pytest.mark.case("S1")
def test_the_same_order_gives_the_same_bits_and_another_order_nearly() -> None:
    parts = [of(noise(100, -60, 15, seed=seed)) for seed in range(20)]
    assert_identical(merged(parts), merged(parts))
    backwards = merged(parts[::-1])
    np.testing.assert_allclose(backwards.mean, merged(parts).mean, rtol=1e-13)  # 20 float64 roundings
    np.testing.assert_allclose(backwards.m2, merged(parts).m2, rtol=1e-12)


@pytest.mark.case("S5")
@pytest.mark.parametrize("exponent", range(-30, 20))
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_constant_bin_is_constant_at_every_scale(exponent: int, sign: int) -> None:
    value = np.float32(sign * 1.1 * 10.0**exponent)
    found = merged([of(np.full(frames, value)) for frames in (1, 7, 1000)])
    assert found.constant.all()
    assert found.mean[0] == pytest.approx(float(value), rel=1e-15)


@pytest.mark.case("S5")
@pytest.mark.parametrize("exponent", range(-30, 20, 7))
def test_float32_rounding_is_no_variation_but_a_hundred_roundings_are(exponent: int) -> None:
    # Guards: one cell one rounding off in 1000 once gave a scale of 2e-7, and a held-out level 60 dB up became 3e8.
    value = np.float32(-(10.0**exponent))
    rounded = np.full(1000, value)
    rounded[3] = np.nextafter(value, np.float32(0))
    assert of(rounded).deviation[0] > 0
    assert of(rounded).constant.all()
    spread = np.full(1000, np.float64(value))
    spread[::2] *= 1 + 200 * np.finfo(np.float32).eps
    assert not of(spread).constant.any()


def test_constant_is_told_bin_by_bin() -> None:
    values = noise(100, -60, 15)
    values[1] = -100.0
    assert of(values).constant.tolist() == [False, True, False]


def test_the_floor_includes_its_own_float32_rounding_and_no_more() -> None:
    floor = np.float32(-100)
    just_above, above = np.nextafter(floor, np.float32(0)), np.float32(-99.9999)
    values = np.array([[np.nextafter(floor, np.float32(-200)), floor, just_above, above, -50]], np.float32)
    assert Moments.of(values, -100.0).floor_count.tolist() == [3]


@pytest.mark.case("S5")
@pytest.mark.parametrize("exponent", [1, 2, 3, 5, 7, 8, 9, 10, 11, 12, 14, 16, 20, 30])
@pytest.mark.parametrize("factor", [1.0, 2.0, 3.3, 7.7])
def test_digital_silence_is_all_floor_for_every_amin(exponent: int, factor: float) -> None:
    amin = factor * 10.0**-exponent
    front_end = FrontEnd(front_end_params(amin=amin))
    level = front_end(torch.zeros(200)).numpy()[0]
    assert Moments.of(level, float(10 * np.log10(amin))).floor_share.tolist() == [1.0] * 9


@pytest.mark.case("S9")
def test_float32_input_is_summed_in_float64() -> None:
    exact = noise(100_000, -80.0, 0.5, bins=2)
    found, expected = of(exact.astype(np.float32)), of(exact)
    for name in ("mean", "m2", "minimum", "maximum"):
        assert getattr(found, name).dtype == np.float64
    assert found.count.dtype == found.floor_count.dtype == np.int64
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-6)  # the rounding of the input
    np.testing.assert_allclose(found.deviation, expected.deviation, rtol=1e-6)
    assert_identical(found, of(exact.astype(np.float32).astype(np.float64)))


def test_sets_of_different_bins_do_not_merge() -> None:
    # Guards: one bin was broadcast over three.
    with pytest.raises(ValueError, match="3 and of 1 bins"):
        of(noise(5, 0, 1)).merge(of([1.0]))
