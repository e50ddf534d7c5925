"""What a larger design would find, held to what larger designs find."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from specnorm.comparison.outlook import detectable, outlook
from tests.comparison.simulated import analysed

ESC10 = {"recordings": 304, "clips": 400}


def test_more_pairs_ask_for_larger_differences() -> None:
    """Normal quantiles for many degrees of freedom: 1.960 + 0.842 for one pair, 2.935 + 0.842 for fifteen."""
    assert detectable(1.0, 1e6) == pytest.approx(1.9600 + 0.8416, abs=1e-3)
    assert detectable(1.0, 1e6, pairs=15) == pytest.approx(2.9352 + 0.8416, abs=1e-3)


def test_nothing_is_detected_where_nothing_varied_or_no_other_run_is_known() -> None:
    assert math.isnan(detectable(0.0, 10.0))
    assert math.isnan(detectable(0.01, math.nan))


def test_the_detectable_difference_is_found_four_times_of_five() -> None:
    generator = np.random.default_rng(2)
    seen = [analysed(generator, [0.0, 0.0], seeds=2, **ESC10) for _ in range(40)]
    gain = float(np.mean([detectable(found.error("a", "b"), found.freedom) for found in seen]))
    runs = 300
    found = sum(analysed(generator, [0.0, gain], seeds=2, **ESC10).p("a", "b") < 0.05 for _ in range(runs))
    # 300 runs at 80 %: a deviation of 6.9 runs, and some for the estimate of the gain and of the variance itself.
    assert 210 <= found <= 270


def test_what_is_foreseen_of_more_seeds_is_what_they_find() -> None:
    """Of three seeds from two; where the runs' own part is known, the forecast is right on average."""
    generator = np.random.default_rng(3)
    foreseen, found = [], []
    for _ in range(60):
        foreseen.append(outlook(analysed(generator, [0.0] * 4, seeds=2, **ESC10), pairs=3, recordings=304).by_seeds)
        found.append(outlook(analysed(generator, [0.0] * 4, seeds=3, **ESC10), pairs=3, recordings=304).now)
    assert np.mean(foreseen) == pytest.approx(np.mean(found), rel=0.08)


def test_one_seed_foresees_the_best_case_and_says_so() -> None:
    generator = np.random.default_rng(4)
    foreseen, found = [], []
    for _ in range(60):
        one = outlook(analysed(generator, [0.0] * 4, **ESC10), pairs=3, recordings=304)
        foreseen.append(one.by_seeds)
        found.append(outlook(analysed(generator, [0.0] * 4, seeds=3, **ESC10), pairs=3, recordings=304).now)
    assert one.at_best
    assert one.seeds == 3
    assert "3 seeds would find differences of " in str(one.sentence("608 recordings"))
    assert " at best, 608 recordings with the same folds and seeds " in str(one.sentence("608 recordings"))
    assert np.mean(foreseen) < 1.1 * np.mean(found)
    assert np.mean(foreseen) > 0.7 * np.mean(found)


def test_twice_the_recordings_find_what_they_do() -> None:
    generator = np.random.default_rng(5)
    foreseen, found = [], []
    for _ in range(60):
        small = analysed(generator, [0.0] * 4, seeds=2, **ESC10)
        foreseen.append(outlook(small, pairs=3, recordings=304).by_recordings)
        large = analysed(generator, [0.0] * 4, seeds=2, recordings=608, clips=800)
        found.append(outlook(large, pairs=3, recordings=608).now)
    assert np.mean(foreseen) == pytest.approx(np.mean(found), rel=0.08)


def test_where_the_advised_seeds_were_run_two_more_are_foreseen() -> None:
    found = outlook(analysed(np.random.default_rng(6), [0.0] * 3, seeds=3, **ESC10), pairs=2, recordings=304)
    assert (found.seeds, found.at_best) == (5, False)
    assert found.by_seeds < found.now


def test_nothing_is_foreseen_where_nothing_varied() -> None:
    still = replace(analysed(np.random.default_rng(7), [0.0] * 2, **ESC10), recordings=np.zeros((2, 2)))
    assert outlook(still, pairs=1, recordings=304).sentence("608 recordings") is None
