"""The picture of how each mode learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from specnorm.report.panels import name_family, rows_of, share_height
from specnorm.report.style import GRID, INK, colours, drawn, headline


@drawn
def training_curves(curves: pd.DataFrame, families: Mapping[str, str]) -> Figure:
    """Loss below accuracy by epoch, a column a mode: mean over its cells, a band from the lowest to the highest.

    Args:
        curves: a row a cell and epoch with ``norm``, ``epoch``, ``train_loss``, ``valid_loss``, ``valid_accuracy``.
        families: each mode's; many modes stand family by family, on several rows with the same axes.
    """
    names = list(dict.fromkeys(curves["norm"]))
    shades = colours(families)
    rows = rows_of({name: families[name] for name in names})
    columns = max(len(row) for row in rows)
    figure = Figure(figsize=(max(4.5, 1.2 + 1.75 * columns), 0.7 + 3.9 * len(rows)))
    panels = figure.subplots(2 * len(rows), columns, sharex=True, sharey="row", squeeze=False)
    by_mode = {name: own.groupby("epoch") for name, own in curves.groupby("norm", sort=False)}
    for place, row in enumerate(rows):
        uppers, lowers = panels[2 * place], panels[2 * place + 1]
        for upper, lower, name in zip(uppers, lowers, row, strict=False):
            own = by_mode[name]
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
            if len(rows) > 1:
                name_family(upper, name, row, families)
                lower.tick_params(labelbottom=True)
        uppers[0].set_ylabel("held-out accuracy (%)")
        lowers[0].set_ylabel("loss (nats)")
        lowers[0].set_ylim(bottom=0)
        for unused in (*uppers[len(row) :], *lowers[len(row) :]):
            unused.set_visible(False)
    share_height(panels[0::2, 0])
    share_height(panels[1::2, 0])
    panels[1, 0].plot([], color=INK, label="held out")
    panels[1, 0].plot([], color=INK, linestyle=(0, (3, 1.5)), label="training")
    figure.legend(*panels[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    headline(figure, "How each mode learns: mean over its cells, band from the lowest to the highest; grey: the others")
    return figure


def _band(axes: Axes, grouped: Any, colour: str, *, scale: float = 1.0, dashed: bool = False) -> None:
    mean, low, high = (scale * getattr(grouped, name)() for name in ("mean", "min", "max"))
    axes.fill_between(mean.index, low, high, color=colour, alpha=0.18, linewidth=0)
    style = (0, (3, 1.5)) if dashed else "-"
    axes.plot(mean, color=colour, linewidth=1.6, linestyle=style, marker="." if len(mean) == 1 else None)
