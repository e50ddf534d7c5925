"""A kind's numbers change only together with its version: outputs and states that were written down once."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from specnorm.normalization.base import Normalizer, Options
from specnorm.normalization.identity import Identity
from specnorm.normalization.standardize import Channel, Global
from specnorm.statistics.moments import Moments

# Three bins, of which the last one never varies. The input [1, 1, bins, frames] has levels that were in training and
# some that were not.
MOMENTS = Moments(
    count=np.array([7, 7, 7]),
    mean=np.array([-61.3, -24.9, -100.0]),
    m2=np.array([912.7, 3141.59, 0.0]),
    minimum=np.array([-80.1, -70.2, -100.0]),
    maximum=np.array([-44.4, 3.3, -100.0]),
    floor_count=np.array([0, 0, 7]),
)
X = torch.tensor([[[[-100.0, -61.3], [-24.9, 3.3], [-100.0, -40.7]]]])


class Golden(NamedTuple):
    """What one version of a kind gives; nine digits name a float32 exactly."""

    state: dict[str, list[float]]
    normalised: list[float]
    inverted: list[float]  # the normalised values, taken back


# A changed number is a new version with a line of its own, in place of the old one.
GOLDEN = {
    ("identity", 1): Golden({}, X.flatten().tolist(), X.flatten().tolist()),
    ("global", 1): Golden(
        {"mean": [-62.066666], "scale": [33.665367]},
        [-1.1267762, 0.022773148, 1.104003, 1.9416592, -1.1267762, 0.6346779],
        [-100.0, -61.3, -24.900002, 3.300003, -100.0, -40.7],
    ),
    ("channel", 1): Golden(
        {"mean": [-61.3, -24.9, -100.0], "scale": [11.418656, 21.184866, 1.0]},
        [-3.3891904, 0.0, 0.0, 1.3311388, 0.0, 59.3],
        [-100.0, -61.3, -24.9, 3.2999992, -100.0, -40.7],
    ),
}


def differences(kind: type[Normalizer]) -> list[str]:
    """Where a kind differs from what was written down for its version."""
    golden = GOLDEN.get((kind.kind, kind.version))
    if golden is None:
        return [f"no golden values of {kind.kind}, version {kind.version}"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the constant bin
        normalizer = kind.fit(MOMENTS)
    normalised = normalizer(X)
    found = {**normalizer.state_dict(), "x": normalised, "inverse": normalizer.inverse(normalised)}
    expected = {**golden.state, "x": golden.normalised, "inverse": golden.inverted}
    if found.keys() != expected.keys():
        return [f"{sorted(found)} instead of {sorted(expected)}"]
    return [
        f"{name}: {value.flatten().tolist()} instead of {expected[name]}"
        for name, value in found.items()
        if not torch.equal(value.flatten(), torch.tensor(expected[name]))
    ]


def own_kinds() -> list[type[Normalizer]]:
    return [kind for kind in Normalizer._kinds.values() if kind.__module__.startswith("specnorm.")]


@pytest.mark.parametrize("kind", own_kinds(), ids=lambda kind: kind.kind)
def test_the_numbers_are_those_of_the_version(kind: type[Normalizer]) -> None:
    assert differences(kind) == [], "raise the kind's version, and write its new numbers down"


def test_no_golden_values_are_left_over() -> None:
    assert set(GOLDEN) == {(kind.kind, kind.version) for kind in own_kinds()}


class _Folded(Channel):
    """The same formula with other roundings."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 / self.scale) - self.mean / self.scale


class _Unbiased(Global):
    def adapt(self, moments: Moments) -> None:
        super().adapt(moments)
        self.scale.mul_((21 / 20) ** 0.5)


class _MoreState(Identity):
    def __init__(self, bins: int, options: Options | None = None) -> None:
        super().__init__(bins, options)
        self.register_buffer("floor", torch.zeros(()))


class TestTheTestsOwnPower:
    """What would retrain no cell, although its numbers changed, is noticed."""

    def test_another_rounding(self) -> None:
        assert any(line.startswith("x: ") for line in differences(_Folded))

    def test_another_state(self) -> None:
        assert any(line.startswith("scale: ") for line in differences(_Unbiased))
        assert differences(_MoreState) != []

    def test_a_helper_outside_the_class(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Guards: a digest of the class's file did not see it.
        monkeypatch.setattr(Moments, "deviation", property(lambda self: np.sqrt(self.m2 / (self.count - 1))))
        assert differences(Global) != []
        assert differences(Channel) != []

    def test_a_kind_without_golden_values(self) -> None:
        class New(Identity):
            kind = "new"

        assert differences(New) == ["no golden values of new, version 1"]

    def test_a_version_without_golden_values(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Channel, "version", 2)
        assert differences(Channel) == ["no golden values of channel, version 2"]
