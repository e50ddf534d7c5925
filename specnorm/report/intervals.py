"""Pictures of how sure it is: figures and differences with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from specnorm.comparison.metrics import p_shown, points
from specnorm.report.picture import Picture, hover, listed
from specnorm.report.rows import Rows
from specnorm.report.style import GRID, INK, MUTED, PAPER, colours, drawn

_MOST_PAIRS = 28  # drawn with those that were explored: all pairs of eight modes


@drawn
def accuracy(
    modes: pd.DataFrame, cells: pd.DataFrame, families: Mapping[str, str], *, chance: float, narrow: bool = False
) -> Picture:
    """Each mode's mean accuracy with its interval, and each cell as a dot, on one axis in per cent.

    Args:
        modes: a row a mode with ``norm``, ``mean``, ``low`` and ``high`` (0 to 1).
        cells: a row a cell with ``norm``, ``fold``, ``seed`` and ``accuracy`` (0 to 1).
        families: each mode's, of the whole comparison.
        chance: accuracy of guessing, 0 to 1, drawn as a dashed line.
        narrow: whether for a phone.
    """
    shades = colours(families)
    rows = Rows(len(modes), narrow=narrow, tall=1.45, axis="accuracy on the held-out fold (%)")
    axes = rows.axes
    rows.head("mean  (95 % interval)")
    for place, row in enumerate(modes.to_dict("records")):
        name, shade = str(row["norm"]), shades[row["norm"]]
        mean, low, high = (points(row[part]) for part in ("mean", "low", "high"))
        said = f"{mean:.1f}  ({low:.1f} to {high:.1f})"
        hover(axes.barh(place, mean, height=rows.thick, color=shade, alpha=0.28)[0], f"{name}: {said}")
        own = cells[cells["norm"] == name].to_dict("records")
        # A cell keeps its height in every bar, the first on top, so that close dots stay apart and folds compare.
        heights = place + np.linspace(-0.35, 0.35, len(own)) * rows.thick * (len(own) > 1)
        for cell, height in zip(own, heights, strict=True):
            value = points(cell["accuracy"])
            (dot,) = axes.plot(
                value, height, "o", color=shade, markersize=4.5, alpha=0.85, markeredgewidth=0, clip_on=False
            )
            hover(dot, f"{name}, fold {cell['fold']}, seed {cell['seed']}: {value:.1f}")
        _whisker(axes, place, low, high, INK, f"{name}: {said}")
        axes.plot(mean, place, "|", color=INK, markersize=9, markeredgewidth=1.8)
        rows.say(place, name, said)
    axes.axvline(100 * chance, color=MUTED, linestyle="--", linewidth=1)
    axes.annotate("chance", (100 * chance, -0.85), (3, 0), textcoords="offset points", va="center", size=8, color=MUTED)
    axes.set_xlim(0, 100)
    order = modes.sort_values("mean", kind="stable")
    told = [f"{row['norm']} has {points(row['mean']):.1f} %" for row in order.iloc[[-1, 0]].to_dict("records")]
    return Picture(
        rows.figure,
        "Accuracy by mode",
        f"Mean accuracy of {listed(list(modes['norm']))}, each with its 95 % interval and a dot a cell: "
        f"{', '.join(dict.fromkeys(told))}; chance is {points(chance):.1f} %.",
    )


@drawn
def differences(pairs: pd.DataFrame, families: Mapping[str, str], *, narrow: bool = False) -> Picture:
    """A forest plot: each pair's difference in accuracy with its interval, in points.

    First come the pairs that the comparison asked about; filled are those that stand. The others, which were only
    explored and are not tested, are hollow and stand apart, or are left out where they are very many.

    Args:
        pairs: a row a pair with ``one``, ``other``, ``declared``, ``accuracy_difference``, ``accuracy_low``,
            ``accuracy_high``, ``p_adjusted``, ``detectable`` and ``distinguishable``.
        families: each mode's, of the whole comparison.
        narrow: whether for a phone.
    """
    declared, explored = pairs[pairs["declared"]], pairs[~pairs["declared"].astype(bool)]
    left_out = len(explored) if len(pairs) > _MOST_PAIRS else 0
    if left_out:
        explored = explored[:0]
    apart = 1.0 if len(explored) and len(declared) else 0.0
    axis = "difference in accuracy (points); grey: what this design would most likely miss"
    rows = Rows(len(declared) + apart + len(explored), narrow=narrow, axis=axis)
    axes = rows.axes
    axes.axvline(0, color=INK, linewidth=1)
    rows.head("points  (95 % interval)   adjusted p")
    if apart:
        rows.part(len(declared) + (0.2 if not narrow else 0.0), "explored, not tested:")
    shades = colours(families)
    reach = 0.5
    for place, row in enumerate([*declared.to_dict("records"), *explored.to_dict("records")]):
        asked = bool(row["declared"])
        height = place if asked else place + apart
        value, low, high = (points(row[f"accuracy_{part}"]) for part in ("difference", "low", "high"))
        pair, shade, seen = f"{row['one']} less {row['other']}", shades[row["one"]], points(row["detectable"])
        said = f"{value:+.1f}  ({low:+.1f} to {high:+.1f})" + (f"   {p_shown(row['p_adjusted'])}" if asked else "")
        if asked and math.isfinite(seen):
            bar = axes.barh(height, 2 * seen, left=-seen, height=rows.thick, color=GRID, alpha=0.45, linewidth=0)[0]
            hover(bar, f"{pair}: this design sees differences of {seen:.1f} points or more")
            reach = max(reach, seen)
        _whisker(axes, height, low, high, shade, f"{pair}: {said}", width=1.8 if asked else 1.0)
        face = shade if asked and row["distinguishable"] else PAPER
        size = 6.5 if asked else 4.5
        (dot,) = axes.plot(
            value, height, "o", color=shade, markerfacecolor=face, markersize=size, markeredgewidth=size / 4
        )
        hover(dot, f"{pair}: {said}")
        rows.say(height, pair, said)
        reach = max(reach, *(abs(end) for end in (low, high) if math.isfinite(end)), abs(value))
    axes.set_xlim(-1.08 * reach, 1.08 * reach)
    return Picture(rows.figure, _difference_title(declared, left_out), _difference_alt(declared, len(pairs)))


def _whisker(axes: Axes, height: float, low: float, high: float, colour: str, said: str, *, width: float = 1.8) -> None:
    (line,) = axes.plot([low, high], [height, height], color=colour, linewidth=width, solid_capstyle="butt")
    hover(line, said)


def _difference_title(declared: pd.DataFrame, left_out: int) -> str:
    stand, asked = int(declared["distinguishable"].sum()), len(declared)
    what = f"{stand} of {asked} declared pairs can be told apart" if stand else "no declared pair can be told apart"
    others = f"; {left_out} explored pairs are in differences.csv" if left_out else ""
    return f"Differences in accuracy: {what}{others}"


def _difference_alt(declared: pd.DataFrame, pairs: int) -> str:
    stand = declared[declared["distinguishable"]].to_dict("records")
    told = [f"{row['one']} less {row['other']} ({points(row['accuracy_difference']):+.1f} points)" for row in stand]
    found = f"Apart are {listed(told)}." if told else "None of those asked about can be told apart."
    return f"Differences in accuracy of {pairs} pairs of modes with their 95 % intervals. {found}"
