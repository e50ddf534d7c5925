"""Where a picture of a panel a mode puts its panels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from matplotlib.axes import Axes

from specnorm.report.style import MUTED

MOST = 6  # panels side by side: more would be too small to read on a page


def rows_of(families: Mapping[str, str]) -> list[list[str]]:
    """Modes row by row: one row where that is enough, else family by family.

    A family stands in one row, beside others where there is room, and is broken only where no row holds it.

    Args:
        families: each mode's.

    >>> rows_of({"none": "identity", "global": "fitted"})
    [['none', 'global']]
    """
    if len(families) <= MOST:
        return [list(families)]
    rows: list[list[str]] = [[]]
    for family in dict.fromkeys(families.values()):
        own = [mode for mode, each in families.items() if each == family]
        if len(rows[-1]) + len(own) > MOST and rows[-1]:
            rows.append([])
        rows[-1] += own[:MOST]
        rows += [own[start : start + MOST] for start in range(MOST, len(own), MOST)]
    return rows


def name_family(axes: Axes, mode: str, row: list[str], families: Mapping[str, str]) -> None:
    """Say a mode's family above its panel, where the panel before it is of another family or another row."""
    place = row.index(mode)
    if place and families[row[place - 1]] == families[mode]:
        return
    axes.annotate(families[mode], (0, 1), (0, 20), "axes fraction", "offset points", color=MUTED, fontsize=8)


def share_height(panels: Iterable[Axes]) -> None:
    """Give panels of several rows the same vertical axis, from the lowest to the highest of theirs."""
    axes = list(panels)
    lows, highs = zip(*(each.get_ylim() for each in axes), strict=True)
    for each in axes:
        each.set_ylim(min(lows), max(highs))
