"""The picture of how each class fares under each mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from specnorm.report import matrices
from specnorm.report.picture import Picture, hover
from specnorm.report.style import INK, PAPER, colours, drawn, short, width, wrapped

_PANELS = {False: 5, True: 2}  # side by side, with whiskers long enough to be read, in wide and narrow pictures


def class_differences(classes: pd.DataFrame, families: Mapping[str, str], *, narrow: bool = False) -> Picture:
    """Where each mode gains and loses against the baseline: intervals for few modes, squares for many.

    Args:
        classes: a row a mode and class with ``norm``, ``baseline``, ``label``, ``difference``, ``low``, ``high``,
            ``marked``: whether the difference stands after correction for the number of classes.
        families: each mode's, of the whole comparison.
        narrow: whether for a phone.
    """
    if classes["norm"].nunique() > _PANELS[narrow]:
        return matrices.classes(classes, narrow=narrow)
    return _forest(classes, families, narrow=narrow)


@drawn
def _forest(classes: pd.DataFrame, families: Mapping[str, str], *, narrow: bool) -> Picture:
    whole = classes
    classes, some = matrices.most_different(classes)
    names, labels = list(dict.fromkeys(classes["norm"])), list(dict.fromkeys(classes["label"]))
    shades, places = colours(families), {label: place for place, label in enumerate(labels)}
    figure = Figure(figsize=(width(narrow=narrow), 1.1 + 0.2 * len(labels)))
    panels = figure.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        axes.axvline(0, color=INK, linewidth=1)
        for row in classes[classes["norm"] == name].to_dict("records"):
            _mark(axes, places[row["label"]], row, shades[name])
        axes.set_title(short(name))
        axes.grid(axis="y", visible=False)
    panels[0].set_yticks(range(len(labels)), [short(label) for label in labels], fontsize=8 if len(labels) < 30 else 7)
    panels[0].set_ylim(len(labels) - 0.3, -0.7)
    said = f"clips of the class that are right, less {classes['baseline'].iloc[0]} (points)"
    figure.supxlabel(wrapped(figure, said, 13), fontsize=9, color=INK)
    return Picture(figure, matrices.class_title(whole) + some, matrices.class_alt(whole))


def _mark(axes: Axes, place: int, row: Mapping[Any, Any], shade: str) -> None:
    value, low, high = (100 * row[part] for part in ("difference", "low", "high"))
    said = f"{row['norm']}, {short(row['label'], 40)}: {value:+.0f} points ({low:+.0f} to {high:+.0f})"
    hover(axes.plot([low, high], [place, place], color=shade, linewidth=1.6, solid_capstyle="butt")[0], said)
    face = shade if row["marked"] else PAPER
    hover(axes.plot(value, place, "o", color=shade, markersize=4.5, markerfacecolor=face)[0], said)
