"""From cells to an answer: the right clips beside each other, sentences that say what the tests say, one choice."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specnorm.comparison import significance, verdict
from specnorm.comparison.bootstrap import Interval
from specnorm.comparison.outcomes import Outcomes, gather, held_out_clips
from specnorm.comparison.sentences import PairFinding
from specnorm.comparison.verdict import Verdict
from specnorm.shards.store import Shards
from specnorm.training.cells import StoredCell
from tests import made_up

MODES = list(made_up.MODES)


def test_predictions_stand_beside_their_own_clips(found: Outcomes, stored: list[StoredCell], shards: Shards) -> None:
    clips = held_out_clips(stored, shards)
    assert list(clips["clip"]) == [f"{fold}-{row}.wav" for fold in made_up.FOLDS for row in range(7)]
    assert found.targets.tolist() == clips["target"].tolist()
    for cell in stored:
        own = np.flatnonzero(found.folds == cell.metrics["fold"])
        np.testing.assert_array_equal(found.probabilities[cell.metrics["norm"]][0, own], cell.probabilities)
    assert found.recording_count == 12  # four a fold: clips 0 and 1, 2 and 3, 4 and 5, 6
    assert found.recordings[0] == found.recordings[1] != found.recordings[2]
    assert found.total_clips == 21


def test_cells_in_another_order_say_the_same(found: Outcomes, stored: list[StoredCell], shards: Shards) -> None:
    """Folds and seeds may come in the order of the parameters."""
    again = gather(stored[::-1], shards)
    for mode, probabilities in found.probabilities.items():
        np.testing.assert_array_equal(again.probabilities[mode], probabilities)


def test_seeds_are_stacked_and_averaged(tmp_path: Path, shards: Shards) -> None:
    cells = [made_up.write_cell(tmp_path, shards, "none", 1, seed, right=right) for seed, right in ((0, 7), (1, 0))]
    outcomes = gather(cells, shards)
    assert outcomes.probabilities["none"].shape == (2, 7, 3)
    assert outcomes.right("none").tolist() == [0.5] * 7


def test_means_and_deviations_are_over_cells(decided: Verdict) -> None:
    """write_cells: (2 * fold + 3 * mode) % 7 of the 7 clips are right."""
    rows = decided.modes.set_index(["norm", "metric"])
    none, waveform = (rows.loc[(mode, "accuracy")] for mode in ("none", "waveform"))
    assert none["mean"] == pytest.approx(4 / 7, rel=1e-12)
    assert none["deviation"] == pytest.approx(2 / 7, rel=1e-12)  # sevenths 2, 4, 6: squares 4 + 0 + 4 over n - 1 = 2
    assert waveform["mean"] == pytest.approx(1 / 3, rel=1e-12)
    assert (decided.modes["low"] <= decided.modes["mean"]).all()
    assert (decided.modes["mean"] <= decided.modes["high"]).all()
    assert set(rows["cells"]) == {3}


def test_every_pair_once_and_those_with_the_baseline_first(decided: Verdict) -> None:
    pairs = list(zip(decided.pairs["one"], decided.pairs["other"], strict=True))
    assert pairs == [
        ("waveform", "none"),
        ("global", "none"),
        ("channel", "none"),
        ("global", "waveform"),
        ("channel", "waveform"),
        ("channel", "global"),
    ]
    means = decided.modes[decided.modes["metric"] == "accuracy"].set_index("norm")["mean"]
    for row in decided.pairs.to_dict("records"):
        assert row["accuracy_difference"] == pytest.approx(means[row["one"]] - means[row["other"]], abs=1e-12)
        wins = 7 * 3 * row["accuracy_difference"]
        assert row["only_one_right"] - row["only_other_right"] == pytest.approx(wins, abs=1e-9)


@pytest.mark.parametrize(("asked", "used"), [("global", "global"), ("per_clip", "none")])
def test_a_baseline_that_was_not_compared_gives_way_to_the_simplest(
    found: Outcomes, stored: list[StoredCell], shards: Shards, asked: str, used: str
) -> None:
    clips = held_out_clips(stored, shards)
    decided = verdict.compare(found, clips, traits=made_up.TRAITS, params=made_up.compare_params(asked), draws=100)
    assert decided.baseline == used
    assert set(decided.pairs["other"][:3]) == {used}
    assert set(decided.classes["baseline"]) == {used}


def test_disagreements_are_the_clips_that_modes_differ_on(
    decided: Verdict, found: Outcomes, stored: list[StoredCell], shards: Shards
) -> None:
    clips = held_out_clips(stored, shards)
    table = decided.clips.set_index("clip")
    shares = np.stack([found.right(mode) for mode in MODES])
    assert len(table) == np.count_nonzero(shares.min(axis=0) < shares.max(axis=0))
    for clip, row in table.iterrows():
        index = list(clips["clip"]).index(clip)
        assert row[MODES].tolist() == [found.right(mode)[index] for mode in MODES]
    assert len(table) > 5  # or this test would show little
    counts = table[MODES].mean(axis=1).tolist()
    assert counts == sorted(counts)


def test_classes_are_the_baselines_gain_and_loss(decided: Verdict, found: Outcomes) -> None:
    assert len(decided.classes) == 3 * 3
    row = decided.classes[(decided.classes["norm"] == "channel") & (decided.classes["label"] == "dog")].iloc[0]
    own = found.targets == 1
    expected = found.right("channel")[own].mean() - found.right("none")[own].mean()
    assert row["difference"] == pytest.approx(expected, abs=1e-12)
    assert row["clips"] == own.sum()


def test_pairs_are_asked_about_or_explored(decided: Verdict) -> None:
    """Against the baseline, and the raw and standardised waveform of one transform; here the baseline is one end."""
    asked = decided.pairs.set_index(["one", "other"])["declared"]
    assert asked[[("waveform", "none"), ("global", "none"), ("channel", "none")]].all()
    assert not asked[[("global", "waveform"), ("channel", "waveform"), ("channel", "global")]].any()
    explored = decided.pairs[~decided.pairs["declared"]]
    assert not explored["distinguishable"].any()
    assert explored["p_adjusted"].isna().all()
    assert explored["sentence"].str.contains("was explored, not asked").all()


def test_marks_of_classes_are_corrected_for_their_number(decided: Verdict) -> None:
    for _, own in decided.classes.groupby("norm"):
        assert own["p_adjusted"].tolist() == pytest.approx(significance.holm(own["p"].tolist()))
    assert (decided.classes["marked"] == (decided.classes["p_adjusted"] < 0.05)).all()


def test_an_adjusted_p_is_that_of_the_declared_pairs(decided: Verdict) -> None:
    own = decided.pairs[decided.pairs["declared"]]
    assert own["p_adjusted"].tolist() == pytest.approx(significance.holm(own["p"].tolist()))
    for row in own.to_dict("records"):
        assert row["p"] == decided.variance.p(row["one"], row["other"])


def test_chance_is_the_best_guess_that_hears_nothing(decided: Verdict) -> None:
    assert decided.chance == pytest.approx(3 / 7)  # three of a fold's seven clips are cats


def finding(value: float, low: float, high: float, p: float, adjusted: float, **changes: Any) -> PairFinding:
    made = PairFinding(
        one="global",
        other="none",
        accuracy=Interval(value, low, high, (high - low) / 4),
        declared=True,
        p=p,
        p_adjusted=adjusted,
        detectable=0.014,
        runs_known=True,
    )
    return dataclasses.replace(made, **changes)


def test_the_sentences() -> None:
    over = "over recordings and training runs"
    assert finding(0.019, 0.006, 0.031, 0.002, 0.004).sentence(tested=6) == (
        f"global beats none by 1.9 points, 95 % interval 0.6 to 3.1 {over}, adjusted p 0.004"
    )
    assert finding(-0.019, -0.031, -0.006, 0.0001, 0.0002).sentence(tested=6) == (
        f"none beats global by 1.9 points, 95 % interval 0.6 to 3.1 {over}, adjusted p < 0.001"
    )
    power = "and this design finds differences of 1.4 in four of five cases"
    assert finding(-0.002, -0.012, 0.009, 0.8, 1).sentence(tested=6) == (
        f"global and none are not distinguishable: the interval is -1.2 to 0.9 points {over}, {power}"
    )
    assert finding(0.013, 0.001, 0.025, 0.03, 0.18).sentence(tested=6) == (
        "global and none are not distinguishable (p 0.03, 0.18 after correction for 6 pairs): the interval of this "
        f"pair alone is 0.1 to 2.5 points {over}, {power}"
    )
    assert finding(0, 0, 0, 1, 1, detectable=math.nan).sentence(tested=6) == (
        "global and none are not distinguishable: no source recording tells them apart"
    )
    assert finding(0.02, 0.01, 0.03, math.nan, math.nan, declared=False).sentence(tested=6) == (
        f"global less none was explored, not asked: +2.0 points, 95 % interval 1.0 to 3.0 points {over}"
    )
    alone = finding(0.02, 0.01, 0.03, 1, 1, detectable=math.nan, runs_known=False).sentence(tested=1)
    assert alone.startswith("global and none cannot be told apart by one run of one fold: the interval 1.0 to 3.0 ")


def test_equal_differences_are_shown_alike() -> None:
    """Five clips of 400 are 1.25 points either way, whatever float64 makes of it."""
    up, down = 0.8050 - 0.7925, 0.7800 - 0.7925
    shown = [
        finding(value, value - 0.001, value + 0.001, 0.001, 0.002).sentence(tested=1).split(" by ")[1].split()[0]
        for value in (up, down)
    ]
    assert shown[0] == shown[1]
