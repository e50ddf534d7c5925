"""Figures with their number and spread, taken in turns so that a machine's mood falls on all subjects alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Subject = Callable[[], float]


@dataclass(frozen=True)
class Figures:
    """Measured values of one subject, in the order of the rounds."""

    values: list[float]

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    def text(self, digits: int = 3) -> str:
        """The median, then the least and the largest value."""
        low, middle, high = (f"{value:.{digits}g}" for value in (min(self.values), self.median, max(self.values)))
        return f"{middle} ({low} to {high})"

    def over(self, other: Figures) -> Figures:
        """Ratios round by round."""
        return Figures([mine / theirs for mine, theirs in zip(self.values, other.values, strict=True)])


def in_turns(subjects: Mapping[str, Subject], rounds: int) -> dict[str, Figures]:
    """Call every subject once a round, each round in the opposite order of the one before."""
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(rounds):
        names = list(subjects)
        for name in names if number % 2 == 0 else reversed(names):
            found[name].append(subjects[name]())
            print(f"  round {number + 1} of {rounds}, {name}: {found[name][-1]:.4g}", flush=True)
    return {name: Figures(values) for name, values in found.items()}
