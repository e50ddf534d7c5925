"""Which mode to use: the simplest one that nothing beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from specnorm.comparison.metrics import points
from specnorm.comparison.traits import Traits


def simplest_first(modes: Mapping[str, Traits]) -> list[str]:
    """Modes by what it takes to use them: the lower its kind's cost, the simpler a mode is.

    Among equals comes first one that leaves the waveform alone, and then the one whose name does in the alphabet, so
    that the order of the parameters decides nothing.
    """
    return sorted(modes, key=lambda name: (modes[name].cost, modes[name].waveform != "raw", name))


def recommend(simplest: Sequence[str], pairs: pd.DataFrame) -> tuple[str, str]:
    """The simplest mode that nothing beats, and why, in words.

    Args:
        simplest: the modes from the simplest on.
        pairs: ``one``, ``other``, ``accuracy_difference``, ``distinguishable`` and ``detectable``.
    """
    beaten: dict[str, list[str]] = {}
    for row in pairs.to_dict("records"):
        if row["distinguishable"]:
            ends = (row["one"], row["other"])
            winner, loser = ends if float(row["accuracy_difference"]) > 0 else ends[::-1]
            beaten.setdefault(loser, []).append(winner)
    chosen = next(mode for mode in simplest if mode not in beaten)
    if not len(pairs):
        return chosen, f"{chosen} is the only mode here: nothing was compared"
    if not beaten:
        return (
            chosen,
            f"Use {chosen}: no mode beats another, and it is the simplest{_power(pairs['detectable'].dropna())}",
        )
    if chosen == simplest[0]:
        return chosen, f"Use {chosen}: it is the simplest mode, and nothing beats it"
    simpler = "; ".join(_beaten_by(beaten[mode], mode) for mode in simplest[: simplest.index(chosen)])
    return chosen, f"Use {chosen}: it is the simplest mode that nothing beats ({simpler})"


def _beaten_by(winners: list[str], loser: str) -> str:
    return f"{' and '.join(winners)} {'beats' if len(winners) == 1 else 'beat'} {loser}"


def _power(detectable: pd.Series[float]) -> str:
    if not len(detectable):
        return ""
    least, most = (f"{points(value):.1f}" for value in (detectable.min(), detectable.max()))
    reach = f"{least} points or more" if least == most else f"{least} to {most} points or more, depending on the pair,"
    return f"; this design sees differences of {reach} and cannot tell smaller ones"
