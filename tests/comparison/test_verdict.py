"""From cells to an answer: the right clips beside each other, sentences that say what the tests say, one choice."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from specnorm.comparison import verdict
from specnorm.comparison.bootstrap import Interval
from specnorm.comparison.outcomes import Outcomes, gather, held_out_clips
from specnorm.comparison.significance import PairTests
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
    decided = verdict.compare(found, clips, simplest=MODES, baseline=asked, draws=100)
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


def interval(value: float, low: float, high: float) -> Interval:
    return Interval(value, low, high, (high - low) / 4)


def p_values(p: float, adjusted: float, detectable: float = 0.014) -> PairTests:
    return PairTests(p, p, adjusted, detectable)


def test_the_sentences() -> None:
    say = verdict.sentence
    assert say("global", "none", interval(0.019, 0.006, 0.031), p_values(0.002, 0.004)) == (
        "global beats none by 1.9 points, 95 % interval 0.6 to 3.1, adjusted p 0.004"
    )
    assert say("global", "none", interval(-0.019, -0.031, -0.006), p_values(0.0001, 0.0002)) == (
        "none beats global by 1.9 points, 95 % interval 0.6 to 3.1, adjusted p below 0.001"
    )
    assert say("global", "none", interval(-0.002, -0.012, 0.009), p_values(0.8, 1)) == (
        "global and none are not distinguishable: the interval is -1.2 to 0.9 points, and this design sees differences "
        "of 1.4 or more"
    )
    assert say("global", "none", interval(0.013, 0.001, 0.025), p_values(0.03, 0.18), 6) == (
        "global and none are not distinguishable (p 0.03, 0.18 after correction for 6 pairs): the interval of this "
        "pair alone is 0.1 to 2.5 points, and this design sees differences of 1.4 or more"
    )
    assert say("global", "none", interval(0, 0, 0), p_values(1, 1, math.nan)) == (
        "global and none are not distinguishable: no source recording tells them apart"
    )
    assert say("global", "none", interval(0.1, 0.1, 0.1), p_values(1, 1, math.nan)) == (
        "global and none are not distinguishable: these are too few source recordings to tell any difference"
    )


def test_equal_differences_are_shown_alike() -> None:
    """Five clips of 400 are 1.25 points either way, whatever float64 makes of it."""
    up, down = 0.8050 - 0.7925, 0.7800 - 0.7925
    shown = [
        verdict.sentence("a", "b", interval(value, value, value), p_values(0.001, 0.002)).split(" by ")[1].split()[0]
        for value in (up, down)
    ]
    assert shown[0] == shown[1]
