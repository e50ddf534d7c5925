"""Batches and files that statistics must refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from specnorm.audio.front_end import FrontEnd
from specnorm.errors import ConfigurationError, DataError, IntegrityError
from specnorm.statistics import training_set
from specnorm.statistics.recorder import Statistics
from tests.builders import edit, fit_statistics, front_end_params, levels, write_shards


def good() -> torch.Tensor:
    return torch.from_numpy(levels()[1])  # [4, 1, 9, 6]


def bad(index: tuple[int, ...], value: float) -> torch.Tensor:
    spectrograms = good()
    spectrograms[index] = value
    return spectrograms


class TestBatches:
    """Each is refused whole: the statistics stay what they were."""

    @staticmethod
    def refused(match: str, spectrograms: Any, **padding: Any) -> None:
        statistics = Statistics(floor_db=-100.0)
        statistics.update(good())
        before, said = statistics.moments, repr(statistics)
        with pytest.raises(DataError, match=match):
            statistics.update(spectrograms, **padding)
        assert statistics.moments is before
        assert repr(statistics) == said

    @pytest.mark.case("S4")
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("kind", [torch.Tensor.double, torch.Tensor.bfloat16, torch.Tensor.numpy])
    def test_a_value_that_is_not_finite(self, value: float, kind: Callable[[torch.Tensor], Any]) -> None:
        match = rf"^a value is not finite in batch 1, index \[2, 0, 5, 3\]: got {value}$"
        self.refused(match, kind(bad((2, 0, 5, 3), value)))

    @pytest.mark.parametrize("padding", [{"lengths": [6, 6, 3, 6]}, {"mask": ~torch.isnan(bad((2, 0, 5, 3), np.nan))}])
    def test_padding_may_be_anything(self, padding: Any) -> None:
        statistics = Statistics()
        statistics.update(bad((2, 0, 5, 3), np.nan), **padding)
        assert np.isfinite(statistics.mean).all()
        worse = bad((2, 0, 5, 3), np.nan)
        worse[3, 0, 1, 0] = np.nan
        self.refused(r"index \[3, 0, 1, 0\]", worse, **padding)

    def test_a_value_whose_square_is_not_finite(self) -> None:
        spectrograms = good().double()
        spectrograms[1, 0, 2, 5] = -1e200
        self.refused(r"a value too large to square in batch 1, index \[1, 0, 2, 5\]: got -1e\+200", spectrograms)

    @pytest.mark.parametrize("shape", [(9, 6), (4, 9, 6), (4, 1, 9, 6, 1), (0, 1, 9, 6), (4, 1, 9, 0), ()])
    def test_another_shape(self, shape: tuple[int, ...]) -> None:
        self.refused(
            r"bad spectrograms in batch 1: expected \[batch, channels, bins, frames\], got shape", torch.zeros(shape)
        )

    @pytest.mark.parametrize(
        "spectrograms", [torch.zeros(4, 1, 9, 6).long(), np.zeros((4, 1, 9, 6), complex), [[[[0.0]]]], None]
    )
    def test_another_type(self, spectrograms: Any) -> None:
        self.refused("bad spectrograms in batch 1: expected a dense array of floating type, got", spectrograms)

    def test_other_bins_than_before(self) -> None:
        self.refused(
            r"other sizes of the kept axes than before in batch 1: expected \(9,\), got \(8,\)", good()[:, :, :8]
        )

    def test_other_bins_than_the_front_ends(self) -> None:
        for axes in ((0, 1, 3), (0, 1, 2, 3)):
            statistics = Statistics.like(FrontEnd(front_end_params()), reduced_axes=axes)
            with pytest.raises(DataError, match="wrong number of bins in batch 0: expected 9, got 8"):
                statistics.update(good()[:, :, :8])
            statistics.update(good())
            assert statistics.floor_db == -100

    @pytest.mark.parametrize("lengths", [[6, 6, 6], [6.0] * 4, [[6]] * 4, [True] * 4, 6])
    def test_lengths_that_are_none(self, lengths: Any) -> None:
        self.refused("bad lengths in batch 1: expected 4 whole numbers, got", good(), lengths=lengths)

    @pytest.mark.parametrize("length", [-1, 7])
    @pytest.mark.parametrize("kind", [list, np.asarray, torch.tensor])
    def test_a_length_that_no_clip_has(self, length: int, kind: Any) -> None:
        match = f"bad length in batch 1, clip 2: expected 0 to 6 frames, got {length}"
        self.refused(match, good(), lengths=kind([6, 0, length, 6]))

    @pytest.mark.parametrize("shape", [(4, 6), (6,), (4, 1, 9, 5), (2, 1, 1, 6), (1, 4, 1, 9, 6), ()])
    def test_a_mask_of_another_shape(self, shape: tuple[int, ...]) -> None:
        # Guards: a mask [batch, frames] that is taken for [bins, frames] where there are as many bins as clips.
        self.refused("bad mask in batch 1: expected bool, 4 axes", good(), mask=torch.ones(shape, dtype=torch.bool))

    def test_a_mask_that_is_not_true_or_false(self) -> None:
        self.refused("bad mask in batch 1: expected bool.*got torch.float32", good(), mask=torch.ones(4, 1, 1, 6))

    def test_lengths_and_a_mask(self) -> None:
        self.refused("lengths and a mask", good(), lengths=[6] * 4, mask=torch.ones(4, 1, 1, 6, dtype=torch.bool))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good file."""
    statistics = Statistics.like(FrontEnd(front_end_params()))
    statistics.update(good())
    statistics.save(tmp_path / "statistics.json")
    return tmp_path / "statistics.json"


def refused(path: Path, match: str) -> None:
    with pytest.raises(IntegrityError, match=match) as caught:
        Statistics.load(path)
    assert str(path) in str(caught.value)


class TestFiles:
    """A file is what `save` wrote, or it is refused."""

    def test_white_space_is_not_an_edit(self, path: Path) -> None:
        edit(path, lambda _: None, sealed=False)
        assert Statistics.load(path).bin_frequencies_hz is not None

    def test_a_missing_and_a_cut_file(self, path: Path) -> None:
        refused(path.with_name("other.json"), "missing file")
        path.write_text(path.read_text()[:100])
        refused(path, "unreadable file")

    @pytest.mark.parametrize("stored", ["null", "[]", "{}", '{"format": 1}'])
    def test_another_format(self, path: Path, stored: str) -> None:
        path.write_text(stored)
        refused(path, "wrong statistics.*expected format 2")

    @pytest.mark.parametrize("key", ["bins", "kept", "floor_db", "mean_rest", "batches", "clips"])
    def test_a_field_missing(self, path: Path, key: str) -> None:
        edit(path, lambda stored: stored.pop(key))
        refused(path, f"damaged statistics.*{key}")

    def test_its_axes_missing(self, path: Path) -> None:
        edit(path, lambda stored: stored.pop("reduced_axes"))
        refused(path, "damaged statistics.*front_end")  # which a training set's file has

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("reduced_axes", [0, 1, 7]),
            ("reduced_axes", [0.0, 1, 3]),
            ("reduced_axes", None),
            ("floor_db", "-100"),
            ("kept", ["9"]),
            ("kept", None),
            ("mean_rest", ["x"] * 9),
            ("clips", "4"),
            ("batches", None),
        ],
    )
    def test_a_value_of_another_type(self, path: Path, key: str, value: object) -> None:
        edit(path, lambda stored: stored.update({key: value}))
        refused(path, "damaged statistics")

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("kept", [8]),
            ("kept", [3, 3]),
            ("kept", [-9]),
            ("kept", []),
            ("reduced_axes", [0, 3]),
            ("mean_rest", [0.0] * 8),
            ("mean_rest", [[0.0] * 9]),
        ],
    )
    def test_sizes_that_do_not_fit(self, path: Path, key: str, value: object) -> None:
        edit(path, lambda stored: stored.update({key: value}))
        refused(path, "impossible statistics")

    @pytest.mark.parametrize(("column", "value"), [("count", 0), ("m2", -1.0), ("minimum", 1e9), ("frequency_hz", "x")])
    def test_an_impossible_value(self, path: Path, column: str, value: object) -> None:
        edit(path, lambda stored: stored["bins"][column].__setitem__(4, value))
        refused(path, "(impossible|damaged) statistics")

    @pytest.mark.parametrize(("column", "value"), [("mean", -33.25), ("count", 23), ("deviation", 1.0), ("m2", "1.0")])
    def test_an_edited_value(self, path: Path, column: str, value: object) -> None:
        edit(path, lambda stored: stored["bins"][column].__setitem__(4, value), sealed=False)
        refused(path, "changed file in .*expected SHA-256")

    def test_a_key_of_our_own_invention(self, path: Path) -> None:
        edit(path, lambda stored: stored.update(note="by hand"), sealed=False)
        refused(path, "changed file")

    def test_an_edited_file_of_the_pipeline(self, tmp_path: Path) -> None:
        path = tmp_path / "raw.json"
        training_set.write(fit_statistics(write_shards(tmp_path / "shards", levels()), 1), path)
        edit(path, lambda stored: stored["bins"]["mean"].__setitem__(4, -33.25), sealed=False)
        refused(path, "changed file")


@pytest.mark.parametrize("axes", [2, "abc", (0, 1.0), [None]])
def test_axes_that_are_no_numbers(axes: Any) -> None:
    with pytest.raises(ConfigurationError, match="bad reduced axes in statistics: expected some of the axes"):
        Statistics(reduced_axes=axes)


@pytest.mark.parametrize("lengths", [["5", "3"], [object(), 1], "ab"])
def test_lengths_that_are_no_numbers(lengths: Any) -> None:
    with pytest.raises(DataError, match="bad lengths in batch 0: expected 2 whole numbers"):
        Statistics().update(torch.zeros(2, 1, 3, 7), lengths=lengths)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint64, np.int8])
def test_lengths_of_any_whole_type(dtype: type) -> None:
    stats = Statistics()
    stats.update(torch.zeros(2, 1, 3, 7), lengths=np.array([7, 3], dtype))
    assert stats.count.tolist() == [10, 10, 10]


@pytest.mark.parametrize("tensor", [torch.zeros(2, 1, 3, 7).to_sparse(), torch.zeros(2, 1, 3, 7, device="meta")])
def test_tensors_without_values_of_their_own(tensor: torch.Tensor) -> None:
    with pytest.raises(DataError, match="bad spectrograms in batch 0: expected a dense array"):
        Statistics().update(tensor)


def test_a_floor_of_numpys_is_written_like_any_other(tmp_path: Path) -> None:
    stats = Statistics(floor_db=np.float32(-100))
    stats.update(torch.zeros(2, 1, 3, 7))
    stats.save(tmp_path / "stats.json")
    assert Statistics.load(tmp_path / "stats.json").floor_db == -100.0
