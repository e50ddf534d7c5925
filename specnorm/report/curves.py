"""The picture of how each mode learns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from specnorm.comparison.metrics import points
from specnorm.report.panels import by_family, columns_of, share_height
from specnorm.report.picture import Picture, hover, listed
from specnorm.report.style import GRID, INK, colours, drawn, short, width

_PANEL, _NAME = 1.45, 0.15  # heights in inches: of a panel, and of a mode's name above it
_TALLEST = 11.5  # inches, of all panels and the names above them
_DASHED = (0, (3, 1.5))


@drawn
def training_curves(curves: pd.DataFrame, families: Mapping[str, str], *, narrow: bool = False) -> Picture:
    """Loss below accuracy by epoch: means over a mode's cells, in a panel a mode, or a panel a family of many.

    Alone in its panel a mode has bands from its lowest cell to its highest, and the loss in training.

    Args:
        curves: a row a cell and epoch with ``norm``, ``epoch``, ``train_loss``, ``valid_loss``, ``valid_accuracy``.
        families: each mode's.
        narrow: whether for a phone.
    """
    names = list(dict.fromkeys(curves["norm"]))
    groups = by_family({name: families[name] for name in names})
    shades, by_mode = colours(families), {name: own.groupby("epoch") for name, own in curves.groupby("norm")}
    columns = columns_of(len(groups), narrow=narrow)
    rows = math.ceil(len(groups) / columns)
    tallest = [max(map(len, list(groups.values())[row * columns :][:columns])) for row in range(rows)]
    names_above = _NAME * (sum(tallest) + rows)
    panel = min(_PANEL, (_TALLEST - names_above) / (2 * rows))
    figure = Figure(figsize=(width(narrow=narrow), 0.5 + names_above + 2 * panel * rows))
    panels = figure.subplots(2 * rows, columns, sharex=True, sharey="row", squeeze=False)
    uppers, lowers = panels[0::2].ravel(), panels[1::2].ravel()
    for (group, modes), upper, lower in zip(groups.items(), uppers, lowers, strict=False):
        for other in set(names) - set(modes):
            upper.plot(100 * by_mode[other]["valid_accuracy"].mean(), color=GRID, linewidth=0.8, zorder=1)
            lower.plot(by_mode[other]["valid_loss"].mean(), color=GRID, linewidth=0.8, zorder=1)
        for mode in modes:
            own, alone = by_mode[mode], len(groups) == len(names)
            _line(upper, 100 * own["valid_accuracy"].mean(), shades[mode], f"{mode}, held-out accuracy", "%")
            _line(lower, own["valid_loss"].mean(), shades[mode], f"{mode}, held-out loss", "nats")
            if alone:
                _line(lower, own["train_loss"].mean(), shades[mode], f"{mode}, training loss", "nats", dashed=True)
                _band(upper, own["valid_accuracy"], shades[mode], scale=100)
                _band(lower, own["valid_loss"], shades[mode])
                _band(lower, own["train_loss"], shades[mode])
        _name(upper, group, modes, shades)
        upper.tick_params(labelbottom=False)
        lower.tick_params(labelbottom=True)
        lower.set_xlabel("epoch")
    for axes in panels.ravel():
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    epochs = int(curves["epoch"].max())
    panels[0, 0].set_xlim(1 - 0.02 * epochs, epochs + 0.02 * epochs)
    for upper, lower in zip(panels[0::2, 0], panels[1::2, 0], strict=True):
        upper.set_ylabel("accuracy (%)")
        lower.set_ylabel("loss (nats)")
        lower.set_ylim(bottom=0)
    share_height(panels[0::2, 0])
    share_height(panels[1::2, 0])
    for unused in (*uppers[len(groups) :], *lowers[len(groups) :]):
        unused.set_visible(False)
    _legend(figure, panels[1, 0], training=len(groups) == len(names))
    return Picture(figure, "How the modes learn", _alt(curves, names, epochs))


def _line(axes: Axes, mean: Any, colour: str, what: str, unit: str, *, dashed: bool = False) -> None:
    alone = "." if len(mean) == 1 else None  # a line through one point is none
    (line,) = axes.plot(mean, color=colour, linewidth=1.6, linestyle=_DASHED if dashed else "-", marker=alone)
    last = f"{mean.iloc[-1]:.1f}" if unit == "%" else f"{mean.iloc[-1]:.3f}"
    hover(line, f"{what}: {last} {unit} after epoch {mean.index[-1]}")


def _band(axes: Axes, grouped: Any, colour: str, *, scale: float = 1.0) -> None:
    low, high = scale * grouped.min(), scale * grouped.max()
    axes.fill_between(low.index, low, high, color=colour, alpha=0.18, linewidth=0)


def _name(axes: Axes, group: str, modes: list[str], shades: Mapping[str, str]) -> None:
    """Above a panel: its mode, or a family and a line in its colour for each mode of it."""
    if modes == [group]:
        axes.set_title(short(group))
        return
    lines = [axes.plot([], [], color=shades[mode], label=short(mode))[0] for mode in modes]
    axes.legend(
        handles=lines,
        title=short(group),
        title_fontsize=10,
        alignment="left",
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
        borderpad=0,
        handlelength=1.2,
        labelspacing=0.15,
        fontsize=7.5,
    )


def _legend(figure: Figure, axes: Axes, *, training: bool) -> None:
    lines = axes.plot([], color=INK, label="held out")
    if training:
        lines += axes.plot([], color=INK, linestyle=_DASHED, label="training")
    lines += axes.plot([], color=GRID, label="the other modes")
    figure.legend(handles=lines, loc="outside lower center", ncols=3, fontsize=8)


def _alt(curves: pd.DataFrame, names: list[str], epochs: int) -> str:
    last = curves[curves["epoch"] == epochs].groupby("norm")["valid_accuracy"].mean()
    told = [f"{name} {points(last[name]):.1f} %" for name in names]
    return f"Held-out accuracy and loss by epoch, means over each mode's cells. After epoch {epochs}: {listed(told)}."
