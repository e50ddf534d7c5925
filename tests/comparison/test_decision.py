"""The advice: it finds the better mode, costs little where it is wrong, and stays where modes are added."""

from __future__ import annotations

import re

import numpy as np
import pytest

from specnorm.comparison.decision import Decision, decide, shortfalls
from specnorm.comparison.variance import Variance
from tests.comparison.simulated import analysed

CHANCE, LEVEL = 0.02, 0.95


def decided(found: Variance, simplest: str, *, margin: float = 0.01, sure: float = 0.8) -> Decision:
    return decide(found, list(simplest), margin=margin, sure=sure, chance=CHANCE, level=LEVEL)


def variance(means: list[float], deviation: float, *, freedom: float = 20.0, correlation: float = 0.5) -> Variance:
    """Of modes a, b, c, ... that are equally sure."""
    covariance = deviation**2 * (
        np.full((len(means), len(means)), correlation) + (1 - correlation) * np.eye(len(means))
    )
    return Variance(
        modes=tuple("abcdefghijklmnopqrst"[: len(means)]),
        means=np.array(means),
        recordings=covariance,
        flips=float("nan"),
        runs=0.0,
        seed_runs=float("nan"),
        parts=(),
        freedom=freedom,
        folds=5,
        seeds=1,
        units=300,
    )


def test_the_better_of_four_modes_is_found_and_advice_costs_little() -> None:
    """One mode of four is 2.05 points better, one seed on a set like ESC-50; the simplest is among the others."""
    generator = np.random.default_rng(0)
    gains = dict(zip("abcd", (0.0, 0.0, 0.0205, 0.0), strict=True))
    runs = [decided(analysed(generator, list(gains.values())), "abcd") for _ in range(300)]
    chosen = [run.mode for run in runs if run.mode is not None]
    assert len(chosen) == 300
    assert np.mean([max(gains.values()) - gains[mode] for mode in chosen]) <= 0.004
    assert np.mean([mode == "c" for mode in chosen]) > 0.8


def test_a_clearly_worse_mode_changes_no_advice() -> None:
    generator = np.random.default_rng(1)
    for means in ([0.517, 0.60, 0.58], [0.60, 0.603, 0.59], [0.59, 0.60, 0.605]):
        alone = decided(variance(means, 0.012), "abc")
        for worse in (0.2, 0.3, 0.4):
            added = decided(variance([*means, worse], 0.012), generator.choice(["dabc", "abdc", "abcd"]))
            assert (added.state, added.mode) == (alone.state, alone.mode)


def test_the_simplest_that_is_near_enough_is_used_and_the_words_say_why() -> None:
    first = decided(variance([0.600, 0.602, 0.598], 0.002), "abc")
    assert (first.state, first.mode) == ("decided", "a")
    assert first.sentence.startswith("Use a: it is the simplest mode, and within 1 point of the best, with ")
    second = decided(variance([0.570, 0.600, 0.601], 0.004), "abc")
    assert (second.state, second.mode) == ("decided", "b")
    assert second.sentence.startswith("Use b: it is the simplest mode within 1 point of the best, with ")
    assert "(a, simpler, is with under 1 %, and would cost 3." in second.sentence


def test_what_is_not_sure_is_open_and_says_what_loses_least() -> None:
    found = decided(variance([0.60, 0.61, 0.50], 0.03), "abc")
    assert (found.state, found.mode) == ("undecided", "b")
    assert found.sentence.startswith("Undecided: no mode is within 1 point of the best with 80 % probability (a ")
    assert "Until more is run, b loses least: " in found.sentence
    assert found.shortfall["b"] < found.shortfall["a"] < found.shortfall["c"]
    assert decided(variance([0.60, 0.61, 0.50], 0.03), "abc", margin=0.2).state == "decided"


def test_of_many_modes_the_words_name_the_likeliest_in_their_order_and_count_the_others() -> None:
    means = [0.50, 0.51, 0.52, 0.53, 0.54, 0.55, 0.56, 0.60]
    decided_one = decided(variance(means, 0.004), "abcdefgh")
    assert decided_one.sentence.startswith("Use h: it is the simplest mode within 1 point of the best, ")
    assert decided_one.sentence.count("simpler, is with") == 5
    assert decided_one.sentence.endswith("; 2 others, simpler, are no likelier)")
    one_open = decided(variance([0.5, 0.5, 0.5, *np.linspace(0.597, 0.603, 5)], 0.02), "abcdefgh")
    assert one_open.state == "undecided"
    assert re.search(r"\(d \d+ %, e \d+ %, f \d+ %, g \d+ %, h \d+ %, 3 others no likelier\)", one_open.sentence)


def test_of_modes_that_lose_alike_the_simpler_comes_first() -> None:
    found = variance([0.6, 0.6002], 0.03)
    assert decided(found, "ab").mode == "a"
    assert decided(found, "ba").mode == "b"


def test_chance_teaches_nothing_however_many_modes_try() -> None:
    generator = np.random.default_rng(2)
    learned = 0
    for _ in range(50):
        means = list(CHANCE + 0.01 * generator.standard_normal(12))
        found = decided(variance(means, 0.01, freedom=200.0, correlation=0.0), "abcdefghijkl")
        learned += found.state != "nothing learned"
        if found.state == "nothing learned":
            assert found.mode is None
            assert found.sentence.startswith("Nothing was learned: no mode is surely above chance (2.0 %")
    assert learned <= 6  # 5 % of 50, and two deviations


def test_one_mode_was_compared_with_nothing() -> None:
    found = decided(variance([0.6], 0.01), "a")
    assert (found.state, found.mode) == ("not compared", "a")
    assert found.sentence == "a is the only mode here: nothing was compared"
    assert decided(variance([0.03], 0.01), "a").state == "nothing learned"


def test_one_run_decides_nothing() -> None:
    found = decided(variance([0.6, 0.9], 0.001, freedom=float("nan")), "ab")
    assert (found.state, found.mode) == ("undecided", "b")
    assert "trained once" in found.sentence


def test_draws_are_of_students_t() -> None:
    """The probability that the worse of two modes is better, by the distribution itself."""
    from scipy import stats

    found = variance([0.60, 0.61], 0.01, freedom=5.0, correlation=0.0)
    lost = shortfalls(found, "ab", draws=200_000)
    expected = stats.t.sf(0.01 / (0.01 * np.sqrt(2)), 5)
    assert np.mean(lost[:, 0] == 0) == pytest.approx(expected, abs=0.005)  # four deviations of 200,000 draws
    assert (lost.min(axis=1) == 0).all()
