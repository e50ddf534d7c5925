"""Pictures of squares: what is taken for what, and where modes gain and lose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from specnorm.comparison.checked import TOLD
from specnorm.report.picture import Picture, hover, listed
from specnorm.report.style import BETTER, GRID, INK, NARROW, PAPER, WORSE, drawn, short, width

_NUMBERED = 12  # classes up to which the shares are written in, and one size of picture is enough
_READABLE = 20  # classes that a narrow picture can name
_SOME = 40  # of more classes than the table tells whole, a wide picture has so many
_SEEN = 0.005  # of a class: smaller shares, which would be written as 0 %, are left out
_SAID = 40  # letters of a label in a sentence
_CURVE = 0.6  # opacity is this power of a share, so that a few per cent are seen


def is_one_size(labels: Sequence[str]) -> bool:
    """Whether the matrix of these classes is the same on a phone as elsewhere."""
    return len(labels) <= _NUMBERED


@drawn
def confusion(table: pd.DataFrame, mode: str, labels: list[str], *, narrow: bool = False) -> Picture:
    """One mode's confusion matrix, each row in per cent of its class.

    Of many classes a narrow picture, and of very many a wide one, has those that are confused the most.

    Args:
        table: a row a mode, actual and predicted class with ``norm``, ``actual``, ``predicted``, ``share`` (0 to 1).
        mode: which.
        labels: the classes in their order.
        narrow: whether for a phone.
    """
    shares, said_of = _shares(table, mode, labels), [short(label, _SAID) for label in labels]
    chosen = _most(shares, narrow=narrow)
    figure, axes = _matrix([labels[index] for index in chosen], narrow=narrow)
    for row, actual in enumerate(chosen):
        for column, predicted in enumerate(chosen):
            share = shares[actual, predicted]
            if share >= _SEEN:
                said = f"{said_of[actual]} taken for {said_of[predicted]}: {100 * share:.0f} %"
                _square(axes, row, column, BETTER, share, said)
                if is_one_size(labels):
                    _number(axes, row, column, share, f"{100 * share:.0f}")
    right = np.diag(shares)
    best, worst = (said_of[int(place)] for place in (right.argmax(), right.argmin()))
    return Picture(
        figure,
        f"What {mode} takes for what{_some(chosen, labels)}",
        f"Confusion matrix of {mode}, rows in per cent of the actual class. Right most often: {best} "
        f"({100 * right.max():.0f} %); least often: {worst} ({100 * right.min():.0f} %).",
    )


@drawn
def confusion_differences(
    table: pd.DataFrame, mode: str, baseline: str, labels: list[str], *, narrow: bool = False
) -> Picture:
    """One mode's confusion matrix less the baseline's, in points of the actual class.

    Blue is better, which is more on the diagonal and less beside it; orange is worse.

    Args:
        table: as :func:`confusion` has it.
        mode: which.
        baseline: which it is held against.
        labels: the classes in their order.
        narrow: whether for a phone.
    """
    change = _shares(table, mode, labels) - _shares(table, baseline, labels)
    said_of = [short(label, _SAID) for label in labels]
    chosen = _most(change, narrow=narrow)
    figure, axes = _matrix([labels[index] for index in chosen], narrow=narrow)
    scale = float(np.abs(change).max()) or 1.0
    for row, actual in enumerate(chosen):
        for column, predicted in enumerate(chosen):
            value = change[actual, predicted]
            if abs(value) >= _SEEN:
                good = (value > 0) == (actual == predicted)
                said = f"{said_of[actual]} taken for {said_of[predicted]}: {100 * value:+.0f} points"
                _square(axes, row, column, BETTER if good else WORSE, abs(value) / scale, said)
                if is_one_size(labels):
                    _number(axes, row, column, abs(value) / scale, f"{100 * value:+.0f}")
    right = np.diag(change)
    return Picture(
        figure,
        f"What {mode} takes for what, less {baseline}{_some(chosen, labels)}",
        f"Confusion matrix of {mode} less that of {baseline}, in points of the actual class: blue is better, orange "
        f"worse. Of {len(labels)} classes {int((right >= _SEEN).sum())} are right more often and "
        f"{int((right <= -_SEEN).sum())} less often.",
    )


@drawn
def classes(table: pd.DataFrame, *, narrow: bool = False) -> Picture:
    """Where each mode gains (blue) and loses (orange) against the baseline: a row a class, a column a mode.

    Args:
        table: a row a mode and class with ``norm``, ``baseline``, ``label``, ``difference``, ``low``, ``high``,
            ``marked``; a dot is on the squares of those that are marked.
        narrow: whether for a phone.
    """
    whole = table
    table, some = most_different(table)
    modes, labels = list(dict.fromkeys(table["norm"])), list(dict.fromkeys(table["label"]))
    across, down = {name: place for place, name in enumerate(modes)}, {name: place for place, name in enumerate(labels)}
    figure = Figure(figsize=(width(narrow=narrow), 1.5 + 0.17 * len(labels)))
    axes = figure.subplots()
    scale = float(table["difference"].abs().max()) or 1.0
    for cell in table.to_dict("records"):
        value, mode, label = cell["difference"], cell["norm"], cell["label"]
        row, column = down[label], across[mode]
        interval = f"({100 * cell['low']:+.0f} to {100 * cell['high']:+.0f})"
        said = f"{mode}, {short(label, _SAID)}: {100 * value:+.0f} points {interval}"
        if value:
            _square(axes, row, column, BETTER if value > 0 else WORSE, abs(value) / scale, said)
        if cell["marked"]:
            hover(axes.plot(column, row, "o", color=INK, markersize=3.5)[0], said)
    _label(axes, labels, modes, size=7.5)
    return Picture(figure, class_title(whole) + some, class_alt(whole))


def most_different(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows of the classes to draw, and what a title says of it: of very many classes those that differ the most.

    Args:
        table: a row a mode and class with ``label``, ``difference`` and ``marked``.
    """
    labels = list(dict.fromkeys(table["label"]))
    if len(labels) <= TOLD:
        return table, ""
    by_class = table.assign(size=table["difference"].abs()).groupby("label")[["marked", "size"]].max()
    chosen = by_class.sort_values(["marked", "size"], ascending=False, kind="stable").index[:_SOME]
    return table[table["label"].isin(chosen)], f": the {_SOME} of {len(labels)} classes that differ the most"


def class_title(table: pd.DataFrame) -> str:
    """Of a picture of how classes fare under each mode."""
    marked, baseline = int(table["marked"].sum()), table["baseline"].iloc[0]
    what = f"{marked} of {len(table)} differences stand" if marked else "no difference stands"
    return f"Which classes gain and lose against {baseline}: {what} after correction"


def class_alt(table: pd.DataFrame) -> str:
    """The same for those who cannot see it."""
    rows = table[table["marked"].astype(bool)].to_dict("records")
    told = [f"{row['norm']} with {short(row['label'], _SAID)} ({100 * row['difference']:+.0f} points)" for row in rows]
    found = f"Marked are {listed(told)}." if told else "None is marked."
    count, modes = table["label"].nunique(), listed(list(dict.fromkeys(table["norm"])))
    return (
        f"Share of each class's clips that are right, less that of {table['baseline'].iloc[0]}, for {count} classes "
        f"and {modes}. {found}"
    )


def _shares(table: pd.DataFrame, mode: str, labels: list[str]) -> NDArray[np.float64]:
    """``[actual, predicted]``, 0 where a class was never held out."""
    own = table[table["norm"] == mode].pivot_table(index="actual", columns="predicted", values="share")
    return np.asarray(own.reindex(index=labels, columns=labels).fillna(0).to_numpy(), np.float64)


def _most(values: NDArray[np.float64], *, narrow: bool) -> list[int]:
    """Which classes to draw, in their order: those with the most beside the diagonal, where all cannot be named."""
    beside = np.abs(values - np.diag(np.diag(values)))
    weight = beside.sum(axis=0) + beside.sum(axis=1)
    most = _READABLE if narrow else len(values) if len(values) <= TOLD else _SOME
    return sorted(np.argsort(-weight, kind="stable")[:most].tolist())


def _some(chosen: list[int], labels: list[str]) -> str:
    return f": the {len(chosen)} of {len(labels)} classes with most of it" if len(chosen) < len(labels) else ""


def _matrix(labels: list[str], *, narrow: bool) -> tuple[Figure, Axes]:
    size = NARROW if is_one_size(labels) else width(narrow=narrow)
    figure = Figure(figsize=(size, size + (0.1 if is_one_size(labels) else 0.0)))
    axes = figure.subplots()
    axes.set_aspect("equal")
    _label(axes, labels, labels, size=8 if is_one_size(labels) else 7)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("actual class")
    return figure, axes


def _label(axes: Axes, rows: list[str], columns: list[str], *, size: float) -> None:
    axes.set_xticks(range(len(columns)), [short(label) for label in columns], rotation=90, fontsize=size)
    axes.set_yticks(range(len(rows)), [short(label) for label in rows], fontsize=size)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    # Two artists, where a minor tick for each line would be hundreds.
    across, down = np.arange(len(columns) + 1) - 0.5, np.arange(len(rows) + 1) - 0.5
    for lines in (axes.vlines(across, down[0], down[-1]), axes.hlines(down, across[0], across[-1])):
        lines.set(color=GRID, linewidth=0.4, zorder=0, in_layout=False)


def _square(axes: Axes, row: int, column: int, colour: str, strength: float, said: str) -> None:
    alpha = round(max(0.06, min(1.0, strength) ** _CURVE), 2)
    square = Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=colour, alpha=alpha, linewidth=0)
    square.set_clip_on(False)
    square.set_in_layout(False)  # it lies within the axes: asking each of thousands takes longer than drawing them
    axes.add_artist(square)
    hover(square, said)


def _number(axes: Axes, row: int, column: int, strength: float, text: str) -> None:
    axes.annotate(text, (column, row), ha="center", va="center", fontsize=7, color=PAPER if strength > 0.75 else INK)
