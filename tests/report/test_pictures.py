"""Pictures show the numbers that they are given: read from their artists, not from their pixels."""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from specnorm.report import curves, intervals, pictures, style
from tests.report import twenty

VALUES = {"none": [0.5, 0.6, 0.7], "global": [0.8, 0.9, 1.0], "channel": [0.0, 0.25, 0.5]}
FAMILIES = {"none": "identity", "global": "fitted", "channel": "fitted"}


def modes(values: dict[str, list[float]]) -> pd.DataFrame:
    rows = [{"norm": norm, "mean": np.mean(own), "low": min(own), "high": max(own)} for norm, own in values.items()]
    return pd.DataFrame(rows)


def cells(values: dict[str, list[float]]) -> pd.DataFrame:
    rows = [
        {
            "norm": norm,
            "fold": fold,
            "accuracy": accuracy,
            "train_seconds": 60.0 + fold,
            "total_seconds": 65.0 + fold,
            "device": "cpu",
            "precision": "bf16",
        }
        for norm, own in values.items()
        for fold, accuracy in enumerate(own, start=1)
    ]
    return pd.DataFrame(rows)


def pairs(count: int = 2, **changes: object) -> pd.DataFrame:
    rows = [
        {
            "one": f"mode_{index}",
            "other": "none",
            "accuracy_difference": 0.02,
            "accuracy_low": -0.01,
            "accuracy_high": 0.05,
            "p_adjusted": 0.2,
            "detectable": 0.06,
            "distinguishable": False,
        }
        for index in range(count)
    ]
    rows[0] |= {
        "one": "global",
        "accuracy_difference": 0.1,
        "accuracy_low": 0.04,
        "p_adjusted": 0.0002,
        "accuracy_high": 0.15,
        "distinguishable": True,
        **changes,
    }
    return pd.DataFrame(rows)


def epochs() -> pd.DataFrame:
    rows = [
        {
            "norm": norm,
            "fold": fold,
            "epoch": epoch,
            "train_loss": 2 / epoch,
            "valid_loss": 2 / epoch + 0.1 * fold,
            "valid_accuracy": 0.1 * epoch + 0.01 * fold,
        }
        for norm in VALUES
        for fold in (1, 2, 3)
        for epoch in (1, 2, 3, 4)
    ]
    return pd.DataFrame(rows)


def classes(labels: list[str]) -> pd.DataFrame:
    rows = [
        {
            "norm": norm,
            "baseline": "none",
            "target": target,
            "label": label,
            "clips": 8,
            "difference": 0.25,
            "low": 0.1 if target == 0 else -0.1,
            "high": 0.5,
        }
        for norm in ("global", "channel")
        for target, label in enumerate(labels)
    ]
    return pd.DataFrame(rows)


def confusions(labels: list[str]) -> pd.DataFrame:
    rows = [
        {
            "norm": "none",
            "actual": actual,
            "predicted": predicted,
            "clips": 4,
            "share": 0.75 if actual == predicted else 0.25 / (len(labels) - 1),
        }
        for actual in labels
        for predicted in labels
    ]
    return pd.DataFrame(rows)


def survivals() -> pd.DataFrame:
    names = [f"{what}_{place}" for what in ("effect", "padded", "padding") for place in ("inside", "border")]
    rows = [[0.05, 0.9, 0.0, 0.0002, 0.06, 1.0], [0.2, 0.5, 0.2, 0.3, 0.06, 1.0]]
    return pd.DataFrame(rows, ["global against a", "b against a"], names)


LABELS = ["cat", "dog", "rain"]
QUARTERS, EDGES = np.full(4, 0.25), np.arange(5.0)
PICTURES: dict[str, Callable[[], Figure]] = {
    "accuracy": lambda: intervals.accuracy(modes(VALUES), cells(VALUES), FAMILIES, chance=0.02),
    "differences": lambda: differences(pairs(3)),
    "training_curves": lambda: curves.training_curves(epochs(), FAMILIES),
    "class_differences": lambda: intervals.class_differences(classes(LABELS), FAMILIES),
    "confusion": lambda: pictures.confusion(confusions(LABELS), "none", LABELS),
    "time_spent": lambda: pictures.time_spent(cells(VALUES), FAMILIES),
    "value_histograms": lambda: pictures.value_histograms(
        dict.fromkeys(("none", "global"), QUARTERS),
        dict.fromkeys(("none", "global"), EDGES),
        {"none": "dB", "global": "normalised level"},
        FAMILIES,
    ),
    "survival": lambda: pictures.survival(survivals()),
}
TWENTY: dict[str, Callable[[], Figure]] = {
    "accuracy": lambda: intervals.accuracy(twenty.modes(), twenty.cells(), twenty.FAMILIES, chance=0.1),
    "differences": lambda: intervals.differences(
        twenty.pairs().query("other == 'none'"), twenty.FAMILIES, title="Differences from none"
    ),
    "training_curves": lambda: curves.training_curves(twenty.curves(), twenty.FAMILIES),
    "class_differences": lambda: intervals.class_differences(twenty.classes(), twenty.FAMILIES),
    "time_spent": lambda: pictures.time_spent(twenty.cells(), twenty.FAMILIES),
    "value_histograms": lambda: pictures.value_histograms(
        dict.fromkeys(twenty.FAMILIES, QUARTERS),
        dict.fromkeys(twenty.FAMILIES, EDGES),
        dict.fromkeys(twenty.FAMILIES, "dB"),
        twenty.FAMILIES,
    ),
    "survival": lambda: pictures.survival(twenty.survivals()),
}


@functools.cache
def drawn(name: str) -> Figure:
    """A figure that has been laid out, which takes seconds where there are twenty modes; nobody changes it."""
    figure = (TWENTY[name.removeprefix("20 ")] if name.startswith("20 ") else PICTURES[name])()
    figure.draw_without_rendering()
    return figure


def differences(table: pd.DataFrame) -> Figure:
    families = dict.fromkeys([*table["one"], *table["other"]], "a family")
    return intervals.differences(table, families, title="Differences between modes")


def dots(figure: Figure) -> list[list[float]]:
    """Each mode's dots on the axis of accuracies, from the bottom up."""
    return [list(map(float, line.get_xdata())) for line in figure.axes[0].lines if line.get_marker() == "o"]


def test_a_dot_a_cell_a_bar_a_mean_and_a_line_an_interval() -> None:
    figure = PICTURES["accuracy"]()
    (axes,) = figure.axes
    np.testing.assert_allclose(dots(figure), [[0, 25, 50], [80, 90, 100], [50, 60, 70]], rtol=1e-12)  # float64
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [25, 90, 60], rtol=1e-12)
    intervals = [
        list(line.get_xdata()) for line in axes.lines if line.get_marker() == "None" and len(line.get_xdata()) == 2
    ]
    np.testing.assert_allclose(intervals[:3], [[0, 50], [80, 100], [50, 70]], rtol=1e-12)
    assert axes.get_xlim() == (0, 100)  # bars that start elsewhere exaggerate
    assert "60.0  (50.0 to 70.0)" in {text.get_text() for text in axes.texts}


def test_the_first_mode_is_on_top_and_every_dot_lies_on_its_bar() -> None:
    (axes,) = PICTURES["accuracy"]().axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["channel", "global", "none"]
    lines = [line for line in axes.lines if line.get_marker() == "o"]
    for line, bar in zip(lines, axes.patches, strict=True):
        heights = np.asarray(line.get_ydata())
        assert (heights > bar.get_y()).all()
        assert (heights < bar.get_y() + bar.get_height()).all()
        assert len(set(heights)) == 3  # equal accuracies stay two dots


def test_chance_is_a_dashed_line() -> None:
    (line,) = (line for line in PICTURES["accuracy"]().axes[0].lines if line.get_linestyle() == "--")
    assert list(line.get_xdata()) == [2, 2]


def test_one_cell_lies_on_the_middle_of_its_bar() -> None:
    one = {"global": [0.5]}
    (axes,) = intervals.accuracy(modes(one), cells(one), FAMILIES, chance=0.1).axes
    (line,) = (line for line in axes.lines if line.get_marker() == "o")
    assert list(line.get_ydata()) == [0]


def test_a_difference_that_stands_is_filled_and_the_others_are_not() -> None:
    (axes,) = PICTURES["differences"]().axes
    markers = [line for line in axes.lines if line.get_marker() == "o"]
    assert [to_rgb(line.get_markerfacecolor()) == to_rgb(line.get_color()) for line in markers] == [False, False, True]
    assert [float(line.get_xdata()[0]) for line in markers] == pytest.approx([2, 2, 10])
    assert [label.get_text() for label in axes.get_yticklabels()][-1] == "global less none"
    said = {text.get_text() for text in axes.texts}
    assert "+10.0  (+4.0 to +15.0)   < 0.001" in said
    assert "+2.0  (-1.0 to +5.0)   0.2" in said
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([12, 12, 12])  # detectable either way


def test_a_design_that_can_detect_nothing_has_no_grey_bar() -> None:
    (axes,) = differences(pairs(1, detectable=float("nan"))).axes
    assert not axes.patches


def test_curves_are_the_mean_over_cells_between_the_lowest_and_the_highest() -> None:
    figure = PICTURES["training_curves"]()
    upper = figure.axes[0]
    own = upper.lines[-1]
    assert list(own.get_ydata()) == pytest.approx([12, 22, 32, 42])  # folds 1, 2, 3 add 1, 2, 3 points
    (band,) = upper.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((11, 43))
    others = upper.lines[:-1]
    assert len(others) == 2
    assert {line.get_color() for line in others} == {style.GRID}


def test_a_class_whose_interval_leaves_out_zero_is_filled() -> None:
    for axes in PICTURES["class_differences"]().axes:
        filled = [
            to_rgb(line.get_markerfacecolor()) == to_rgb(line.get_color())
            for line in axes.lines
            if line.get_marker() == "o"
        ]
        assert filled == [False, False, True]  # from the bottom: rain, dog, cat


def test_a_confusion_matrix_is_in_per_cent_of_its_rows() -> None:
    axes = PICTURES["confusion"]().axes[0]
    np.testing.assert_allclose(np.asarray(axes.images[0].get_array()).sum(axis=1), 100, rtol=1e-12)
    assert [label.get_text() for label in axes.get_yticklabels()] == LABELS
    assert "75" in {text.get_text() for text in axes.texts}
    many = [f"class {index}" for index in range(50)]
    assert not pictures.confusion(confusions(many), "none", many).axes[0].texts


def test_labels_of_any_length_leave_room_for_the_picture() -> None:
    labels = [f"a class whose name is a sentence of its own, number {index}" for index in range(3)]
    for figure in (
        intervals.class_differences(classes(labels), FAMILIES),
        pictures.confusion(confusions(labels), "none", labels),
    ):
        figure.savefig(io.BytesIO(), format="png")
        axes = figure.axes[0]
        assert axes.get_window_extent().width > 0.2 * figure.bbox.width
        assert all(len(label.get_text()) <= 23 for label in axes.get_yticklabels())


def test_nothing_left_is_drawn_at_the_edge_of_a_logarithmic_axis() -> None:
    (axes,) = PICTURES["survival"]().axes
    assert all((np.asarray(line.get_xdata()) > 0).all() for line in axes.lines)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b against a", "global against a"]


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_says_what_to_see_and_has_units(name: str) -> None:
    figure = PICTURES[name]()
    assert len(figure.get_suptitle()) > 10
    words = [figure.get_supxlabel(), figure.get_supylabel()]
    words += [axes.get_xlabel() for axes in figure.axes] + [axes.get_ylabel() for axes in figure.axes]
    units = ("(%)", "(points)", "(nats)", "epoch", "class", "seconds", "deviations", "dB", "points")
    assert any(unit in word for word in words for unit in units), words


@pytest.mark.parametrize("name", PICTURES)
def test_a_mode_has_its_colour_in_every_picture(name: str) -> None:
    if name in ("confusion", "survival", "differences"):
        return  # one mode each, or comparisons
    figure = PICTURES[name]()
    seen = {to_rgb(line.get_color()) for axes in figure.axes for line in axes.lines}
    seen |= {tuple(patch.get_facecolor()[:3]) for axes in figure.axes for patch in axes.patches}
    assert to_rgb(style.COLOURS["global"]) in seen


@pytest.mark.parametrize("name", [*PICTURES, *(f"20 {name}" for name in TWENTY)])
def test_no_words_leave_the_picture(name: str) -> None:
    figure = drawn(name)
    words = list(figure.texts)
    for axes in figure.axes:
        words += [
            *axes.texts,
            *axes.get_yticklabels(),
            axes.xaxis.label,
            axes.yaxis.label,
            axes.title,
            axes._left_title,
        ]
    boxes = [(word.get_text(), word.get_window_extent()) for word in words if word.get_text() and word.get_visible()]
    assert len(boxes) > 3
    for text, box in boxes:
        assert figure.bbox.x0 - 1 <= box.x0 <= box.x1 <= figure.bbox.x1 + 1, text
        assert figure.bbox.y0 - 1 <= box.y0 <= box.y1 <= figure.bbox.y1 + 1, text


@pytest.mark.parametrize("count", [1, 4, 7])
@pytest.mark.parametrize("kind", ["accuracy", "differences"])
def test_no_words_overlap(count: int, kind: str) -> None:
    values = {f"a_mode_of_some_length_{index}": [0.99, 1.0] for index in range(count)}
    if kind == "accuracy":
        figure = intervals.accuracy(modes(values), cells(values), dict.fromkeys(values, "a family"), chance=0.1)
    else:
        figure = differences(pairs(count))
    figure.savefig(io.BytesIO(), format="png")
    (axes,) = figure.axes
    words = [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label, *figure.texts]
    boxes = [(word.get_text(), word.get_window_extent()) for word in words if word.get_text()]
    for (one, box), (other, another) in itertools.combinations(boxes, 2):
        assert not box.overlaps(another), (one, other)


@pytest.mark.parametrize("name", TWENTY)
def test_a_picture_of_twenty_modes_fits_a_page_in_width(name: str) -> None:
    """A regression: training curves were 36 inches wide, a column a mode."""
    width, height = drawn(f"20 {name}").get_size_inches()
    assert width <= 12
    assert height <= 2 * width


@pytest.mark.parametrize("name", ["training_curves", "class_differences"])
def test_panels_of_many_modes_stand_family_by_family_on_the_same_axes(name: str) -> None:
    figure = drawn(f"20 {name}")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    titled = [axes for axes in shown if axes.get_title("left")]
    found = [axes.get_title("left") for axes in titled]
    expected = [mode for mode in twenty.FAMILIES if name == "training_curves" or mode != "none"]
    assert found == expected  # families stand together in it
    assert len({axes.get_ylim() for axes in titled}) == 1
    assert len({axes.get_xlim() for axes in shown}) == 1
    named = {text.get_text() for axes in titled for text in axes.texts}
    assert named == set(twenty.FAMILIES.values())
    heights: dict[str, set[int]] = {}
    for axes in titled:
        row = round(axes.get_window_extent().y0)
        heights.setdefault(twenty.FAMILIES[axes.get_title("left")], set()).add(row)
    # Seven modes of one family are more than a row holds.
    assert {family: len(rows) for family, rows in heights.items() if len(rows) > 1} == {"fitted": 2}


@pytest.mark.parametrize("name", PICTURES)
def test_the_same_numbers_give_the_same_file(name: str) -> None:
    assert style.svg(PICTURES[name]()) == style.svg(PICTURES[name]())
