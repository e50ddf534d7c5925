"""Where a picture of many panels puts them, and which of them name their axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from specnorm.report.style import width

MOST = 6  # modes that have a panel each, where panels of several modes are to be had


def by_family(families: Mapping[str, str]) -> dict[str, list[str]]:
    """Panels and the modes in each: one a mode where they are few, else one a family.

    >>> by_family({"none": "identity", "global": "fitted"})
    {'none': ['none'], 'global': ['global']}
    """
    if len(families) <= MOST:
        return {mode: [mode] for mode in families}
    found: dict[str, list[str]] = {}
    for mode, family in families.items():
        found.setdefault(family, []).append(mode)
    return found


def columns_of(panels: int, *, narrow: bool) -> int:
    """How many panels stand side by side: up to four, two on a phone, and no row that is nearly empty.

    >>> [columns_of(panels, narrow=False) for panels in (1, 4, 5, 6, 7, 20)]
    [1, 4, 3, 3, 4, 4]
    """
    most = 2 if narrow else 4
    return math.ceil(panels / math.ceil(panels / most)) if panels <= 2 * most else most


def grid(panels: int, height: float, *, narrow: bool, **shared: Any) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, row by row, each of a height in inches."""
    columns = columns_of(panels, narrow=narrow)
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(width(narrow=narrow), 0.3 + height * rows))
    axes = list(figure.subplots(rows, columns, squeeze=False, **shared).ravel())
    for unused in axes[panels:]:
        unused.set_visible(False)
    return figure, axes[:panels]


def share_height(panels: Iterable[Axes]) -> None:
    """Give panels of several rows the same vertical axis, from the lowest to the highest of theirs."""
    axes = list(panels)
    lows, highs = zip(*(each.get_ylim() for each in axes), strict=True)
    for each in axes:
        each.set_ylim(min(lows), max(highs))
