"""Intervals over recordings and training runs: they cover, the tests reject as rarely as they say, runs are counted."""

from __future__ import annotations

import importlib.util
import sys
from itertools import combinations
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from specnorm.comparison import decision, significance, variance
from specnorm.comparison.variance import Variance, of_hits
from tests.comparison.simulated import analysed, hits

ORACLE = Path(__file__).parents[3] / "shared/oracles/verdict.py"


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    """The prototype of the analysis, which lies beside a checkout of the developers'."""
    if not ORACLE.is_file():
        pytest.skip("no oracles beside this checkout")
    spec = importlib.util.spec_from_file_location("oracle_verdict", ORACLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seeds", [1, 2, 3])
@pytest.mark.parametrize("whole_run", [0.0, 0.03])
@pytest.mark.parametrize("seed", range(3))
def test_the_numbers_are_the_prototypes(oracle: ModuleType, seeds: int, whole_run: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    right, folds, recordings = hits(
        generator, [0.0, 0.02, -0.01, 0.0], seeds=seeds, recordings=300, clips=400, whole_run=whole_run
    )
    theirs = oracle.analyse(dict(zip("abcd", right, strict=True)), folds, recordings)
    ours = of_hits(tuple("abcd"), right.astype(float), folds, recordings)
    close = {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(ours.means, theirs.mean, **close)
    np.testing.assert_allclose(ours.covariance, theirs.cov, **close)
    np.testing.assert_allclose([ours.inflation, ours.freedom], [theirs.phi, theirs.df], **close)
    np.testing.assert_allclose([ours.error(*pair) for pair in theirs.pairs], theirs.SE, **close)
    p_values = [ours.p(*pair) for pair in theirs.pairs]
    np.testing.assert_allclose(p_values, theirs.p, **close)
    np.testing.assert_allclose(significance.holm(p_values), theirs.adjusted, **close)
    reach = [ours.reach(ours.error(*pair), 0.95) for pair in theirs.pairs]
    np.testing.assert_allclose(reach, theirs.high - theirs.D, **close)
    np.testing.assert_allclose(decision.shortfalls(ours, "abcd"), oracle.shortfalls(theirs), **close)


def _findings(found: Variance) -> tuple[bool, float]:
    """Whether any pair is told apart after correction, and the share of intervals that hold zero."""
    pairs = list(combinations(found.modes, 2))
    adjusted = significance.holm([found.p(*pair) for pair in pairs])
    means = dict(zip(found.modes, found.means, strict=True))
    held = [abs(means[one] - means[other]) <= found.reach(found.error(one, other), 0.95) for one, other in pairs]
    return min(adjusted) < 0.05, float(np.mean(held))


def test_modes_alike_whose_runs_move_are_told_apart_in_one_comparison_of_twenty_at_most() -> None:
    """Runs move a cell by 1.2 points, as those of the published experiment do; three seeds, six pairs."""
    generator = np.random.default_rng(0)
    design = {"seeds": 3, "whole_run": 0.012, "recordings": 304, "clips": 400}
    found = [_findings(analysed(generator, [0.0] * 4, **design)) for _ in range(500)]
    assert np.mean([fooled for fooled, _ in found]) <= 0.07
    assert 0.93 <= np.mean([held for _, held in found]) <= 0.98


def test_recordings_alone_would_be_fooled_by_them() -> None:
    """Or the test above would pass whatever the runs did."""
    generator = np.random.default_rng(0)
    held = []
    for _ in range(200):
        found = analysed(generator, [0.0, 0.0], seeds=3, whole_run=0.06, recordings=304, clips=400)
        difference = abs(found.means[0] - found.means[1])
        held.append(difference <= 1.96 * found.error("a", "b", inflated=False))
    assert np.mean(held) < 0.9


def test_a_mode_that_folds_like_differently_is_no_finding() -> None:
    """The training sets' part: whatever the seed, a mode is 3 points better or worse in a fold."""
    generator = np.random.default_rng(1)
    design = {"seeds": 2, "folded": 0.03, "recordings": 304, "clips": 400}
    found = [_findings(analysed(generator, [0.0] * 3, **design)) for _ in range(200)]
    assert np.mean([fooled for fooled, _ in found]) <= 0.09  # 5 % of 200 runs, and three deviations of it
    assert np.mean([held for _, held in found]) >= 0.92


def test_a_seed_told_twice_tightens_nothing() -> None:
    for seed in range(5):
        right, folds, recordings = hits(np.random.default_rng(seed), [0.0, 0.02, 0.0], recordings=300, clips=400)
        once = of_hits(tuple("abc"), right.astype(float), folds, recordings)
        twice = of_hits(tuple("abc"), np.concatenate([right, right], axis=1).astype(float), folds, recordings)
        assert twice.inflation == pytest.approx(once.inflation, rel=1e-12)
        assert twice.freedom == pytest.approx(once.freedom, rel=1e-12)
        np.testing.assert_allclose(twice.covariance, once.covariance, rtol=1e-12)


def test_more_seeds_find_smaller_differences() -> None:
    errors = [
        np.mean([analysed(np.random.default_rng(seed), [0.0] * 3, seeds=seeds).error("a", "b") for seed in range(10)])
        for seeds in (1, 3, 5)
    ]
    assert errors[0] > 1.4 * errors[1] > 1.4 * errors[2]


def test_one_run_of_one_fold_knows_no_other_run() -> None:
    right, _, recordings = hits(np.random.default_rng(0), [0.0, 0.2], recordings=300, clips=400)
    found = of_hits(("a", "b"), right.astype(float), np.ones(400, np.int64), recordings)
    assert np.isnan(found.freedom)
    assert found.p("a", "b") == 1
    assert found.inflation == 1
    assert 0 < found.reach(found.error("a", "b"), 0.95) < 0.2
    several = of_hits(
        ("a", "b"),
        np.concatenate([right, hits(np.random.default_rng(1), [0.0, 0.2], recordings=300, clips=400)[0]], axis=1),
        np.ones(400, np.int64),
        recordings,
    )
    assert several.freedom >= 1  # one fold, two seeds


def test_folds_of_one_group_are_samples_of_groups() -> None:
    """One speaker a fold: the clips are the units, and what differs between speakers widens the interval."""
    generator = np.random.default_rng(3)
    right, folds, _ = hits(generator, [0.0, 0.05], recordings=2000, clips=2000, folded=0.08)
    by_clip = of_hits(("a", "b"), right.astype(float), folds, np.arange(2000))
    by_speaker = of_hits(("a", "b"), right.astype(float), folds, folds - 1)
    assert by_speaker.error("a", "b") == pytest.approx(by_clip.error("a", "b"), rel=1e-12)
    assert by_speaker.inflation > 3
    assert by_speaker.units == 2000


def test_a_recording_in_two_folds_counts_once_in_each() -> None:
    right, folds, recordings = hits(np.random.default_rng(4), [0.0, 0.02], recordings=300, clips=400)
    spread = recordings.copy()
    spread[np.flatnonzero(folds == 2)[0]] = spread[np.flatnonzero(folds == 1)[0]]
    found = of_hits(("a", "b"), right.astype(float), folds, spread)
    assert found.units in (300, 301)
    assert np.isfinite(found.error("a", "b"))


def test_modes_that_agree_on_every_clip_differ_by_nothing() -> None:
    right, folds, recordings = hits(np.random.default_rng(5), [0.0], recordings=300, clips=400)
    found = of_hits(("a", "b"), np.repeat(right, 2, axis=0).astype(float), folds, recordings)
    assert (found.error("a", "b"), found.p("a", "b"), found.inflation) == (0, 1, 1)


def test_one_mode_has_no_pairs() -> None:
    right, folds, recordings = hits(np.random.default_rng(6), [0.0], recordings=300, clips=400)
    found = of_hits(("a",), right.astype(float), folds, recordings)
    assert np.isnan(found.pair)
    assert found.inflation == 1
    assert found.reach(float(np.sqrt(found.covariance[0, 0])), 0.95) > 0


def test_the_order_of_modes_changes_no_figure() -> None:
    right, folds, recordings = hits(np.random.default_rng(7), [0.0, 0.02, 0.01], recordings=300, clips=400)
    one = of_hits(("a", "b", "c"), right.astype(float), folds, recordings)
    other = of_hits(("c", "b", "a"), right[::-1].astype(float), folds, recordings)
    assert one.error("a", "c") == pytest.approx(other.error("a", "c"), rel=1e-12)
    np.testing.assert_allclose(
        decision.shortfalls(one, "abc").mean(0), decision.shortfalls(other, "abc").mean(0), atol=1e-9
    )
    assert variance.satterthwaite(one.parts, one.pair, one.runs) == pytest.approx(
        variance.satterthwaite(other.parts, other.pair, other.runs), rel=1e-9
    )
