"""Pictures of a comparison."""

from __future__ import annotations

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
    figure = Figure(figsize=(7.5, 1.6 + 0.55 * len(modes)), dpi=150, layout="constrained")
    axes = figure.subplots()
    for height, mode in enumerate(reversed(modes)):
        values = 100 * cells.loc[cells["norm"] == mode, "accuracy"].to_numpy()
        axes.barh(height, values.mean(), height=0.6, color=colour(mode), alpha=0.35)
        axes.plot(values, [height] * len(values), "o", color=colour(mode), markersize=5, alpha=0.9)
        axes.annotate(
            f"{values.mean():.1f}", (1.01, height), xycoords=("axes fraction", "data"), va="center", color="#333333"
        )
    axes.axvline(100 * chance, color="#777777", linestyle="--", linewidth=1)
    axes.annotate(
        "chance", (100 * chance, 1), xycoords=("data", "axes fraction"), xytext=(3, -3), textcoords="offset points",
        va="top", color="#777777", fontsize=8,
    )  # fmt: skip
    axes.set_yticks(range(len(modes)), list(reversed(modes)))
    axes.set_xlim(0, 100)
    axes.set_xlabel("accuracy on the held-out fold (%)")
    axes.set_title("Accuracy by normalisation mode: a dot a cell, a bar the mean", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
