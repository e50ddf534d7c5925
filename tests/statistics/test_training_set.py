from __future__ import annotations

import json
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from specnorm.errors import DataError, IntegrityError
from specnorm.params import WAVEFORMS, StatisticsParams, Waveform
from specnorm.shards.extraction import extract
from specnorm.shards.store import Shards, open_shards
from specnorm.statistics import training_set
from specnorm.statistics.moments import Moments, merged
from specnorm.statistics.provenance import clips_digest
from tests.builders import EXACT, Array, MemoryDataset, fit_statistics, front_end_params, levels, noise, write_shards


def pooled_values(values: dict[int, Array], folds: list[int]) -> Array:
    """[bins, clips x frames] of some folds, concatenated."""
    return np.concatenate([values[fold] for fold in folds]).transpose(1, 2, 0, 3).reshape(9, -1)


def content(found: training_set.TrainingStatistics, path: Path) -> str:
    """What the file says of the moments, character by character."""
    training_set.write(found, path)
    stored = json.loads(path.read_text())
    return json.dumps([stored["bins"], stored["global"]])


def assert_identical(found: Moments, expected: Moments) -> None:
    for field in fields(Moments):
        assert getattr(found, field.name).tobytes() == getattr(expected, field.name).tobytes(), field.name


@pytest.mark.parametrize("waveform", WAVEFORMS)
@pytest.mark.parametrize("held_out_fold", [1, 2, 3])
def test_the_moments_are_numpys_of_the_training_folds(tmp_path: Path, waveform: Waveform, held_out_fold: int) -> None:
    raw, standardized = levels(seed=1), levels(seed=2)
    found = fit_statistics(write_shards(tmp_path, raw, standardized), held_out_fold, waveform)
    folds = [fold for fold in (1, 2, 3) if fold != held_out_fold]
    exact = pooled_values(raw if waveform == "raw" else standardized, folds).astype(np.float64)
    # 1e-9 is the design's promise.
    np.testing.assert_allclose(found.bins.mean, exact.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.bins.deviation, exact.std(axis=1), rtol=1e-9)
    assert found.pooled.mean[0] == pytest.approx(exact.mean(), rel=1e-9)
    assert found.pooled.deviation[0] == pytest.approx(exact.std(), rel=1e-9)
    assert found.bins.count.tolist() == [2 * 4 * 6] * 9
    assert found.bins.minimum.tolist() == exact.min(axis=1).tolist()
    assert found.bins.maximum.tolist() == exact.max(axis=1).tolist()


@pytest.mark.case("S6")
@pytest.mark.parametrize("waveform", WAVEFORMS)
@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_a_held_out_clip_never_touches_its_own_statistics(tmp_path: Path, waveform: Waveform, fraction: float) -> None:
    params = StatisticsParams(fraction=fraction, seed=3)
    values = levels()
    louder = {**values, 2: values[2] + np.float32(60)}  # x 1000 in amplitude
    before = write_shards(tmp_path / "before", values)
    after = write_shards(tmp_path / "after", louder)
    for held_out_fold in (1, 2, 3):
        one = fit_statistics(before, held_out_fold, waveform, params)
        other = fit_statistics(after, held_out_fold, waveform, params)
        if held_out_fold == 2:
            assert_identical(one.bins, other.bins)
            assert content(one, tmp_path / "a.json") == content(other, tmp_path / "b.json")
        else:
            assert (other.bins.mean > one.bins.mean + 10).all()
            assert content(one, tmp_path / "a.json") != content(other, tmp_path / "b.json")


@pytest.mark.case("S6")
def test_one_held_out_recording_a_thousand_times_louder_from_the_audio_on(tmp_path: Path) -> None:
    clips = {(f"{fold}-{n}.wav", fold): noise(level=1e-3, seed=10 * fold + n) for fold in (1, 2, 3) for n in range(3)}
    changed = {key: wave * np.float32(1000) if key == ("2-1.wav", 2) else wave for key, wave in clips.items()}
    for name, waves in (("before", clips), ("after", changed)):
        extract(MemoryDataset(waves), front_end_params(), tmp_path / name, workers=1)  # type: ignore[arg-type]
    before, after = open_shards(tmp_path / "before"), open_shards(tmp_path / "after")
    assert_identical(fit_statistics(before, 2).bins, fit_statistics(after, 2).bins)
    for held_out_fold in (1, 3):
        one, other = fit_statistics(before, held_out_fold), fit_statistics(after, held_out_fold)
        # 60 dB in one of six clips; the level is far enough above the floor to show them all.
        np.testing.assert_allclose(other.bins.mean - one.bins.mean, 10.0, rtol=1e-5)  # float32 samples and levels


def test_the_provenance_says_what_was_merged(tmp_path: Path) -> None:
    shards = write_shards(tmp_path, levels())
    found = fit_statistics(shards, 2, "standardized").provenance
    assert (found.waveform, found.held_out_fold, found.folds_merged, found.clips) == ("standardized", 2, [1, 3], 8)
    assert found.clips_digest == clips_digest([f"{fold}-{n}.wav" for fold in (3, 1) for n in range(4)])
    assert (found.fraction, found.seed) == (1.0, 0)
    assert found.front_end == shards.manifest["front_end"]
    sampled = fit_statistics(shards, 2, "raw", StatisticsParams(fraction=0.5, seed=7)).provenance
    assert (sampled.fraction, sampled.seed) == (0.5, 7)


def test_the_seed_of_a_choice_that_was_not_made_is_not_recorded(tmp_path: Path) -> None:
    shards = write_shards(tmp_path, levels())
    assert fit_statistics(shards, 1, "raw", StatisticsParams(fraction=1.0, seed=7)).provenance.seed == 0


def test_the_file_comes_back_exactly(tmp_path: Path) -> None:
    found = fit_statistics(write_shards(tmp_path / "shards", levels()), 1)
    training_set.write(found, tmp_path / "a.json")
    read = training_set.read(tmp_path / "a.json")
    assert_identical(read.bins, found.bins)
    assert read.provenance == found.provenance
    assert read.bin_frequencies_hz == found.bin_frequencies_hz
    training_set.write(read, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_the_file_shows_what_a_normaliser_uses(tmp_path: Path) -> None:
    found = fit_statistics(write_shards(tmp_path / "shards", levels()), 1)
    training_set.write(found, tmp_path / "a.json")
    stored = json.loads((tmp_path / "a.json").read_text())
    assert stored["bins"]["deviation"] == found.bins.deviation.tolist()
    assert stored["global"]["mean"] == found.pooled.mean[0]
    assert stored["global"]["deviation"] == found.pooled.deviation[0]
    assert stored["global"]["floor_share"] == found.pooled.floor_share[0]


def test_the_floor_share_follows_the_front_ends_amin(tmp_path: Path) -> None:
    values = {1: np.full((1, 1, 9, 6), -50, np.float32), 2: np.full((1, 1, 9, 6), -50, np.float32)}
    values[2][..., :3] = -90
    shares = [
        fit_statistics(write_shards(tmp_path / str(amin), values, amin=amin), 1).pooled.floor_share[0]
        for amin in (1e-10, 1e-9, 1e-5)
    ]
    assert shares == [0.0, 0.5, 1.0]


def test_a_small_fold_weighs_by_its_clips(tmp_path: Path) -> None:
    values = {
        fold: np.full((clips, 1, 9, 6), level, np.float32) for fold, clips, level in ((1, 1, 0), (2, 3, 8), (3, 1, 5))
    }
    found = fit_statistics(write_shards(tmp_path, values), 3)
    assert found.bins.mean.tolist() == [6.0] * 9  # (0 + 3 x 8) / 4, not (0 + 8) / 2


def test_no_fold_left(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no fold left to train on in fold 1 held out"):
        fit_statistics(write_shards(tmp_path, levels(folds=(1,))), 1)


def test_a_held_out_fold_that_does_not_exist(tmp_path: Path) -> None:
    # Guards: every fold was merged, the held-out clips of whoever mistyped the fold with them.
    with pytest.raises(DataError, match=r"no such fold to hold out.*expected \[1, 2, 3\], got 9"):
        fit_statistics(write_shards(tmp_path, levels()), 9)


@pytest.mark.parametrize("folds", [[1, 2], [1, 2, 3, 4], []])
def test_moments_of_other_folds_than_the_data_sets(tmp_path: Path, folds: list[int]) -> None:
    # Guards: a training set of two folds, whose provenance counted the clips of three.
    shards = write_shards(tmp_path, levels())
    moments = dict.fromkeys(folds, Moments.empty(9))
    with pytest.raises(ValueError, match=r"for a data set of folds \[1, 2, 3\]"):
        training_set.training_statistics(shards, "raw", moments, 1, EXACT, [0.0] * 9)


def test_the_held_out_folds_own_moments_are_not_needed(tmp_path: Path) -> None:
    shards = write_shards(tmp_path, levels())
    moments = {fold: training_set.fold_moments(shards, "raw", fold, EXACT) for fold in (1, 3)}
    found = training_set.training_statistics(shards, "raw", moments, 2, EXACT, [62.5 * n for n in range(9)])
    assert_identical(found.bins, fit_statistics(shards, 2).bins)


@pytest.mark.case("S4")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("fraction", [1.0, 0.2])
def test_a_value_that_is_not_finite_names_clip_and_bin(tmp_path: Path, value: float, fraction: float) -> None:
    values = levels()
    values[2][3, 0, 5, 4] = value
    shards = write_shards(tmp_path, values)
    params = StatisticsParams(fraction=fraction, seed=0)
    with pytest.raises(IntegrityError, match=rf"in .*raw/fold-2\.npy, clip 2-3\.wav, bin 5, frame 4: got {value}"):
        training_set.fold_moments(shards, "raw", 2, params)
    assert np.isfinite(training_set.fold_moments(shards, "raw", 1, params).mean).all()


@pytest.mark.parametrize("workers", [1, 2, 8, None])
@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_the_moments_do_not_depend_on_the_workers(tmp_path: Path, workers: int | None, fraction: float) -> None:
    shards = write_shards(tmp_path, levels(frames=40))
    params = StatisticsParams(fraction=fraction, seed=3)
    found = training_set.all_moments(shards, params, workers=workers)
    assert list(found) == list(WAVEFORMS)
    for waveform, moments in found.items():
        assert list(moments) == [1, 2, 3]
        for fold, some in moments.items():
            assert_identical(some, training_set.fold_moments(shards, waveform, fold, params))


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_bad_fold_is_named_whichever_fails_first(tmp_path: Path, workers: int) -> None:
    values = levels()
    values[2][3, 0, 5, 4] = np.nan
    values[3][0, 0, 0, 0] = np.nan
    shards = write_shards(tmp_path, values)
    with pytest.raises(IntegrityError, match=r"not finite in .*clip 2-3\.wav, bin 5, frame 4"):
        training_set.all_moments(shards, EXACT, workers=workers)


def test_a_bad_fold_stops_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = levels(folds=range(1, 11))
    values[1][0, 0, 0, 0] = np.nan
    shards = write_shards(tmp_path, values)
    begun: list[object] = []
    parts = Shards.parts

    def counting(self: Shards, waveform: Waveform, fold: int) -> list[Array]:
        begun.append((waveform, fold))
        time.sleep(0.05)
        return parts(self, waveform, fold)

    monkeypatch.setattr(Shards, "parts", counting)
    with pytest.raises(IntegrityError, match="not finite"):
        training_set.all_moments(shards, EXACT, workers=1)
    assert len(begun) < 10  # of 20: a second one may have begun before the first was heard of


@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_a_clip_counts_as_if_it_were_computed_alone(tmp_path: Path, fraction: float) -> None:
    """The memory that the clips share carries nothing from one to the next, nor from a large fold to a small one."""
    values = levels(frames=40)
    values[1][1] = values[1][1] * np.float32(1e6)
    shards = write_shards(tmp_path, values)
    params = StatisticsParams(fraction=fraction, seed=0)
    alone = []
    for row in range(4):
        kept = values[1][row, 0]
        if fraction < 1:
            kept = kept[:, np.sort(np.random.default_rng([0, 1, row]).choice(40, 20, replace=False))]
        alone.append(Moments.of(kept, -100.0))
    assert_identical(training_set.fold_moments(shards, "raw", 1, params), merged(alone))


class TestProvenance:
    """Statistics are used where they belong or not at all."""

    @pytest.fixture
    def shards(self, tmp_path: Path) -> Shards:
        return write_shards(tmp_path / "shards", levels())

    def test_its_own_training_set(self, shards: Shards) -> None:
        for held_out_fold in shards.folds:
            fit_statistics(shards, held_out_fold).provenance.check(shards, held_out_fold, "here")

    @pytest.mark.case("S7")
    def test_another_front_end(self, shards: Shards, tmp_path: Path) -> None:
        other = write_shards(tmp_path / "other", levels(), amin=1e-9)
        with pytest.raises(IntegrityError, match="statistics of another front end in here") as caught:
            fit_statistics(shards, 1).provenance.check(other, 1, "here")
        expected = f"expected {other.front_end_fingerprint}, got {shards.front_end_fingerprint}"
        assert expected in str(caught.value)

    @pytest.mark.case("S7")
    def test_another_data_set(self, shards: Shards, tmp_path: Path) -> None:
        other = write_shards(tmp_path / "other", levels(), digest="of others")
        with pytest.raises(IntegrityError, match=r"another data set in here: expected of others, got of the clips$"):
            fit_statistics(shards, 1).provenance.check(other, 1, "here")

    @pytest.mark.case("S7")
    def test_another_fold(self, shards: Shards) -> None:
        with pytest.raises(IntegrityError, match="another held-out fold in here: expected 2, got 1"):
            fit_statistics(shards, 1).provenance.check(shards, 2, "here")

    @pytest.mark.case("S6")
    def test_other_merged_folds(self, shards: Shards) -> None:
        provenance = replace(fit_statistics(shards, 1).provenance, folds_merged=[1, 2, 3])
        with pytest.raises(IntegrityError, match=r"another merged folds in here: expected \[2, 3\], got \[1, 2, 3\]"):
            provenance.check(shards, 1, "here")

    def test_another_number_of_clips(self, shards: Shards) -> None:
        provenance = replace(fit_statistics(shards, 1).provenance, clips=9)
        with pytest.raises(IntegrityError, match="another number of clips in here: expected 8, got 9"):
            provenance.check(shards, 1, "here")

    @pytest.mark.case("S6")
    def test_a_clip_that_changed_its_fold(self, shards: Shards) -> None:
        moved = shards.clips.replace({"clip": {"1-0.wav": "2-0.wav", "2-0.wav": "1-0.wav"}})
        other = Shards(shards.folder, shards.manifest, moved)
        with pytest.raises(IntegrityError, match=r"another clips in here: expected [0-9a-f]{64}, got [0-9a-f]{64}"):
            fit_statistics(shards, 1).provenance.check(other, 1, "here")


class TestFraction:
    """A share of the frames of every clip."""

    def of(self, shards: Shards, fraction: float, *, fold: int = 1, seed: int = 0) -> Moments:
        return training_set.fold_moments(shards, "raw", fold, StatisticsParams(fraction=fraction, seed=seed))

    def test_the_same_seed_gives_the_same_bits_and_another_others(self, tmp_path: Path) -> None:
        shards = write_shards(tmp_path, levels(frames=40))
        assert_identical(self.of(shards, 0.25), self.of(shards, 0.25))
        assert self.of(shards, 0.25).mean.tobytes() != self.of(shards, 0.25, seed=1).mean.tobytes()

    def test_all_is_exact_whatever_the_seed(self, tmp_path: Path) -> None:
        shards = write_shards(tmp_path, levels(frames=40))
        assert_identical(self.of(shards, 1.0), self.of(shards, 1.0, seed=1))

    @pytest.mark.parametrize(("fraction", "frames"), [(0.5, 20), (0.26, 10), (0.01, 1), (1e-9, 1), (0.999, 40)])
    def test_so_many_frames_of_every_clip(self, tmp_path: Path, fraction: float, frames: int) -> None:
        values = {fold: np.zeros((4, 1, 9, 40), np.float32) for fold in (1, 2)}
        values[1] += 10.0 ** np.arange(4, dtype=np.float32)[:, None, None, None]
        found = self.of(write_shards(tmp_path, values), fraction)
        assert found.count.tolist() == [4 * frames] * 9
        assert found.mean == pytest.approx(1111 / 4)  # each clip as often as any other

    def test_whole_frames_each_once(self, tmp_path: Path) -> None:
        values = {1: np.broadcast_to(2.0 ** np.arange(12), (1, 1, 9, 12)).astype(np.float32)}
        found = self.of(write_shards(tmp_path, values), 0.5)
        sums = (found.mean * found.count).round().astype(int)
        assert len(set(sums.tolist())) == 1  # the same frames of every bin
        assert bin(sums[0]).count("1") == 6  # six different powers of two

    def test_a_clip_and_another_use_different_frames(self, tmp_path: Path) -> None:
        clip = 2.0 ** np.arange(12)
        chosen = []
        for fold in (1, 2):
            for row in range(4):
                values = {fold: np.zeros((4, 1, 9, 12), np.float32) for fold in (1, 2)}
                values[fold][row] = clip
                found = self.of(write_shards(tmp_path / f"{fold}-{row}", values), 0.5, fold=fold)
                chosen.append(round(found.mean[0] * found.count[0]))
        assert len(set(chosen)) == 8

    def test_both_waveform_variants_use_the_same_frames(self, tmp_path: Path) -> None:
        shards = write_shards(tmp_path, levels(frames=40))
        params = StatisticsParams(fraction=0.25, seed=0)
        raw, standardized = (training_set.fold_moments(shards, waveform, 1, params) for waveform in WAVEFORMS)
        np.testing.assert_allclose(standardized.mean, raw.mean + 10, rtol=1e-6)  # float32 levels, 10 dB up

    def test_a_fold_is_sampled_alike_whatever_is_held_out(self, tmp_path: Path) -> None:
        params = StatisticsParams(fraction=0.25, seed=0)
        values = levels(frames=40)
        three = write_shards(tmp_path / "three", values)
        two = write_shards(tmp_path / "two", {fold: values[fold] for fold in (1, 2)})
        # Fold 1 alone, because fold 2 is held out and there is no third, or because it is asked for alone.
        assert_identical(fit_statistics(two, 2, "raw", params).bins, self.of(three, 0.25))
