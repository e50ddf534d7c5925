"""Which pairs are asked about: they grow with the modes, and not with their square."""

from __future__ import annotations

import pytest

from specnorm.comparison.family import pairs
from specnorm.comparison.traits import Traits

GRID = {
    "none": Traits(0, "identity", "raw", "identity"),
    "waveform": Traits(0, "identity", "standardized", "identity"),
    "global_raw": Traits(20, "standardize", "raw", "global"),
    "channel_raw": Traits(30, "standardize", "raw", "channel"),
    "global": Traits(20, "standardize", "standardized", "global"),
    "channel": Traits(30, "standardize", "standardized", "channel"),
}


def knob(weight: float, waveform: str = "raw") -> Traits:
    return Traits(30, "standardize", waveform, "knob", (("floor", True), ("weight", weight)))  # type: ignore[arg-type]


def test_the_grid_asks_for_the_baseline_and_for_its_columns() -> None:
    found = pairs(GRID, "none")
    asked = [pair for pair, declared in found.items() if declared]
    assert asked == [
        *[(mode, "none") for mode in list(GRID)[1:]],
        ("global", "global_raw"),
        ("channel", "channel_raw"),
    ]
    assert len(found) == 15
    assert list(found)[: len(asked)] == asked


@pytest.mark.parametrize("baseline", list(GRID))
def test_every_pair_is_there_once_whatever_the_baseline(baseline: str) -> None:
    found = pairs(GRID, baseline)
    assert len({frozenset(pair) for pair in found}) == len(found) == 15
    assert all(found[mode, baseline] for mode in GRID if mode != baseline)


def test_the_ends_of_an_option_are_asked_about_and_what_lies_between_is_not() -> None:
    modes = {"none": GRID["none"], "low": knob(0.0), "middle": knob(0.5), "high": knob(1.0)}
    found = pairs(modes, "none")
    assert found["high", "low"]
    assert not found["middle", "low"]
    assert not found["high", "middle"]


def test_modes_that_differ_in_more_than_a_number_have_no_ends() -> None:
    other = Traits(30, "standardize", "raw", "knob", (("floor", False), ("weight", 1.0)))
    found = pairs({"none": GRID["none"], "low": knob(0.0), "other": other, "high": knob(1.0, "standardized")}, "none")
    assert not found["other", "low"]
    assert not found["high", "low"]


def test_a_switch_is_no_number() -> None:
    on, off = (Traits(30, "standardize", "raw", "knob", (("floor", value),)) for value in (True, False))
    assert not pairs({"none": GRID["none"], "on": on, "off": off}, "none")["off", "on"]


def test_twenty_modes_ask_for_some_thirty_pairs() -> None:
    """All 190 would make the first level of Holm's correction six times as hard."""
    modes = {"none": GRID["none"]} | {f"mode_{index}": knob(index / 20) for index in range(19)}
    assert sum(pairs(modes, "none").values()) == 20
