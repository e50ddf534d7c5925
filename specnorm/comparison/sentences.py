"""What is known of a pair of modes, in plain words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from specnorm.comparison.bootstrap import LEVEL, Interval
from specnorm.comparison.metrics import p_shown, points

_OVER = "over recordings and training runs"


@dataclass(frozen=True)
class PairFinding:
    """The difference in accuracy of two modes, ``one`` less ``other``.

    Attributes:
        one: a mode.
        other: the mode that it is held against.
        accuracy: the difference (a share of clips) with its interval.
        declared: whether the comparison asked about this pair; what was not asked is explored, and never found.
        p: two-sided, of a declared pair.
        p_adjusted: Holm's, over the declared pairs.
        detectable: the smallest true difference found with 80 % power; NaN where none is.
        runs_known: whether there was more than one run, of which the interval then knows.
    """

    one: str
    other: str
    accuracy: Interval
    declared: bool
    p: float
    p_adjusted: float
    detectable: float
    runs_known: bool

    @property
    def distinguishable(self) -> bool:
        """Whether the pair was asked about, and its adjusted p is below 5 %."""
        return self.declared and self.p_adjusted < 1 - LEVEL

    def sentence(self, *, tested: int) -> str:
        """It in points of accuracy (hundredths), without a full stop; ``tested`` is how many pairs were declared."""
        one, other = self.one, self.other
        value, low, high = (points(part) for part in (self.accuracy.value, self.accuracy.low, self.accuracy.high))
        if self.accuracy.error <= 1e-12:
            return f"{one} and {other} are not distinguishable: no source recording tells them apart"
        if self.distinguishable:
            if value < 0:
                one, other, value, low, high = other, one, -value, -high, -low
            return (
                f"{one} beats {other} by {value:.1f} points, 95 % interval {low:.1f} to {high:.1f} {_OVER}, "
                f"adjusted p {p_shown(self.p_adjusted)}"
            )
        if not self.runs_known:
            return (
                f"{one} and {other} cannot be told apart by one run of one fold: the interval {low:.1f} to {high:.1f} "
                "points is over recordings alone, and how far another run would move it is unknown; run more folds or "
                "more seeds"
            )
        within = f"{low:.1f} to {high:.1f} points {_OVER}"
        if not self.declared:
            return f"{one} less {other} was explored, not asked: {value:+.1f} points, 95 % interval {within}"
        power = (
            ""
            if math.isnan(self.detectable)
            else (f", and this design finds differences of {points(self.detectable):.1f} in four of five cases")
        )
        if self.p < 1 - LEVEL:
            return (
                f"{one} and {other} are not distinguishable (p {p_shown(self.p)}, {p_shown(self.p_adjusted)} after "
                f"correction for {tested} pairs): the interval of this pair alone is {within}{power}"
            )
        return f"{one} and {other} are not distinguishable: the interval is {within}{power}"
