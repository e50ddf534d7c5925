"""Pictures of a comparison: what each mode gives the network, what is left of that, and where the time went."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from specnorm.comparison.inputs import Inputs
from specnorm.report.panels import grid
from specnorm.report.picture import Picture, hover, listed
from specnorm.report.rows import Rows
from specnorm.report.style import INK, MUTED, colours, drawn, short

_LEAST = 1e-5  # of an effect: less is drawn there
# How the parts of an effect are drawn: marker, colour, face, and what they are.
_PARTS = {
    "effect_inside": ("o", INK, INK, "inside"),
    "effect_border": ("s", INK, INK, "at the border"),
    "padded_inside": ("o", MUTED, "none", "inside, padded with the mean"),
    "padded_border": ("s", MUTED, "none", "at the border, padded with the mean"),
    "padding_inside": ("+", MUTED, MUTED, "the padding alone, inside"),
    "padding_border": ("x", MUTED, MUTED, "the padding alone, at the border"),
}


@drawn
def time_spent(cells: pd.DataFrame, families: Mapping[str, str], *, narrow: bool = False) -> Picture:
    """Seconds of each mode's cells: training, and everything around it.

    Args:
        cells: a row a cell with ``norm``, ``fold``, ``seed``, ``train_seconds``, ``total_seconds``, ``device``,
            ``precision``.
        families: each mode's, of the whole comparison.
        narrow: whether for a phone.
    """
    names = list(dict.fromkeys(cells["norm"]))
    shades = colours(families)
    axis = "seconds a cell (median); colour: epochs, grey: start, reading, writing; a tick is a cell"
    rows = Rows(len(names), narrow=narrow, axis=axis)
    axes = rows.axes
    rows.head("a cell  (all cells)")
    for place, name in enumerate(names):
        own = cells[cells["norm"] == name]
        train, total = float(own["train_seconds"].median()), float(own["total_seconds"].median())
        bar = axes.barh(place, train, height=rows.thick, color=shades[name], alpha=0.75)[0]
        hover(bar, f"{name}: {train:.0f} s of epochs in the median cell")
        rest = axes.barh(place, total - train, left=train, height=rows.thick, color=MUTED, alpha=0.45)[0]
        hover(rest, f"{name}: {total - train:.0f} s of start, reading and writing in the median cell")
        for cell in own.to_dict("records"):
            (tick,) = axes.plot(cell["total_seconds"], place, "|", color=INK, markersize=9)
            hover(tick, f"{name}, fold {cell['fold']}, seed {cell['seed']}: {cell['total_seconds']:.0f} s")
        rows.say(place, name, f"{total:.0f} s  ({own['total_seconds'].sum() / 60:.1f} min)")
    axes.set_xlim(left=0)
    kinds = sorted(set(zip(cells["device"].astype(str), cells["precision"].astype(str), strict=True)))
    where = listed([f"{device} in {precision}" for device, precision in kinds])
    medians = cells.groupby("norm")["total_seconds"].median()
    spent = f"A cell took {medians.min():.0f} to {medians.max():.0f} s in the median"
    return Picture(
        rows.figure,
        f"Where the time went ({where})",
        f"Seconds of a cell by mode on {where}. {spent}, all {len(cells)} cells "
        f"{cells['total_seconds'].sum() / 60:.1f} min.",
    )


@drawn
def value_histograms(inputs: Inputs, families: Mapping[str, str], *, narrow: bool = False) -> Picture:
    """What the network is given: the distribution of its input's values, a panel a mode.

    Args:
        inputs: the clips as each mode hands them over.
        families: each mode's, of the whole comparison.
        narrow: whether for a phone.
    """
    shades = colours(families)
    figure, panels = grid(len(inputs.modes), 1.4, narrow=narrow)
    told = []
    for axes, mode in zip(panels, inputs.modes, strict=True):
        (shares, edges), unit = inputs.histogram(mode), inputs.unit(mode)
        told.append(f"{mode} from {edges[0]:.4g} to {edges[-1]:.4g} {unit}")
        hover(axes.stairs(100 * shares, edges, fill=True, color=shades[mode], alpha=0.55), told[-1])
        axes.set_title(short(mode))
        axes.set_xlabel(unit)
        axes.grid(axis="x", visible=False)
    figure.supylabel("share of the values (%)", fontsize=9, color=INK)
    return Picture(
        figure,
        "What the network is given: the values of its input by mode",
        f"Histograms of the network's input: {listed(told)}.",
    )


@drawn
def survival(effects: pd.DataFrame, *, narrow: bool = False) -> Picture:
    """How much of each mode is left behind the first normalisation layer.

    Args:
        effects: a row an effect, named by the index, with ``effect_``, ``padded_`` and ``padding_`` ``inside`` and
            ``border``, in deviations of the layer's output.
        narrow: whether for a phone.
    """
    axis = "difference behind the first normalisation layer (its deviations, root mean square)"
    rows = Rows(len(effects), narrow=narrow, tall=1.3, axis=axis)
    axes = rows.axes
    for kind, (marker, shade, face, label) in _PARTS.items():
        axes.plot([], [], marker, color=shade, markersize=6.5, markerfacecolor=face, label=label)
        for place, (name, own) in enumerate(effects.iterrows()):
            height = place + (-0.14 if kind.endswith("inside") else 0.14)
            value = max(float(own[kind]), _LEAST)  # a NaN stays one and is not drawn
            (mark,) = axes.plot(value, height, marker, color=shade, markersize=6.5, markerfacecolor=face)
            hover(mark, f"{name}, {label}: {float(own[kind]):.2g} deviations")
    for place, name in enumerate(effects.index):
        rows.say(place, str(name), "")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.5f}".rstrip("0").rstrip("."))
    axes.xaxis.set_minor_formatter("")
    axes.set_xlim(_LEAST, 5)
    rows.figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=1 if narrow else 3, fontsize=8
    )
    rows.grow(0.95 if narrow else 0.4)
    told = [f"{name} {float(inside):.2g}" for name, inside in effects["effect_inside"].items()]
    return Picture(
        rows.figure,
        "What the first normalisation layer leaves of each mode",
        f"Root mean square differences of the layer's output with and without each mode, in its deviations. Inside the "
        f"picture: {listed(told)}.",
    )
