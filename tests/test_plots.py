"""The picture shows the numbers that it is given: read from its artists, not from its pixels."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from specnorm import plots
from tests.made_up import ROOT

VALUES = {"none": [0.5, 0.6, 0.7], "global": [0.8, 0.9, 1.0], "channel": [0.0, 0.25, 0.5]}


@pytest.fixture
def figure() -> Figure:
    return plots.accuracy_by_mode(table(VALUES), chance=0.02)


def table(values: dict[str, list[float]]) -> pd.DataFrame:
    rows = [{"norm": n, "fold": f, "accuracy": a} for n, own in values.items() for f, a in enumerate(own, start=1)]
    return pd.DataFrame(rows)


def dots(figure: Figure) -> list[list[float]]:
    """Each mode's dots on the axis of accuracies, from the bottom up."""
    return [list(map(float, line.get_xdata())) for line in figure.axes[0].lines if line.get_marker() == "o"]


def test_a_dot_a_cell_and_a_bar_a_mean(figure: Figure) -> None:
    (axes,) = figure.axes
    np.testing.assert_allclose(dots(figure), [[0, 25, 50], [80, 90, 100], [50, 60, 70]], rtol=1e-12)  # float64
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [25, 90, 60], rtol=1e-12)
    assert axes.get_xlim() == (0, 100)  # bars that start elsewhere exaggerate


def test_the_first_mode_is_on_top_and_every_dot_lies_on_its_bar(figure: Figure) -> None:
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["channel", "global", "none"]
    lines = [line for line in axes.lines if line.get_marker() == "o"]
    for line, bar in zip(lines, axes.patches, strict=True):
        heights = np.asarray(line.get_ydata())
        assert (heights > bar.get_y()).all()
        assert (heights < bar.get_y() + bar.get_height()).all()
        assert len(set(heights)) == 3  # equal accuracies stay two dots


def test_words_and_units(figure: Figure) -> None:
    (axes,) = figure.axes
    assert axes.get_xlabel() == "accuracy on the held-out fold (%)"
    assert "Accuracy by normalisation mode" in figure.get_suptitle()
    assert {text.get_text() for text in axes.texts} == {"60.0", "90.0", "25.0", "mean", "chance"}


def test_chance_is_a_dashed_line(figure: Figure) -> None:
    (line,) = (line for line in figure.axes[0].lines if line.get_linestyle() == "--")
    assert list(line.get_xdata()) == [2, 2]


@pytest.mark.parametrize("modes", [1, 4, 7])
def test_no_words_overlap_or_leave_the_picture(modes: int) -> None:
    values = {f"a_mode_of_some_length_{index}": [0.99, 1.0] for index in range(modes)}
    figure = plots.accuracy_by_mode(table(values), chance=0.1)
    figure.savefig(io.BytesIO(), format="png")
    (axes,) = figure.axes
    words = [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label, *figure.texts]
    boxes = [(word.get_text(), word.get_window_extent()) for word in words if word.get_text()]
    assert len(boxes) > 6
    for index, (one, box) in enumerate(boxes):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1, one
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1, one
        for other, another in boxes[index + 1 :]:
            assert not box.overlaps(another), (one, other)


def test_one_cell_lies_on_the_middle_of_its_bar() -> None:
    (axes,) = plots.accuracy_by_mode(table({"global": [0.5]}), chance=0.1).axes
    (line,) = (line for line in axes.lines if line.get_marker() == "o")
    assert list(line.get_ydata()) == [0]


def test_a_mode_has_one_colour_everywhere_and_shipped_modes_have_their_own() -> None:
    shipped = {path.stem for path in (ROOT / "conf/norm").glob("*.yaml")} & set(plots.COLOURS)
    assert {"none", "waveform", "global", "channel", "global_raw", "channel_raw"} <= shipped
    assert len({to_rgb(plots.colour(mode)) for mode in shipped}) == len(shipped)
    assert plots.colour("unheard_of") not in plots.COLOURS.values()
    (axes,) = plots.accuracy_by_mode(table(VALUES), chance=0.1).axes
    colours = [to_rgb(line.get_color()) for line in axes.lines if line.get_marker() == "o"]
    assert colours == [to_rgb(plots.colour(mode)) for mode in ("channel", "global", "none")]


def test_the_same_numbers_give_the_same_file() -> None:
    files = []
    for _ in range(2):
        files.append(io.BytesIO())
        plots.accuracy_by_mode(table(VALUES), chance=0.1).savefig(files[-1], format="png")
    assert files[0].getvalue() == files[1].getvalue()
