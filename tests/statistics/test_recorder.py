from __future__ import annotations

from dataclasses import fields, replace
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode

from specnorm.audio.front_end import FrontEnd
from specnorm.errors import ConfigurationError, DataError
from specnorm.statistics import batch, training_set
from specnorm.statistics.moments import Moments
from specnorm.statistics.recorder import Statistics
from tests.builders import fit_statistics, front_end_params, levels, write_shards

SUBSETS = [axes for size in range(1, 5) for axes in combinations(range(4), size)]


def values(seed: int = 0, *, shape: tuple[int, ...] = (6, 1, 9, 20), spread: float = 12.0) -> NDArray[np.float32]:
    """Plausible dB spectrograms; bins and clips differ in level."""
    generator = np.random.default_rng(seed)
    level = generator.uniform(-60, -20, (shape[0], 1, 1, 1)) + np.linspace(0, -30, shape[2])[:, None]
    return np.maximum(level + spread * generator.standard_normal(shape), -100).astype(np.float32)


def of(*batches: Any, **options: Any) -> Statistics:
    statistics = Statistics(**options)
    for one in batches:
        statistics.update(one)
    return statistics


def assert_identical(found: Moments, expected: Moments) -> None:
    for field in fields(Moments):
        assert getattr(found, field.name).tobytes() == getattr(expected, field.name).tobytes(), field.name


class TestFigures:
    """What the figures are."""

    @pytest.mark.parametrize("axes", SUBSETS)
    def test_numpys_two_passes_over_any_axes(self, axes: tuple[int, ...]) -> None:
        clips = [values(seed, shape=(4, 2, 5, 8)) for seed in range(3)]
        found = of(*map(torch.from_numpy, clips), reduced_axes=axes, floor_db=-100.0)
        # Where the batch axis is kept, its positions are the same clips of every batch, one after the other.
        exact = np.stack(clips).astype(np.float64)  # [updates, batch, channels, bins, frames]
        over = (0, *(axis + 1 for axis in axes))
        # 1e-9 is the promise.
        np.testing.assert_allclose(found.mean, exact.mean(axis=over), rtol=1e-9)
        np.testing.assert_allclose(found.deviation, exact.std(axis=over), rtol=1e-9)
        assert np.array_equal(found.minimum, exact.min(axis=over))
        assert np.array_equal(found.maximum, exact.max(axis=over))
        np.testing.assert_allclose(found.floor_share, (exact <= -100).mean(axis=over), rtol=1e-12)
        assert (found.count == exact.size / found.mean.size).all()
        assert found.pooled.mean[0] == pytest.approx(exact.mean(), rel=1e-9)
        assert found.pooled.deviation[0] == pytest.approx(exact.std(), rel=1e-9)

    @pytest.mark.parametrize("axes", [(0, 1, -1), (-4, -3, 3), (3, 0, 1)])
    def test_axes_count_from_either_end_in_any_order(self, axes: tuple[int, ...]) -> None:
        assert_identical(of(values(), reduced_axes=axes).moments, of(values()).moments)

    @pytest.mark.case("S2")
    def test_one_pass_and_float32_fail_where_ours_passes(self) -> None:
        """A mean of 1e6 and a deviation of 1e-3, nine digits apart."""
        exact = 1e6 + 1e-3 * np.random.default_rng(0).standard_normal((40, 1, 3, 500))
        over = (0, 1, 3)
        expected = exact.std(axis=over)
        one_pass = np.sqrt(np.maximum((exact**2).mean(axis=over) - exact.mean(axis=over) ** 2, 0))
        assert (np.abs(one_pass / expected - 1) > 0.1).all()
        assert (np.abs(exact.astype(np.float32).std(axis=over) / expected - 1) > 0.1).all()
        found = of(*np.split(exact, 20))
        np.testing.assert_allclose(found.deviation, expected, rtol=1e-9)
        np.testing.assert_allclose(found.mean, exact.mean(axis=over), rtol=1e-15)

    def test_a_mean_that_no_float64_holds(self) -> None:
        clips = 2.0**53 + 2 * np.array([0.0, 1.0, 0.0, 0.0]).reshape(4, 1, 1, 1)  # neighbours; the mean lies between
        for found in (of(clips), of(clips[:1], clips[1:])):
            assert found.deviation[0] == pytest.approx(2 * 0.1875**0.5, rel=1e-15)

    @pytest.mark.case("S9")
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
    def test_every_floating_type_is_summed_in_float64(self, dtype: torch.dtype) -> None:
        clips = torch.from_numpy(values()).to(dtype)
        assert_identical(of(clips).moments, of(clips.double()).moments)

    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
    def test_arrays_are_as_tensors(self, dtype: str) -> None:
        clips = values().astype(dtype)
        assert_identical(of(clips).moments, of(torch.from_numpy(clips.astype(np.float64))).moments)

    def test_the_batch_is_read_wherever_and_however_it_lies(self, tmp_path: Path) -> None:
        clips = values()
        expected = of(clips).moments
        np.save(tmp_path / "clips.npy", clips)
        learnt = torch.from_numpy(clips).clone().requires_grad_()
        strange: list[Any] = [
            np.load(tmp_path / "clips.npy", mmap_mode="r"),
            torch.from_numpy(clips.transpose(0, 1, 3, 2).copy()).mT,
            np.asfortranarray(clips),
            clips[:, :, ::-1][:, :, ::-1],
            learnt,
        ]
        for one in strange:
            # Another memory order may be another order of the sums.
            np.testing.assert_allclose(of(one).deviation, expected.deviation, rtol=1e-13)
        assert learnt.grad_fn is None

    @pytest.mark.parametrize("kind", [torch.from_numpy, np.asarray])
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_the_batch_is_left_alone(self, kind: Any, dtype: Any) -> None:
        clips = values().astype(dtype)
        Statistics(floor_db=-90.0).update(kind(clips), mask=np.ones((1, 1, 1, 1), bool))
        assert np.array_equal(clips, values())

    @pytest.mark.parametrize("floor_db", [-100.0, -96.3, -80.1])
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
    def test_the_floor_counts_in_the_rounding_of_every_type(self, floor_db: float, dtype: torch.dtype) -> None:
        clips = torch.full((2, 1, 3, 4), floor_db).to(dtype)
        clips[..., 2:] = floor_db + 1
        assert of(clips, floor_db=floor_db).floor_share.tolist() == [0.5] * 3

    def test_the_moments_are_those_of_the_pipeline(self, tmp_path: Path) -> None:
        folds = levels()
        expected = fit_statistics(write_shards(tmp_path, folds), 1)
        found = of(folds[2], folds[3], floor_db=-100.0)
        for field in fields(Moments):
            one, other = getattr(found.moments, field.name), getattr(expected.bins, field.name)
            np.testing.assert_allclose(one, other, rtol=1e-12, err_msg=field.name)

    def test_no_figure_of_nothing(self) -> None:
        statistics = Statistics(floor_db=-100.0)
        for name in ("count", "mean", "deviation", "minimum", "maximum", "floor_share", "moments", "pooled"):
            with pytest.raises(DataError, match=r"no value to take statistics of.*Update them with a batch first"):
                getattr(statistics, name)
        mask = np.ones((1, 1, 9, 1), bool)
        mask[0, 0, 4] = False
        statistics.update(values(), mask=mask)
        with pytest.raises(DataError, match="no value to take statistics of in position 4 of the kept axes"):
            _ = statistics.mean
        statistics.update(values())
        assert statistics.count.tolist() == [240] * 4 + [120] + [240] * 4

    def test_no_floor_share_without_a_floor(self) -> None:
        with pytest.raises(DataError, match="no floor was counted"):
            _ = of(values()).floor_share

    def test_what_it_says_of_itself(self) -> None:
        assert repr(Statistics()) == "Statistics(clips=0, frames=0, kept=None, reduced_axes=(0, 1, 3), floor_db=None)"
        found = of(values(), values(), reduced_axes=range(4), floor_db=-100.0)
        assert repr(found) == "Statistics(clips=12, values=2160, kept=(), reduced_axes=(0, 1, 2, 3), floor_db=-100.0)"

    @pytest.mark.parametrize("axes", [(), (4,), (-5,), (3, -1), (0, 0)])
    def test_axes_that_there_are_not(self, axes: tuple[int, ...]) -> None:
        with pytest.raises(ConfigurationError, match=r"expected some of the axes of \[batch, channels, bins, frames\]"):
            Statistics(reduced_axes=axes)

    @pytest.mark.parametrize("floor_db", [np.nan, -np.inf])
    def test_a_floor_that_is_no_level(self, floor_db: float) -> None:
        with pytest.raises(ConfigurationError, match="bad floor_db"):
            Statistics(floor_db=floor_db)


class TestDevice:
    """What an update asks of memory and of the device."""

    @pytest.mark.parametrize("axes", [*SUBSETS])
    def test_pieces_are_as_the_whole(self, axes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
        mask = np.random.default_rng(0).random((6, 1, 9, 20)) < 0.9
        whole, pieces = Statistics(reduced_axes=axes, floor_db=-60.0), Statistics(reduced_axes=axes, floor_db=-60.0)
        whole.update(values(), mask=mask | (axes == (1,)))  # each position has a value
        monkeypatch.setitem(batch.PIECE, "cpu", 7)
        pieces.update(values(), mask=mask | (axes == (1,)))
        for name in ("count", "minimum", "maximum", "floor_share"):
            assert np.array_equal(getattr(pieces, name), getattr(whole, name))
        np.testing.assert_allclose(pieces.mean, whole.mean, rtol=1e-13)
        np.testing.assert_allclose(pieces.deviation, whole.deviation, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("shape", [(64, 1, 9, 200), (1, 1, 9, 9000), (2, 1, 9, 9000)])
    def test_no_more_than_a_piece_is_copied(self, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(batch.PIECE, "cpu", 10_000)
        clips = torch.from_numpy(values(shape=shape))

        class Largest(TorchDispatchMode):
            nbytes = 0

            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                found = func(*args, **(kwargs or {}))
                storage = found.untyped_storage()
                if storage.data_ptr() != clips.untyped_storage().data_ptr():  # not a view of the batch
                    self.nbytes = max(self.nbytes, storage.nbytes())
                return found

        with Largest() as largest:
            Statistics(floor_db=-100.0).update(clips)
        assert 8 * 5_000 <= largest.nbytes <= 8 * 10_000

    @pytest.mark.parametrize("padding", [{}, {"lengths": torch.tensor([20, 3, 1, 9, 20, 0])}])
    def test_a_device_is_waited_for_once(self, padding: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing reads a value but one copy of 7 sums a bin (and the lengths), which lies outside the mode."""
        waits = {"_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "unique"}

        class NoWait(TorchDispatchMode):
            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                assert func.overloadpacket.__name__ not in waits
                return func(*args, **(kwargs or {}))

        copied: list[int] = []
        to_host = torch.Tensor.cpu

        def counting(self: torch.Tensor) -> torch.Tensor:
            copied.append(self.numel())
            return to_host(self)

        monkeypatch.setattr(torch.Tensor, "cpu", counting)
        with NoWait():
            Statistics(floor_db=-100.0).update(torch.from_numpy(values()), **padding)
        assert copied == [7 * 9 + 6 * len(padding)]

    def test_a_device_without_float64_is_summed_on_the_cpu(self) -> None:
        class OnMps:
            """No such device is at hand: what is asked of a tensor there."""

            device = torch.device("mps")

        assert batch.summing_device(OnMps()).type == "cpu"  # type: ignore[arg-type]
        assert batch.summing_device(torch.zeros(1, device="meta")).type == "meta"

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_a_gpu_says_what_the_cpu_says(self, dtype: torch.dtype) -> None:
        clips = torch.from_numpy(values()).to(dtype)
        found, expected = Statistics(), Statistics()
        found.update(clips.cuda(), lengths=torch.tensor([20, 3, 1, 9, 20, 0], device="cuda"))
        expected.update(clips, lengths=[20, 3, 1, 9, 20, 0])
        np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-13)
        np.testing.assert_allclose(found.deviation, expected.deviation, rtol=1e-12)


class TestMerging:
    """Statistics of parts are those of the whole."""

    @pytest.mark.parametrize(("mean", "deviation"), [(-60, 15), (0, 1), (1e6, 1e-3), (-1e9, 1e-2)])
    def test_any_order(self, mean: float, deviation: float) -> None:
        exact = mean + deviation * np.random.default_rng(0).standard_normal((12, 1, 3, 40))
        whole = of(exact)
        for order in permutations(range(4)):
            cuts = np.split(exact, [1, 4, 9])
            found = sum([of(cuts[part]) for part in order], Statistics())
            # 1e-12 is the promise.
            np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-12)
            np.testing.assert_allclose(found.deviation, whole.deviation, rtol=1e-12)

    def test_plain_moments_lose_at_a_large_mean_what_these_keep(self) -> None:
        exact = 1e6 + 1e-3 * np.random.default_rng(0).standard_normal((3, 10_000))
        expected = exact.std(axis=1)
        plain = Moments.empty(3)
        for part in np.split(exact, 1000, axis=1):
            plain = plain.merge(Moments.of(part, -100.0))
        assert (np.abs(plain.deviation / expected - 1) > 1e-10).any()
        found = of(*(part[None, None] for part in np.split(exact, 1000, axis=1)))
        np.testing.assert_allclose(found.deviation, expected, rtol=1e-12)

    def test_the_ways_to_write_it(self) -> None:
        one, other = of(values(1)), of(values(2), values(3))
        expected = one.merge(other).moments
        assert_identical((one + other).moments, expected)
        assert_identical(sum([one, other]).moments, expected)  # type: ignore[union-attr]
        same = one
        same += other
        assert same is one
        assert_identical(one.moments, expected)
        assert repr(one).startswith("Statistics(clips=18, frames=360,")
        for stranger in (1, None, "x"):
            with pytest.raises(TypeError):
                one + stranger  # type: ignore[operator]
            with pytest.raises(TypeError):
                stranger + one  # type: ignore[operator]

    def test_a_merge_leaves_its_parts_alone(self) -> None:
        one, other = of(values(1)), of(values(2))
        before = one.moments, other.moments
        total = one + other
        total.update(values(3))
        assert_identical(one.moments, before[0])
        assert_identical(other.moments, before[1])

    def test_nothing_merges_with_all(self) -> None:
        something, nothing = of(values()), Statistics()
        for found in (something + nothing, nothing + something):
            assert_identical(found.moments, something.moments)
        with pytest.raises(DataError, match="no value"):
            _ = (nothing + nothing).mean

    @pytest.mark.parametrize(
        ("other", "complaint"),
        [
            (of(values(), reduced_axes=range(4)), r"other reduced axes.*expected \(0, 1, 3\), got \(0, 1, 2, 3\)"),
            (of(values(shape=(1, 1, 8, 3))), r"other sizes of the kept axes.*expected \(9,\), got \(8,\)"),
            (of(values(), floor_db=-100.0), "another floor_db.*expected None, got -100.0"),
            (Statistics.like(FrontEnd(front_end_params(n_fft=32))), "wrong number of bins.*expected 17, got 9"),
        ],
    )
    def test_what_does_not_belong_together(self, other: Statistics, complaint: str) -> None:
        if other.bin_frequencies_hz is not None:
            other._recorded = replace(other._recorded, floor_db=None)
        with pytest.raises(DataError, match=complaint):
            of(values()).merge(other)


class TestFiles:
    """A file keeps all of it."""

    @pytest.mark.parametrize("axes", [(0, 1, 3), (0, 1, 2, 3), (0, 1), (0, 1, 2)])
    @pytest.mark.parametrize("floor_db", [None, -100.0])
    def test_it_comes_back_to_the_last_bit(self, axes: tuple[int, ...], floor_db: float | None, tmp_path: Path) -> None:
        found = of(values(1) + 1e6, values(2) + 1e6, reduced_axes=axes, floor_db=floor_db)
        found.save(str(tmp_path / "a.json"))
        again = Statistics.load(str(tmp_path / "a.json"))
        assert repr(again) == repr(found)
        assert_identical(again.moments, found.moments)
        again.save(tmp_path / "b.json")
        assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
        for statistics in (again, found):  # and goes on as if it had never left
            statistics.update(values(3))
        assert_identical(again.moments, found.moments)

    def test_the_front_ends_frequencies_come_along(self, tmp_path: Path) -> None:
        front_end = FrontEnd(front_end_params())
        found = Statistics.like(front_end)
        found.update(values())
        found.save(tmp_path / "a.json")
        again = Statistics.load(tmp_path / "a.json")
        assert again.bin_frequencies_hz == front_end.bin_frequencies_hz.tolist()
        with pytest.raises(DataError, match="wrong number of bins"):
            again.update(values(shape=(1, 1, 8, 3)))

    @pytest.mark.parametrize("amin", [1e-10, 1e-9, 3e-7])
    def test_the_pipelines_files_load(self, tmp_path: Path, amin: float) -> None:
        shards = write_shards(tmp_path / "shards", levels(), amin=amin)
        expected = fit_statistics(shards, 1)
        training_set.write(expected, tmp_path / "raw.json")
        found = Statistics.load(tmp_path / "raw.json")
        assert_identical(found.moments, expected.bins)
        assert_identical(found.pooled, expected.pooled)
        assert found.bin_frequencies_hz == expected.bin_frequencies_hz
        assert found.floor_share.tolist() == expected.bins.floor_share.tolist()
        assert repr(found).startswith("Statistics(clips=8, frames=48, kept=(9,)")
        more = Statistics.like(FrontEnd(front_end_params(amin=amin)))
        more.update(values())
        assert (found + more).count.tolist() == [48 + 120] * 9  # the same floor, the same bins

    def test_nothing_is_not_written(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no value to take statistics of"):
            Statistics().save(tmp_path / "a.json")
        assert not (tmp_path / "a.json").exists()
