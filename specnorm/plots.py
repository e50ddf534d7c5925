"""Pictures of a comparison."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

# Okabe and Ito's colour-blind-safe palette; a mode keeps its colour in every picture.
COLOURS = {
    "none": "#000000",
    "waveform": "#56B4E9",
    "global_raw": "#E69F00",
    "channel_raw": "#CC79A7",
    "global": "#D55E00",
    "channel": "#009E73",
}
_OTHER = "#0072B2"


def colour(mode: str) -> str:
    """The colour of a mode, the same everywhere."""
    return COLOURS.get(mode, _OTHER)


def accuracy_by_mode(cells: pd.DataFrame, *, chance: float) -> Figure:
    """Each cell's accuracy as a dot and each mode's mean as a bar, on one axis in per cent.

    Args:
        cells: a row a cell with ``norm``, ``fold`` and ``accuracy`` (0 to 1).
        chance: accuracy of guessing, 0 to 1, drawn as a dashed line.
    """
    modes = list(dict.fromkeys(cells["norm"]))
    figure = Figure(figsize=(7.5, 1.4 + 0.55 * len(modes)), dpi=150, layout="constrained")
    axes = figure.subplots()
    for height, mode in enumerate(reversed(modes)):
        values = 100 * cells.loc[cells["norm"] == mode, "accuracy"].to_numpy()
        axes.barh(height, values.mean(), height=0.7, color=colour(mode), alpha=0.35)
        # A cell keeps its height in every bar, the first on top, so that close dots stay apart and folds compare.
        heights = height + np.linspace(0.2, -0.2, len(values)) * (len(values) > 1)
        axes.plot(values, heights, "o", color=colour(mode), markersize=5, alpha=0.9, clip_on=False)
        axes.annotate(f"{values.mean():.1f}", (1.02, height), xycoords=("axes fraction", "data"), va="center")
    head = len(modes) - 0.5
    axes.annotate("mean", (1.02, head), xycoords=("axes fraction", "data"), fontsize=8, color="#555555")
    axes.axvline(100 * chance, color="#555555", linestyle="--", linewidth=1)
    axes.annotate(
        "chance", (100 * chance, head), xytext=(3, 0), textcoords="offset points", fontsize=8, color="#555555"
    )
    axes.set_ylim(-0.55, len(modes) - 0.15)
    axes.set_yticks(range(len(modes)), list(reversed(modes)))
    axes.set_xlim(0, 100)
    axes.set_xlabel("accuracy on the held-out fold (%)")
    figure.suptitle(
        "Accuracy by normalisation mode: a dot for each cell, a bar for their mean", x=0.01, ha="left", fontsize=10
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure
