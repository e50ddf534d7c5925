"""Which mode to use: the simplest that is within a margin of the best with enough probability, or that this is open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from specnorm.comparison.metrics import margin_shown, points, probability_shown
from specnorm.comparison.variance import Variance

DRAWS = 20_000
_TOLD = 5  # modes that a sentence names one by one
TIE = 0.001  # expected losses that differ by less are alike, and the simpler mode comes first

State = Literal["decided", "undecided", "nothing learned", "not compared"]


@dataclass(frozen=True)
class Decision:
    """What to do.

    Attributes:
        state: whether that is decided.
        mode: the one to use; where that is undecided, the one that loses least until it is; ``None`` where none
            learned anything.
        sentence: it in words, with the reason, without a full stop.
        near: each mode's probability to be within the margin of the best.
        shortfall: each mode's expected distance from the best (a share of clips).
    """

    state: State
    mode: str | None
    sentence: str
    near: dict[str, float]
    shortfall: dict[str, float]


def decide(
    found: Variance, simplest: Sequence[str], *, margin: float, sure: float, chance: float, level: float, seed: int = 0
) -> Decision:
    """Decide from draws of the modes' true accuracies: flat prior, multivariate Student's t.

    Args:
        found: the modes' accuracies and their variances.
        simplest: the modes from the simplest on.
        margin: the distance from the best (a share of clips) that is of no account.
        sure: the probability that is enough.
        chance: accuracy of the best guess that hears nothing.
        level: of the intervals that must clear chance, all together (Bonferroni): among many modes at chance, one's own
            interval would clear it by luck.
        seed: of the draws.
    """
    names = sorted(simplest)  # the order of the parameters moves no draw
    lost = shortfalls(found, names, seed=seed)
    near = dict(zip(names, map(float, (lost <= margin).mean(axis=0)), strict=True))
    shortfall = dict(zip(names, map(float, lost.mean(axis=0)), strict=True))

    def decision(state: State, mode: str | None, sentence: str) -> Decision:
        return Decision(state, mode, sentence, near, shortfall)

    if not any(_clears(found, mode, chance, 1 - (1 - level) / len(names)) for mode in names):
        return decision("nothing learned", None, _nothing(found, chance))
    if len(names) == 1:
        return decision("not compared", names[0], f"{names[0]} is the only mode here: nothing was compared")
    least = next(mode for mode in simplest if shortfall[mode] <= min(shortfall.values()) + TIE)
    if not np.isfinite(found.freedom) and found.pair > 0:
        return decision("undecided", least, _one_run(least))
    enough = [mode for mode in simplest if near[mode] >= sure]
    if not enough:
        return decision("undecided", least, _open(simplest, near, shortfall, least, margin, sure))
    return decision("decided", enough[0], _decided(simplest, near, shortfall, enough[0], margin))


def shortfalls(found: Variance, names: Sequence[str], *, seed: int = 0, draws: int = DRAWS) -> NDArray[np.float64]:
    """Draws ``[draws, modes]`` of how far each of the named modes is from the best of them."""
    places = [found.modes.index(name) for name in names]
    generator = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(found.covariance[np.ix_(places, places)])
    root = vectors * np.sqrt(np.maximum(values, 0))
    drawn = generator.standard_normal((draws, len(names))) @ root.T
    if np.isfinite(found.freedom):
        drawn /= np.sqrt(generator.chisquare(found.freedom, (draws, 1)) / found.freedom)
    means = found.means[places] + drawn
    lost: NDArray[np.float64] = means.max(axis=1, keepdims=True) - means
    return lost


def _clears(found: Variance, mode: str, chance: float, level: float) -> bool:
    place = found.modes.index(mode)
    reach = found.reach(float(np.sqrt(max(found.covariance[place, place], 0.0))), level)
    return float(found.means[place]) - reach > chance


def _nothing(found: Variance, chance: float) -> str:
    best = points(float(found.means.max()))
    return (
        f"Nothing was learned: no mode is surely above chance ({points(chance):.1f} % of the clips are right by always "
        f"guessing the most frequent class, the best mode has {best:.1f} %), so there is nothing to compare. Longer "
        "training, more clips or other spectrograms come first"
    )


def _one_run(least: str) -> str:
    return (
        "Undecided: each mode was trained once, on one training set, so how far another run would move it is unknown. "
        f"Until more is run, {least} loses least on these recordings. More folds or more seeds would tell"
    )


def _decided(
    simplest: Sequence[str], near: dict[str, float], shortfall: dict[str, float], mode: str, margin: float
) -> str:
    within = f"within {margin_shown(margin)} of the best, with {probability_shown(near[mode])} probability"
    if mode == simplest[0]:
        return f"Use {mode}: it is the simplest mode, and {within}"
    passed = simplest[: simplest.index(mode)]
    told, others = _nearest(passed, near)
    reasons = [
        f"{each}, simpler, is with {probability_shown(near[each])}, "
        f"and would cost {points(shortfall[each]):.1f} points on average"
        for each in told
    ]
    reasons += [f"{len(others)} others, simpler, are no likelier"] if others else []
    return f"Use {mode}: it is the simplest mode {within} ({'; '.join(reasons)})"


def _open(
    simplest: Sequence[str],
    near: dict[str, float],
    shortfall: dict[str, float],
    least: str,
    margin: float,
    sure: float,
) -> str:
    told, others = _nearest(simplest, near)
    chances = [f"{mode} {probability_shown(near[mode])}" for mode in told]
    chances += [f"{len(others)} others no likelier"] if others else []
    other = next((mode for mode in simplest if mode != least), least)
    return (
        f"Undecided: no mode is within {margin_shown(margin)} of the best with {probability_shown(sure)} probability "
        f"({', '.join(chances)}). Until more is run, {least} loses least: {points(shortfall[least]):.1f} points on "
        f"average, {other} {points(shortfall[other]):.1f}"
    )


def _nearest(modes: Sequence[str], near: dict[str, float]) -> tuple[list[str], list[str]]:
    """The modes in their order, and those that a sentence leaves out: all but the likeliest, where they are many."""
    told = set(modes if len(modes) <= _TOLD + 1 else sorted(modes, key=lambda mode: -near[mode])[:_TOLD])
    return [mode for mode in modes if mode in told], [mode for mode in modes if mode not in told]
