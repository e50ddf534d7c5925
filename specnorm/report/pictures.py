"""Pictures of a comparison: what each mode confuses, what it gives the network, and where the time went."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from specnorm.report.style import INK, MUTED, colours, drawn, headline, outside, short

_LONGEST_EFFECT = 24  # letters of an effect's name that leave the axis as wide as its label
_NUMBERED = 12  # classes up to which a confusion matrix has its shares written in
# White to the blue of the palette: the same lightness in every mode's matrix, so that matrices compare.
_SHARES = LinearSegmentedColormap.from_list("shares", ["#f6f8fa", "#56B4E9", "#0072B2", "#08306b"])


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
                f"{shares[row, column]:.0f}",
                (column, row),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "#1f2329",  # on the colour map, which is the same on dark pages
            )
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
def time_spent(cells: pd.DataFrame, families: Mapping[str, str]) -> Figure:
    """Seconds of each mode's cells: training, and everything around it.

    Args:
        cells: a row a cell with ``norm``, ``train_seconds``, ``total_seconds``, ``device``, ``precision``.
        families: each mode's, of the whole comparison.
    """
    names = list(dict.fromkeys(cells["norm"]))
    shades = colours(families)
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
def value_histograms(
    values: Mapping[str, np.ndarray],
    edges: Mapping[str, np.ndarray],
    units: Mapping[str, str],
    families: Mapping[str, str],
) -> Figure:
    """What the network is given: the distribution of its input's values, a panel a mode.

    Args:
        values: for each mode, the share of values in each bin ``[bins]``.
        edges: for each mode, the bins' edges ``[bins + 1]``.
        units: for each mode, what its values are measured in.
        families: each mode's, of the whole comparison.
    """
    names = list(values)
    shades = colours(families)
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
    beyond = max(
        0, max(len(str(name)) for name in rows.index) - _LONGEST_EFFECT
    )  # letters that the axes would shrink by
    figure = Figure(figsize=(7.5 + 0.09 * beyond, 1.7 + 0.5 * len(rows)))
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
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
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
