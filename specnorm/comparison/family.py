"""Which pairs of modes a comparison asks about; what it finds of all others was not asked."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from specnorm.comparison.traits import Traits

Pair = tuple[str, str]  # the first less the second


def pairs(modes: Mapping[str, Traits], baseline: str) -> dict[Pair, bool]:
    """Every pair once, and whether it is declared: declared pairs are tested together, the others are explored.

    Declared are each mode against the baseline; two modes that do the same to spectrograms of the raw and of the
    standardised waveform; and the two ends of an option, where modes of one kind differ in that number alone. More
    modes make more of these, but never a pair of each two.

    Args:
        modes: in the order of the parameters.
        baseline: one of them.

    Returns:
        First the pairs with the baseline, then the other declared ones, then the rest, the later mode less the earlier.
    """
    against = [(mode, baseline) for mode in modes if mode != baseline]
    others = [(later, earlier) for earlier, later in combinations([mode for mode in modes if mode != baseline], 2)]
    ends = {frozenset(pair) for pair in _ends(modes)}
    asked = [pair for pair in others if _same_transform(*(modes[name] for name in pair)) or frozenset(pair) in ends]
    return dict.fromkeys([*against, *asked], True) | {pair: False for pair in others if pair not in asked}


def _same_transform(one: Traits, other: Traits) -> bool:
    return (one.kind, one.options) == (other.kind, other.options) and one.waveform != other.waveform


def _ends(modes: Mapping[str, Traits]) -> list[Pair]:
    """The modes with the least and the greatest value of an option, among modes that are alike but for it."""
    found: list[Pair] = []
    numbers = {(mode, name) for mode, traits in modes.items() for name, value in traits.options if _is_number(value)}
    for name in sorted({name for _, name in numbers}):
        alike: dict[object, list[tuple[float, str]]] = {}
        for mode, traits in modes.items():
            if (mode, name) in numbers:
                rest = (traits.kind, traits.waveform, tuple(each for each in traits.options if each[0] != name))
                alike.setdefault(rest, []).append((float(dict(traits.options)[name]), mode))
        found += [(max(group)[1], min(group)[1]) for group in alike.values() if len({value for value, _ in group}) > 1]
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
