from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from specnorm.normalization.base import Normalizer
from specnorm.normalization.standardize import Channel, Global
from specnorm.shards.store import Shards
from tests.builders import fit_statistics, levels, write_shards

KINDS: list[type[Normalizer]] = [Global, Channel]
FLOOR_DB = -100.0


def fitted(kind: type[Normalizer], shards: Shards, held_out_fold: int = 1) -> Normalizer:
    return kind.fit(fit_statistics(shards, held_out_fold))


def clips(shards: Shards, *folds: int) -> Tensor:
    return torch.cat([torch.from_numpy(shards.parts("raw", fold)[0].copy()) for fold in folds])


def axes(kind: type[Normalizer]) -> tuple[int, ...]:
    return (0, 1, 2, 3) if kind is Global else (0, 1, 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("held_out_fold", [1, 2, 3])
def test_it_is_x_minus_mean_by_deviation_of_the_training_folds(
    shards: Shards, kind: type[Normalizer], held_out_fold: int
) -> None:
    train = clips(shards, *{1, 2, 3} - {held_out_fold}).numpy().astype(np.float64)
    mean, deviation = (f(train, axis=axes(kind), keepdims=True) for f in (np.mean, np.std))
    x = clips(shards, 1, 2, 3)
    expected = (x.numpy() - mean) / deviation
    found = fitted(kind, shards, held_out_fold)(x)
    assert found.dtype == torch.float32
    # float32: levels of 100 dB are rounded by 8e-6 and divided by deviations of 2 dB and more.
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-5)


@pytest.mark.case("S10")
@pytest.mark.parametrize("kind", KINDS)
def test_the_training_folds_have_mean_0_and_deviation_1_and_the_held_out_one_has_not(
    shards: Shards, kind: type[Normalizer]
) -> None:
    normalizer = fitted(kind, shards, 1)
    train, held_out = (normalizer(clips(shards, *folds)).numpy().astype(np.float64) for folds in ((2, 3), (1,)))
    np.testing.assert_allclose(train.mean(axis=axes(kind)), 0, atol=1e-5)  # float32, as above
    np.testing.assert_allclose(train.std(axis=axes(kind)), 1, rtol=1e-5)
    assert np.abs(held_out.mean(axis=axes(kind))).min() > 0.05
    assert np.abs(held_out.std(axis=axes(kind)) - 1).min() > 1e-3


@pytest.mark.case("S10")
@pytest.mark.parametrize("kind", KINDS)
def test_the_inverse(shards: Shards, kind: type[Normalizer]) -> None:
    normalizer = fitted(kind, shards)
    x = clips(shards, 1, 2, 3)
    torch.testing.assert_close(normalizer.inverse(normalizer(x)), x, rtol=1e-5, atol=1e-4)  # 12 roundings of 100 dB
    assert not torch.allclose(normalizer(x), x, atol=1.0)


def test_global_is_a_pair_of_scalars_and_channel_a_pair_a_bin(shards: Shards) -> None:
    statistics = fit_statistics(shards, 1)
    one, each = (kind.fit(statistics).state_dict() for kind in (Global, Channel))
    assert {name: tuple(value.shape) for name, value in one.items()} == {"mean": (1, 1), "scale": (1, 1)}
    assert {name: tuple(value.shape) for name, value in each.items()} == {"mean": (9, 1), "scale": (9, 1)}
    assert one["mean"].item() == np.float32(statistics.pooled.mean[0])
    assert one["scale"].item() == np.float32(statistics.pooled.deviation[0])
    assert each["mean"].flatten().tolist() == statistics.bins.mean.astype(np.float32).tolist()
    assert each["scale"].flatten().tolist() == statistics.bins.deviation.astype(np.float32).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_fitted_is_buffers_and_no_gradient_reaches_it(shards: Shards, kind: type[Normalizer]) -> None:
    normalizer = fitted(kind, shards)
    assert not list(normalizer.parameters())
    assert {name for name, _ in normalizer.named_buffers()} == {"mean", "scale"}
    assert {value.dtype for value in normalizer.buffers()} == {torch.float32}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("leading", [(), (1,), (5,), (2, 3)])
def test_any_leading_axes(shards: Shards, kind: type[Normalizer], leading: tuple[int, ...]) -> None:
    normalizer = fitted(kind, shards)
    x = torch.randn(*leading, 1, 9, 6, generator=torch.Generator().manual_seed(0)) * 20 - 60
    found = normalizer(x)
    assert found.shape == x.shape
    alone = torch.stack([normalizer(clip) for clip in x.reshape(-1, 1, 9, 6)]).reshape(x.shape)
    assert torch.equal(found, alone)
    assert torch.equal(normalizer.inverse(x), x * normalizer.get_buffer("scale") + normalizer.get_buffer("mean"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frames", [1, 9, 50])
def test_any_number_of_frames(shards: Shards, kind: type[Normalizer], frames: int) -> None:
    # Nine frames and nine bins: a pair a frame would fit as well.
    normalizer = fitted(kind, shards)
    x = torch.full((2, 1, 9, frames), -50.0)
    found = normalizer(x)
    assert torch.equal(found, found[..., :1].expand_as(found))
    assert (len(found[0, 0, :, 0].unique()) == 1) == (kind is Global)


def test_channel_refuses_another_number_of_bins(shards: Shards) -> None:
    with pytest.raises(RuntimeError, match="must match the size"):
        fitted(Channel, shards)(torch.zeros(2, 1, 8, 6))


@pytest.mark.case("S5", "W12")
@pytest.mark.parametrize("kind", KINDS)
def test_a_silent_clip_is_finite(shards: Shards, kind: type[Normalizer]) -> None:
    found = fitted(kind, shards)(torch.full((2, 1, 9, 6), FLOOR_DB))
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert (found < 0).all()


class TestConstantBins:
    """A bin that never varies is shifted, not scaled."""

    def shards(self, folder: Path, *constant: int) -> Shards:
        values = levels()
        for fold in values:
            values[fold][:, 0, list(constant)] = FLOOR_DB
        return write_shards(folder, values)

    @pytest.mark.case("S5")
    def test_channel_names_them_and_counts_their_deviation_as_one(self, tmp_path: Path) -> None:
        shards = self.shards(tmp_path, 3, 8)
        with pytest.warns(UserWarning, match=r"never vary in training, shifted but not scaled: 3, 8$"):
            normalizer = fitted(Channel, shards)
        assert normalizer.get_buffer("scale")[[3, 8]].flatten().tolist() == [1.0, 1.0]
        assert normalizer.get_buffer("mean")[[3, 8]].flatten().tolist() == [FLOOR_DB, FLOOR_DB]
        found = normalizer(clips(shards, 2, 3))
        assert (found[:, 0, [3, 8]] == 0).all()
        assert normalizer(torch.full((1, 9, 6), -40.0))[0, 3, 0] == 60
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert (fitted(Channel, shards).get_buffer("scale")[:3] > 1.5).all()

    @pytest.mark.case("S5")
    def test_channel_takes_one_rounding_for_no_variation(self, tmp_path: Path) -> None:
        # Guards: a scale of 1e-6, by which a held-out level 60 dB higher became 6e7.
        values = levels()
        for fold in values:
            values[fold][:, 0, 4] = FLOOR_DB
        values[2][1, 0, 4, 2] = np.nextafter(np.float32(FLOOR_DB), np.float32(0))
        shards = write_shards(tmp_path, values)
        with pytest.warns(UserWarning, match=r"scaled: 4$"):
            normalizer = fitted(Channel, shards)
        assert normalizer(torch.full((1, 9, 6), -40.0))[0, 4].abs().max() < 61

    @pytest.mark.case("S5")
    def test_global_varies_as_long_as_one_bin_does(self, tmp_path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            fitted(Global, self.shards(tmp_path, *range(8)))

    @pytest.mark.case("S5")
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_silent_data_set(self, tmp_path: Path, kind: type[Normalizer]) -> None:
        shards = self.shards(tmp_path, *range(9))
        with pytest.warns(UserWarning, match="never vary"):
            normalizer = fitted(kind, shards)
        assert (normalizer(clips(shards, 1)) == 0).all()
        assert torch.equal(normalizer.inverse(normalizer(clips(shards, 1))), clips(shards, 1))
