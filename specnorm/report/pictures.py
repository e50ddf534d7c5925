"""Pictures of a comparison: how good each mode is, how they differ, how they learned, what they confuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from specnorm.comparison.metrics import p_shown, points
from specnorm.report.style import GRID, INK, MUTED, PAPER, colours, drawn, headline, outside, short, wrapped

_NUMBERED = 12  # classes up to which a confusion matrix has its shares written in
# White to the blue of the palette: the same lightness in every mode's matrix, so that matrices compare.
_SHARES = LinearSegmentedColormap.from_list("shares", ["#f6f8fa", "#56B4E9", "#0072B2", "#08306b"])


@drawn
def accuracy(modes: pd.DataFrame, cells: pd.DataFrame, *, chance: float) -> Figure:
    """Each mode's mean accuracy with its interval, and each cell as a dot, on one axis in per cent.

    Args:
        modes: a row a mode with ``norm``, ``mean``, ``low`` and ``high`` (0 to 1).
        cells: a row a cell with ``norm`` and ``accuracy`` (0 to 1).
        chance: accuracy of guessing, 0 to 1, drawn as a dashed line.
    """
    names = list(modes["norm"])
    shades = colours(names)
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
def differences(pairs: pd.DataFrame, *, title: str) -> Figure:
    """A forest plot: each pair's difference in accuracy with its interval, in points.

    Args:
        pairs: a row a pair with ``one``, ``other``, ``accuracy_difference``, ``accuracy_low``, ``accuracy_high``,
            ``p_adjusted``, ``detectable`` and ``distinguishable``.
        title: what to see.
    """
    shades = colours(sorted({*pairs["one"], *pairs["other"]}))
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
def training_curves(curves: pd.DataFrame) -> Figure:
    """Loss and accuracy by epoch, a column a mode: mean over its cells, a band from the lowest to the highest.

    Args:
        curves: a row a cell and epoch with ``norm``, ``epoch``, ``train_loss``, ``valid_loss``, ``valid_accuracy``.
    """
    names = list(dict.fromkeys(curves["norm"]))
    shades = colours(names)
    figure = Figure(figsize=(max(4.5, 1.2 + 1.75 * len(names)), 4.6))
    panels = figure.subplots(2, len(names), sharex=True, sharey="row", squeeze=False)
    by_mode = {name: own.groupby("epoch") for name, own in curves.groupby("norm", sort=False)}
    for column, name in enumerate(names):
        own = by_mode[name]
        upper, lower = panels[0, column], panels[1, column]
        for other in names:
            if other != name:
                upper.plot(100 * by_mode[other]["valid_accuracy"].mean(), color=GRID, linewidth=1)
                lower.plot(by_mode[other]["valid_loss"].mean(), color=GRID, linewidth=1)
        _band(upper, own["valid_accuracy"], shades[name], scale=100)
        _band(lower, own["valid_loss"], shades[name])
        _band(lower, own["train_loss"], shades[name], dashed=True)
        upper.set_title(name)
        lower.set_xlabel("epoch")
        lower.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    panels[0, 0].set_ylabel("held-out accuracy (%)")
    panels[1, 0].set_ylabel("loss (nats)")
    panels[1, 0].set_ylim(bottom=0)
    panels[1, 0].plot([], color=INK, label="held out")
    panels[1, 0].plot([], color=INK, linestyle=(0, (3, 1.5)), label="training")
    figure.legend(*panels[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    headline(figure, "How each mode learns: mean over its cells, band from the lowest to the highest; grey: the others")
    return figure


@drawn
def class_differences(classes: pd.DataFrame) -> Figure:
    """Where each mode gains and loses against the baseline: a row a class, a column a mode.

    Args:
        classes: a row a mode and class with ``norm``, ``baseline``, ``label``, ``difference``, ``low``, ``high``.
    """
    names = list(dict.fromkeys(classes["norm"]))
    labels = list(dict.fromkeys(classes["label"]))
    shades = colours(names)
    baseline = classes["baseline"].iloc[0]
    figure = Figure(figsize=(max(5.0, 1.8 + 1.65 * len(names)), 1.5 + 0.24 * len(labels)))
    panels = figure.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        own = classes[classes["norm"] == name].set_index("label")
        axes.axvline(0, color=INK, linewidth=1)
        for height, label in enumerate(reversed(labels)):
            value, low, high = (100 * own[column][label] for column in ("difference", "low", "high"))
            clear = low > 0 or high < 0
            _whisker(axes, height, low, high, shades[name])
            face = shades[name] if clear else PAPER
            axes.plot(value, height, "o", color=shades[name], markersize=4.5, markerfacecolor=face)
        axes.set_title(name)
        axes.grid(axis="y", visible=False)
    panels[0].set_yticks(range(len(labels)), [short(label) for label in labels[::-1]])
    panels[0].set_ylim(-0.7, len(labels) - 0.3)
    said = f"clips of the class that are right, less {baseline} (points); filled: the 95 % interval leaves out zero"
    figure.supxlabel(wrapped(figure, said, 13), fontsize=9, color=INK)
    headline(figure, f"Which classes gain and which lose against {baseline}")
    return figure


@drawn
def confusion(table: pd.DataFrame, mode: str, labels: list[str]) -> Figure:
    """One mode's confusion matrix, each row in per cent of its class.

    Args:
        table: a row a mode, actual and predicted class with ``norm``, ``actual``, ``predicted``, ``share`` (0 to 1).
        mode: which.
        labels: the classes in their order.
    """
    own = table[table["norm"] == mode].pivot_table(index="actual", columns="predicted", values="share")
    shares = 100 * own.reindex(index=labels, columns=labels).fillna(0).to_numpy()
    size = 1.9 + max(2.2, 0.3 * len(labels)) if len(labels) <= _NUMBERED else 1.9 + 0.17 * len(labels)
    figure = Figure(figsize=(size + 0.5, size))
    axes = figure.subplots()
    image = axes.imshow(shares, cmap=_SHARES, vmin=0, vmax=100, aspect="equal")
    if len(labels) <= _NUMBERED:
        for row, column in np.argwhere(shares >= 0.5):
            dark = shares[row, column] > 45
            axes.annotate(
                f"{shares[row, column]:.0f}", (column, row), ha="center", va="center", fontsize=7,
                color="white" if dark else "#1f2329",  # on the colour map, which is the same on dark pages
            )  # fmt: skip
    fontsize = 8 if len(labels) <= _NUMBERED else 6
    shown = [short(label) for label in labels]
    axes.set_xticks(range(len(labels)), shown, rotation=90, fontsize=fontsize)
    axes.set_yticks(range(len(labels)), shown, fontsize=fontsize)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("actual class")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.7, aspect=25)
    bar.set_label("share of the actual class (%)")
    bar.outline.set_visible(False)
    headline(figure, f"What {mode} takes for what")
    return figure


@drawn
def time_spent(cells: pd.DataFrame) -> Figure:
    """Seconds of each mode's cells: training, and everything around it.

    Args:
        cells: a row a cell with ``norm``, ``train_seconds``, ``total_seconds``, ``device``, ``precision``.
    """
    names = list(dict.fromkeys(cells["norm"]))
    shades = colours(names)
    figure = Figure(figsize=(7.5, 1.5 + 0.42 * len(names)))
    axes = figure.subplots()
    grouped = cells.groupby("norm", sort=False)[["train_seconds", "total_seconds"]]
    medians, sums = grouped.median(), grouped.sum()
    for height, name in enumerate(reversed(names)):
        train, total = medians.loc[name, "train_seconds"], medians.loc[name, "total_seconds"]
        axes.barh(height, train, height=0.6, color=shades[name], alpha=0.75)
        axes.barh(height, total - train, left=train, height=0.6, color=MUTED, alpha=0.45)
        own = cells.loc[cells["norm"] == name, "total_seconds"]
        axes.plot(own, np.full(len(own), height), "|", color=INK, markersize=9)
        outside(axes, height, f"{total:.0f} s a cell, {sums.loc[name, 'total_seconds'] / 60:.1f} min in all")
    axes.set_yticks(range(len(names)), names[::-1])
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds a cell (median); colour: epochs, grey: start, reading, writing; a tick is a cell")
    axes.grid(axis="y", visible=False)
    where = ", ".join(f"{device} in {precision}" for device, precision in sorted(_kinds(cells)))
    headline(figure, f"Where the time went ({where})")
    return figure


@drawn
def value_histograms(values: dict[str, np.ndarray], edges: dict[str, np.ndarray], units: dict[str, str]) -> Figure:
    """What the network is given: the distribution of its input's values, a panel a mode.

    Args:
        values: for each mode, the share of values in each bin ``[bins]``.
        edges: for each mode, the bins' edges ``[bins + 1]``.
        units: for each mode, what its values are measured in.
    """
    names = list(values)
    shades = colours(names)
    columns = min(3, len(names))
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(1.0 + 2.4 * columns, 0.9 + 1.6 * rows))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(panels, names, strict=False):
        axes.stairs(100 * values[name], edges[name], fill=True, color=shades[name], alpha=0.55)
        axes.set_title(name)
        axes.set_xlabel(units[name])
        axes.grid(axis="x", visible=False)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    figure.supylabel("share of the values (%)", fontsize=9, color=INK)
    headline(figure, "What the network is given: the values of its input by mode")
    return figure


@drawn
def survival(rows: pd.DataFrame) -> Figure:
    """How much of each mode is left behind the first normalisation layer.

    Args:
        rows: a row an effect, named by the index, with ``effect_``, ``padded_`` and ``padding_`` ``inside`` and
            ``border``, in deviations of the layer's output.
    """
    figure = Figure(figsize=(7.5, 1.7 + 0.5 * len(rows)))
    axes = figure.subplots()
    kinds = {
        "effect_inside": ("o", INK, INK, "inside"),
        "effect_border": ("s", INK, INK, "at the border"),
        "padded_inside": ("o", MUTED, "none", "inside, padded with the mean"),
        "padded_border": ("s", MUTED, "none", "at the border, padded with the mean"),
        "padding_inside": ("+", MUTED, MUTED, "the padding alone, inside"),
        "padding_border": ("x", MUTED, MUTED, "the padding alone, at the border"),
    }
    least = 1e-5
    for kind, (marker, shade, face, label) in kinds.items():
        heights = np.arange(len(rows))[::-1] + (0.14 if kind.endswith("inside") else -0.14)
        values = np.maximum(rows[kind].astype(float), least)
        axes.plot(values, heights, marker, color=shade, markersize=6.5, markerfacecolor=face, label=label)
    axes.set_xscale("log")
    axes.set_xlim(least, 5)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_yticks(range(len(rows)), list(rows.index)[::-1])
    axes.set_xlabel("difference behind the first normalisation layer (its deviations, root mean square)")
    axes.grid(axis="y", visible=False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    headline(figure, "What the first normalisation layer leaves of each mode")
    return figure


def _kinds(cells: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(cells["device"].astype(str), cells["precision"].astype(str), strict=True))


def _whisker(axes: Axes, height: float, low: float, high: float, colour: str) -> None:
    axes.plot([low, high], [height, height], color=colour, linewidth=1.8, solid_capstyle="butt")


def _band(axes: Axes, grouped: Any, colour: str, *, scale: float = 1.0, dashed: bool = False) -> None:
    mean, low, high = (scale * getattr(grouped, name)() for name in ("mean", "min", "max"))
    axes.fill_between(mean.index, low, high, color=colour, alpha=0.18, linewidth=0)
    style = (0, (3, 1.5)) if dashed else "-"
    axes.plot(mean, color=colour, linewidth=1.6, linestyle=style, marker="." if len(mean) == 1 else None)
