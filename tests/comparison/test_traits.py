"""Which modes are simpler, whatever order they are given in."""

from __future__ import annotations

import itertools

import pytest

from specnorm.comparison.traits import Traits, simplest_first
from specnorm.errors import ConfigurationError
from specnorm.params import NormParams

MODES = {
    "none": Traits(0, "identity", "raw", "identity"),
    "waveform": Traits(0, "identity", "standardized", "identity"),
    "global_raw": Traits(2, "standardize", "raw", "global"),
    "global": Traits(2, "standardize", "standardized", "global"),
    "robust": Traits(2, "standardize", "standardized", "robust"),
    "channel_raw": Traits(3, "standardize", "raw", "channel"),
}


def test_simpler_is_less_cost_then_an_untouched_waveform_then_the_alphabet() -> None:
    assert simplest_first(MODES) == ["none", "waveform", "global_raw", "global", "robust", "channel_raw"]


def test_the_order_of_the_parameters_decides_nothing() -> None:
    """A regression: of two modes with as much to keep, the one that the parameters named first was the simpler."""
    for order in itertools.permutations(MODES):
        assert simplest_first({name: MODES[name] for name in order}) == simplest_first(MODES)


def test_the_shipped_kinds_are_as_simple_as_the_values_that_they_keep() -> None:
    none, one_pair, a_pair_a_bin = (
        Traits.of(NormParams(kind=kind, waveform="raw")) for kind in ("identity", "global", "channel")
    )
    assert none.cost < one_pair.cost < a_pair_a_bin.cost
    assert one_pair.family == a_pair_a_bin.family != none.family


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="unknown kind of normaliser"):
        Traits.of(NormParams(kind="no_such_kind", waveform="raw"))
