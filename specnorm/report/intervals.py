"""Pictures of how sure it is: figures and differences with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from specnorm.comparison.metrics import p_shown, points
from specnorm.report.panels import name_family, rows_of
from specnorm.report.style import GRID, INK, MUTED, PAPER, colours, drawn, headline, outside, short, wrapped


@drawn
def accuracy(modes: pd.DataFrame, cells: pd.DataFrame, families: Mapping[str, str], *, chance: float) -> Figure:
    """Each mode's mean accuracy with its interval, and each cell as a dot, on one axis in per cent.

    Args:
        modes: a row a mode with ``norm``, ``mean``, ``low`` and ``high`` (0 to 1).
        cells: a row a cell with ``norm`` and ``accuracy`` (0 to 1).
        families: each mode's, of the whole comparison.
        chance: accuracy of guessing, 0 to 1, drawn as a dashed line.
    """
    names = list(modes["norm"])
    shades = colours(families)
    figure = Figure(figsize=(7.5, 1.5 + 0.55 * len(names)))
    axes = figure.subplots()
    for height, row in enumerate(reversed(modes.to_dict("records"))):
        own = 100 * cells.loc[cells["norm"] == row["norm"], "accuracy"].to_numpy(np.float64)
        mean, low, high = (points(row[name]) for name in ("mean", "low", "high"))
        shade = shades[row["norm"]]
        axes.barh(height, mean, height=0.72, color=shade, alpha=0.28)
        # A cell keeps its height in every bar, the first on top, so that close dots stay apart and folds compare.
        heights = height + np.linspace(0.25, -0.25, len(own)) * (len(own) > 1)
        axes.plot(own, heights, "o", color=shade, markersize=4.5, alpha=0.85, markeredgewidth=0, clip_on=False)
        _whisker(axes, height, low, high, INK)
        axes.plot([mean], [height], "|", color=INK, markersize=9, markeredgewidth=1.8)
        outside(axes, height, f"{mean:.1f}  ({low:.1f} to {high:.1f})")
    head = len(names) - 0.45
    outside(axes, head, "mean  (95 % interval)", muted=True)
    axes.axvline(100 * chance, color=MUTED, linestyle="--", linewidth=1)
    axes.annotate("chance", (100 * chance, head), xytext=(3, 0), textcoords="offset points", fontsize=8, color=MUTED)
    axes.set_ylim(-0.55, len(names) - 0.1)
    axes.set_yticks(range(len(names)), names[::-1])
    axes.set_xlim(0, 100)
    axes.set_xlabel("accuracy on the held-out fold (%)")
    axes.grid(axis="y", visible=False)
    headline(figure, "Accuracy by mode: bar and line are the mean and its interval, a dot is a cell")
    return figure


@drawn
def differences(pairs: pd.DataFrame, families: Mapping[str, str], *, title: str) -> Figure:
    """A forest plot: each pair's difference in accuracy with its interval, in points.

    Args:
        pairs: a row a pair with ``one``, ``other``, ``accuracy_difference``, ``accuracy_low``, ``accuracy_high``,
            ``p_adjusted``, ``detectable`` and ``distinguishable``.
        families: each mode's, of the whole comparison.
        title: what to see.
    """
    shades = colours(families)
    figure = Figure(figsize=(7.5, 1.6 + 0.36 * len(pairs)))
    axes = figure.subplots()
    axes.axvline(0, color=INK, linewidth=1)
    limits = []
    rows = pairs.to_dict("records")[::-1]
    for height, row in enumerate(rows):
        value, low, high = (points(row[f"accuracy_{name}"]) for name in ("difference", "low", "high"))
        shade = shades[row["one"]]
        seen = points(row["detectable"])
        if math.isfinite(seen):
            axes.barh(height, 2 * seen, left=-seen, height=0.78, color=GRID, alpha=0.45, linewidth=0)
        _whisker(axes, height, low, high, shade)
        face = shade if row["distinguishable"] else PAPER
        axes.plot(value, height, "o", color=shade, markerfacecolor=face, markersize=6.5, markeredgewidth=1.6)
        outside(axes, height, f"{value:+.1f}  ({low:+.1f} to {high:+.1f})   {p_shown(row['p_adjusted'])}")
        limits += [abs(low), abs(high), seen if math.isfinite(seen) else 0.0]
    outside(axes, len(pairs) - 0.35, "points  (95 % interval)   adjusted p", muted=True)
    axes.set_ylim(-0.6, len(pairs) - 0.1)
    axes.set_yticks(range(len(pairs)), [f"{row['one']} less {row['other']}" for row in rows])
    reach = 1.08 * max([*limits, 0.5])
    axes.set_xlim(-reach, reach)
    axes.set_xlabel("difference in accuracy (points); grey: what this design would most likely miss")
    axes.grid(axis="y", visible=False)
    headline(figure, title)
    return figure


@drawn
def class_differences(classes: pd.DataFrame, families: Mapping[str, str]) -> Figure:
    """Where each mode gains and loses against the baseline: a row a class, a column a mode.

    Args:
        classes: a row a mode and class with ``norm``, ``baseline``, ``label``, ``difference``, ``low``, ``high``.
        families: each mode's, of the whole comparison; many modes stand family by family, on several rows.
    """
    names = list(dict.fromkeys(classes["norm"]))
    labels = list(dict.fromkeys(classes["label"]))
    shades = colours(families)
    baseline = classes["baseline"].iloc[0]
    rows = rows_of({name: families[name] for name in names})
    columns = max(len(row) for row in rows)
    height = 1.5 + 0.24 * len(labels)
    figure = Figure(figsize=(max(5.0, 1.8 + 1.65 * columns), height + (height - 0.6) * (len(rows) - 1)))
    panels = figure.subplots(len(rows), columns, sharex=True, sharey=True, squeeze=False)
    for line, row in zip(panels, rows, strict=True):
        for axes, name in zip(line, row, strict=False):
            own = classes[classes["norm"] == name].set_index("label")
            axes.axvline(0, color=INK, linewidth=1)
            for place, label in enumerate(reversed(labels)):
                value, low, high = (100 * own[column][label] for column in ("difference", "low", "high"))
                clear = low > 0 or high < 0
                _whisker(axes, place, low, high, shades[name])
                face = shades[name] if clear else PAPER
                axes.plot(value, place, "o", color=shades[name], markersize=4.5, markerfacecolor=face)
            axes.set_title(name)
            axes.grid(axis="y", visible=False)
            if len(rows) > 1:
                name_family(axes, name, row, families)
                axes.tick_params(labelbottom=True)
        for unused in line[len(row) :]:
            unused.set_visible(False)
    panels[0, 0].set_yticks(range(len(labels)), [short(label) for label in labels[::-1]])
    panels[0, 0].set_ylim(-0.7, len(labels) - 0.3)
    said = f"clips of the class that are right, less {baseline} (points); filled: the 95 % interval leaves out zero"
    figure.supxlabel(wrapped(figure, said, 13), fontsize=9, color=INK)
    headline(figure, f"Which classes gain and which lose against {baseline}")
    return figure


def _whisker(axes: Axes, height: float, low: float, high: float, colour: str) -> None:
    axes.plot([low, high], [height, height], color=colour, linewidth=1.8, solid_capstyle="butt")
