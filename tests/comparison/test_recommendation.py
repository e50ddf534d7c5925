"""The simplest mode that nothing beats, whatever order the modes are given in."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

from specnorm.comparison.recommendation import recommend, simplest_first
from specnorm.comparison.traits import Traits
from specnorm.errors import ConfigurationError


def pairs(*rows: tuple[str, str, float, bool]) -> pd.DataFrame:
    names = ["one", "other", "accuracy_difference", "distinguishable"]
    return pd.DataFrame(rows, columns=names).assign(detectable=0.02)


def test_the_simplest_mode_that_nothing_beats_is_recommended() -> None:
    modes = ["none", "global", "channel"]
    nothing = pairs(("global", "none", 0.01, False), ("channel", "none", 0.02, False))
    assert recommend(modes, nothing) == (
        "none",
        "Use none: no mode beats another, and it is the simplest; this design sees differences of 2.0 points or more "
        "and cannot tell smaller ones",
    )
    unlike = nothing.assign(detectable=[0.02, 0.034])
    assert "sees differences of 2.0 to 3.4 points or more, depending on the pair, and" in recommend(modes, unlike)[1]
    beaten = pairs(("channel", "none", 0.05, True), ("global", "none", 0.04, True), ("channel", "global", 0.01, False))
    words = "Use global: it is the simplest mode that nothing beats (channel and global beat none)"
    assert recommend(modes, beaten) == ("global", words)
    chain = pairs(("channel", "none", 0.05, True), ("global", "none", 0.04, False), ("channel", "global", 0.01, True))
    words = "Use channel: it is the simplest mode that nothing beats (channel beats none; channel beats global)"
    assert recommend(modes, chain) == ("channel", words)
    words = "Use none: it is the simplest mode, and nothing beats it"
    assert recommend(modes, pairs(("global", "none", -0.05, True))) == ("none", words)
    assert recommend(["global"], pairs()) == ("global", "global is the only mode here: nothing was compared")


MODES = {
    "none": Traits(0, "identity", "raw"),
    "waveform": Traits(0, "identity", "standardized"),
    "global_raw": Traits(2, "standardize", "raw"),
    "global": Traits(2, "standardize", "standardized"),
    "robust": Traits(2, "standardize", "standardized"),
    "channel_raw": Traits(3, "standardize", "raw"),
}


def test_simpler_is_less_cost_then_an_untouched_waveform_then_the_alphabet() -> None:
    assert simplest_first(MODES) == ["none", "waveform", "global_raw", "global", "robust", "channel_raw"]


def test_the_order_of_the_parameters_decides_nothing() -> None:
    """A regression: of two modes with as much to keep, the one that the parameters named first was the simpler."""
    for order in itertools.permutations(MODES):
        assert simplest_first({name: MODES[name] for name in order}) == simplest_first(MODES)


def test_the_shipped_kinds_are_as_simple_as_the_values_that_they_keep() -> None:
    none, one_pair, a_pair_a_bin = (Traits.of(kind, "raw") for kind in ("identity", "global", "channel"))
    assert none.cost < one_pair.cost < a_pair_a_bin.cost
    assert one_pair.family == a_pair_a_bin.family != none.family


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="unknown kind of normaliser"):
        Traits.of("no such kind", "raw")
