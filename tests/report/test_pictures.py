"""Pictures show the numbers that they are given: read from their artists, not from their pixels."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from specnorm.report import classes, curves, intervals, matrices, pictures, style
from specnorm.report.panels import by_family
from specnorm.report.picture import Picture, hovered
from tests.report import forged, twenty

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
            "seed": 0,
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
            "declared": True,
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


def of_classes(labels: list[str]) -> pd.DataFrame:
    rows = [
        {
            "norm": norm,
            "baseline": "none",
            "target": target,
            "label": label,
            "clips": 8,
            "difference": 0.25,
            "low": 0.1,
            "high": 0.5,
            "marked": target == 0,
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
PICTURES: dict[str, Callable[..., Picture]] = {
    "accuracy": lambda **form: intervals.accuracy(modes(VALUES), cells(VALUES), FAMILIES, chance=0.02, **form),
    "differences": lambda **form: intervals.differences(mixed(), FAMILIES | {"mode_1": "x", "mode_2": "x"}, **form),
    "training_curves": lambda **form: curves.training_curves(epochs(), FAMILIES, **form),
    "class_differences": lambda **form: classes.class_differences(of_classes(LABELS), FAMILIES, **form),
    "squares": lambda **form: matrices.classes(of_classes(LABELS), **form),
    "confusion": lambda **form: matrices.confusion(confusions(LABELS), "none", LABELS, **form),
    "confusion_differences": lambda **form: matrices.confusion_differences(
        confusions(LABELS), "global", "none", LABELS, **form
    ),
    "time_spent": lambda **form: pictures.time_spent(cells(VALUES), FAMILIES, **form),
    "value_histograms": lambda **form: pictures.value_histograms(forged.inputs(FAMILIES), FAMILIES, **form),
    "survival": lambda **form: pictures.survival(survivals(), **form),
}
TWENTY: dict[str, Callable[..., Picture]] = {
    "accuracy": lambda **form: intervals.accuracy(twenty.modes(), twenty.cells(), twenty.FAMILIES, chance=0.1, **form),
    "differences": lambda **form: intervals.differences(twenty.pairs(), twenty.FAMILIES, **form),
    "training_curves": lambda **form: curves.training_curves(twenty.curves(), twenty.FAMILIES, **form),
    "class_differences": lambda **form: classes.class_differences(twenty.classes(), twenty.FAMILIES, **form),
    "time_spent": lambda **form: pictures.time_spent(twenty.cells(), twenty.FAMILIES, **form),
    "value_histograms": lambda **form: pictures.value_histograms(
        forged.inputs(twenty.FAMILIES), twenty.FAMILIES, **form
    ),
    "survival": lambda **form: pictures.survival(twenty.survivals(), **form),
    "confusion": lambda **form: matrices.confusion(forged.confusion({"none": ""}), "none", forged.LABELS, **form),
}
FORMS = [
    *((name, form) for name in PICTURES for form in ("", "narrow")),
    *((f"20 {name}", "narrow") for name in TWENTY),
]


def mixed() -> pd.DataFrame:
    """Two pairs that were asked about and one that was explored."""
    return pairs(3).assign(declared=[True, True, False])


@functools.cache
def drawn(name: str, form: str = "") -> Figure:
    """A figure that has been laid out, which takes a second where there are twenty modes; nobody changes it."""
    draw = TWENTY[name.removeprefix("20 ")] if name.startswith("20 ") else PICTURES[name]
    figure = draw(narrow=bool(form)).figure
    figure.draw_without_rendering()
    return figure


def differences(table: pd.DataFrame) -> Figure:
    return intervals.differences(table, dict.fromkeys(table["one"], "") | {"global": "fitted"}).figure


def marks(axes: Axes) -> list[Line2D]:
    """Round marks, in the order in which they were drawn."""
    return [line for line in axes.lines if line.get_marker() == "o"]


def filled(line: Line2D) -> bool:
    return to_rgb(line.get_markerfacecolor()) == to_rgb(line.get_color())


def said(artist: Artist) -> str:
    """What a mark says to a pointer that rests on it."""
    return str(hovered(artist.get_gid()))


def test_a_dot_a_cell_a_bar_a_mean_and_a_line_an_interval() -> None:
    (axes,) = PICTURES["accuracy"]().figure.axes
    values = [float(line.get_xdata()[0]) for line in marks(axes)]
    np.testing.assert_allclose(values, [50, 60, 70, 80, 90, 100, 0, 25, 50], rtol=1e-12)  # float64
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], [60, 90, 25], rtol=1e-12)
    lines = [
        list(line.get_xdata()) for line in axes.lines if line.get_marker() == "None" and len(line.get_xdata()) == 2
    ]
    np.testing.assert_allclose(lines[:3], [[50, 70], [80, 100], [0, 50]], rtol=1e-12)
    assert axes.get_xlim() == (0, 100)  # bars that start elsewhere exaggerate
    assert "60.0  (50.0 to 70.0)" in {text.get_text() for text in axes.texts}


def test_the_first_mode_is_on_top_and_every_dot_lies_on_its_bar() -> None:
    (axes,) = PICTURES["accuracy"]().figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["none", "global", "channel"]
    assert axes.yaxis_inverted()
    heights = np.asarray([line.get_ydata()[0] for line in marks(axes)]).reshape(3, 3)
    for own, bar in zip(heights, axes.patches, strict=True):
        assert (own > bar.get_y()).all()
        assert (own < bar.get_y() + bar.get_height()).all()
        assert len(set(own)) == 3  # equal accuracies stay two dots


def test_every_mark_says_its_value() -> None:
    (axes,) = PICTURES["accuracy"]().figure.axes
    assert said(axes.patches[1]) == "global: 90.0 (80.0 to 100.0)"
    assert said(marks(axes)[7]) == "channel, fold 2, seed 0: 25.0"
    (axes,) = PICTURES["differences"]().figure.axes
    assert said(marks(axes)[0]) == "global less none: +10.0 (+4.0 to +15.0) < 0.001"
    squares = [said(patch) for patch in PICTURES["confusion"]().figure.axes[0].patches]
    assert "cat taken for dog: 12 %" in squares
    assert len(squares) == 9


def test_chance_is_a_dashed_line() -> None:
    (line,) = (line for line in PICTURES["accuracy"]().figure.axes[0].lines if line.get_linestyle() == "--")
    assert list(line.get_xdata()) == [2, 2]


def test_one_cell_lies_on_the_middle_of_its_bar() -> None:
    one = {"global": [0.5]}
    (axes,) = intervals.accuracy(modes(one), cells(one), FAMILIES, chance=0.1).figure.axes
    (line,) = marks(axes)
    assert list(line.get_ydata()) == [0]


def test_a_difference_that_stands_is_filled_and_the_others_are_not() -> None:
    (axes,) = differences(pairs(3)).axes
    assert [filled(line) for line in marks(axes)] == [True, False, False]
    assert [float(line.get_xdata()[0]) for line in marks(axes)] == pytest.approx([10, 2, 2])
    assert axes.get_yticklabels()[0].get_text() == "global less none"
    texts = {text.get_text() for text in axes.texts}
    assert "+10.0  (+4.0 to +15.0)   < 0.001" in texts
    assert "+2.0  (-1.0 to +5.0)   0.2" in texts
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([12, 12, 12])  # detectable either way


def test_a_pair_that_was_explored_stands_apart_and_claims_nothing() -> None:
    explored_first = pairs(3, declared=False, distinguishable=True, p_adjusted=float("nan"))
    (axes,) = differences(explored_first).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "mode_1 less none",
        "mode_2 less none",
        "global less none",
    ]
    assert [filled(line) for line in marks(axes)] == [False, False, False]
    assert [float(line.get_ydata()[0]) for line in marks(axes)] == [0, 1, 3]  # a row is left free
    assert len(axes.patches) == 2
    texts = {text.get_text() for text in axes.texts}
    assert "+10.0  (+4.0 to +15.0)" in texts  # no p
    assert "explored, not tested:" in texts


def test_of_very_many_pairs_the_explored_are_left_out_and_told() -> None:
    """A regression: 190 pairs made a picture of 70 inches."""
    picture = TWENTY["differences"]()
    asked = int(twenty.pairs()["declared"].sum())
    assert len(picture.figure.axes[0].get_yticklabels()) == asked == 21
    assert picture.title.endswith(f"; {190 - asked} explored pairs are in differences.csv")


@pytest.mark.parametrize("beats", [True, False])
def test_the_title_says_how_many_can_be_told_apart(beats: bool) -> None:
    picture = intervals.differences(pairs(1, distinguishable=beats), FAMILIES)
    expected = "1 of 1 declared pairs can be told apart" if beats else "no declared pair can be told apart"
    assert picture.title == f"Differences in accuracy: {expected}"
    assert ("global less none (+10.0 points)" in picture.alt) == beats


def test_a_design_that_can_detect_nothing_has_no_grey_bar() -> None:
    (axes,) = differences(pairs(1, detectable=float("nan"))).axes
    assert not axes.patches


def test_a_design_without_degrees_of_freedom_has_no_intervals() -> None:
    """One run of one fold: the differences are drawn, and nothing is claimed of them."""
    nothing = dict.fromkeys(("accuracy_low", "accuracy_high", "p_adjusted", "detectable"), float("nan"))
    (axes,) = differences(pairs(1, distinguishable=False, **nothing)).axes
    axes.figure.draw_without_rendering()
    assert axes.get_xlim()[1] == pytest.approx(10.8)


def test_curves_are_the_mean_over_cells_between_the_lowest_and_the_highest() -> None:
    upper = PICTURES["training_curves"]().figure.axes[0]
    own = upper.lines[-1]
    assert list(own.get_ydata()) == pytest.approx([12, 22, 32, 42])  # folds 1, 2, 3 add 1, 2, 3 points
    assert said(own) == "none, held-out accuracy: 42.0 % after epoch 4"
    (band,) = upper.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((11, 43))
    others = upper.lines[:-1]
    assert len(others) == 2
    assert {line.get_color() for line in others} == {style.GRID}


@pytest.mark.parametrize("last", [1, 2, 3, 5, 7])
def test_epochs_are_whole_numbers(last: int) -> None:
    """A regression: the axis of a training of one or two epochs said 1.25."""
    figure = curves.training_curves(epochs().query("epoch <= @last"), FAMILIES).figure
    figure.draw_without_rendering()
    shown = [label.get_text() for axes in figure.axes for label in axes.get_xticklabels() if label.get_text()]
    assert shown
    assert all(float(text) == int(float(text)) for text in shown)


def test_a_class_is_filled_where_it_is_marked_and_only_there() -> None:
    """A regression: filled was every class whose own interval left out zero, one of twelve by chance."""
    for axes in PICTURES["class_differences"]().figure.axes:
        assert [filled(line) for line in marks(axes)] == [True, False, False]  # from the top: cat, dog, rain


def test_many_modes_by_class_are_squares_with_a_dot_where_they_are_marked() -> None:
    """A regression: fifteen modes made a picture of 40 inches for fifty classes."""
    figure = drawn("20 class_differences")
    table = twenty.classes()
    (axes,) = figure.axes
    assert len(axes.patches) == len(table)
    assert len(marks(axes)) == int(table["marked"].sum())
    better = {patch.get_gid() for patch in axes.patches if to_rgb(patch.get_facecolor()[:3]) == to_rgb(style.BETTER)}
    assert len(better) == int((table["difference"] > 0).sum())


def test_a_confusion_matrix_is_in_per_cent_of_its_rows() -> None:
    axes = PICTURES["confusion"]().figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == LABELS
    assert sorted({text.get_text() for text in axes.texts}) == ["12", "75"]
    many = [f"class {index}" for index in range(50)]
    assert not matrices.confusion(confusions(many), "none", many).figure.axes[0].texts


def test_a_narrow_matrix_has_the_classes_that_are_confused_most() -> None:
    table, labels = confusions([f"class {index}" for index in range(30)]), [f"class {index}" for index in range(30)]
    away = table["actual"].isin(labels[3:5]) & (table["actual"] != table["predicted"])
    table.loc[away, "share"] *= 2
    picture = matrices.confusion(table, "none", labels, narrow=True)
    shown = [label.get_text() for label in picture.figure.axes[0].get_yticklabels()]
    assert len(shown) == 20
    assert set(labels[3:5]) <= set(shown)
    assert shown == sorted(shown, key=labels.index)
    assert picture.title.endswith("the 20 of 30 classes with most of it")


def test_differences_of_confusions_are_blue_where_they_are_better() -> None:
    table = pd.concat([confusions(LABELS), confusions(LABELS).assign(norm="global")])
    change = {("cat", "cat"): 0.1, ("cat", "dog"): -0.1, ("dog", "rain"): 0.2, ("rain", "rain"): -0.05}
    for (actual, predicted), value in change.items():
        own = (table["norm"] == "global") & (table["actual"] == actual) & (table["predicted"] == predicted)
        table.loc[own, "share"] += value
    picture = matrices.confusion_differences(table.reset_index(drop=True), "global", "none", LABELS)
    found = {said(patch): to_rgb(patch.get_facecolor()[:3]) for patch in picture.figure.axes[0].patches}
    blue, orange = to_rgb(style.BETTER), to_rgb(style.WORSE)
    assert found == {
        "cat taken for cat: +10 points": blue,
        "cat taken for dog: -10 points": blue,
        "dog taken for rain: +20 points": orange,
        "rain taken for rain: -5 points": orange,
    }


def test_labels_of_any_length_leave_room_for_the_picture() -> None:
    labels = [f"a class whose name is a sentence of its own, number {index}" for index in range(3)]
    for narrow in (False, True):
        for picture in (
            classes.class_differences(of_classes(labels), FAMILIES, narrow=narrow),
            matrices.confusion(confusions(labels), "none", labels, narrow=narrow),
        ):
            picture.figure.draw_without_rendering()
            axes = picture.figure.axes[0]
            assert axes.get_window_extent().width > 0.15 * picture.figure.bbox.width
            assert all(len(label.get_text()) <= 23 for label in axes.get_yticklabels())


def test_nothing_left_is_drawn_at_the_edge_of_a_logarithmic_axis() -> None:
    (axes,) = PICTURES["survival"]().figure.axes
    assert all((np.asarray(line.get_xdata()) > 0).all() for line in axes.lines)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["global against a", "b against a"]


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_says_what_to_see_and_has_units(name: str) -> None:
    picture = PICTURES[name]()
    figure = picture.figure
    assert len(picture.title) > 10
    assert picture.alt.endswith(".")
    assert any(letter.isdigit() for letter in picture.alt)  # the most telling numbers
    words = [figure.get_supxlabel(), figure.get_supylabel(), picture.alt]
    words += [axes.get_xlabel() for axes in figure.axes] + [axes.get_ylabel() for axes in figure.axes]
    units = ("(%)", "(points)", "(nats)", "epoch", "class", "seconds", "deviations", "dB", "points")
    assert any(unit in word for word in words for unit in units), words


@pytest.mark.parametrize("name", PICTURES)
def test_a_mode_has_its_colour_in_every_picture(name: str) -> None:
    if name in ("confusion", "confusion_differences", "squares", "survival", "differences"):
        return  # one mode each, or comparisons
    figure = PICTURES[name]().figure
    seen = {to_rgb(line.get_color()) for axes in figure.axes for line in axes.lines}
    seen |= {tuple(patch.get_facecolor()[:3]) for axes in figure.axes for patch in axes.patches}
    assert to_rgb(style.COLOURS["global"]) in seen


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_no_words_leave_the_picture(name: str, form: str) -> None:
    figure = drawn(name, form)
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
        words += axes.get_legend().get_texts() if axes.get_legend() else []
    boxes = [(word.get_text(), word.get_window_extent()) for word in words if word.get_text() and word.get_visible()]
    assert len(boxes) >= 3
    for text, box in boxes:
        assert figure.bbox.x0 - 1 <= box.x0 <= box.x1 <= figure.bbox.x1 + 1, text
        assert figure.bbox.y0 - 2 <= box.y0 <= box.y1 <= figure.bbox.y1 + 2, text


@pytest.mark.parametrize("form", ["", "narrow"])
@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("kind", ["accuracy", "differences"])
def test_no_words_overlap(count: int, kind: str, form: str) -> None:
    values = {f"a_mode_of_some_length_{index}": [0.99, 1.0] for index in range(count)}
    families = dict.fromkeys([*values, "global", *(f"mode_{index}" for index in range(count))], "a family")
    if kind == "accuracy":
        picture = intervals.accuracy(modes(values), cells(values), families, chance=0.1, narrow=bool(form))
    else:
        asked = [index < 4 for index in range(count)]
        picture = intervals.differences(pairs(count).assign(declared=asked), families, narrow=bool(form))
    picture.figure.draw_without_rendering()
    (axes,) = picture.figure.axes
    words = [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label]
    boxes = [(word.get_text(), word.get_window_extent()) for word in words if word.get_text()]
    for (one, box), (other, another) in itertools.combinations(boxes, 2):
        assert not box.overlaps(another), (one, other)


@pytest.mark.parametrize("name", TWENTY)
def test_a_picture_of_twenty_modes_fits_a_phone_and_does_not_grow_for_ever(name: str) -> None:
    """A regression: training curves were 36 inches wide, a column a mode, and 29 high, a row a family."""
    width, height = drawn(f"20 {name}", "narrow").get_size_inches()
    assert width == style.NARROW
    assert height <= (12 if name == "training_curves" else 14.5)
    wide = TWENTY[name]().figure
    assert wide.get_figwidth() == style.WIDE
    assert wide.get_figheight() <= 12


def test_curves_of_many_modes_share_a_panel_with_their_family_on_the_same_axes() -> None:
    figure = drawn("20 training_curves", "narrow")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    uppers = [axes for axes in shown if axes.get_legend()]
    found = {
        axes.get_legend().get_title().get_text(): [text.get_text() for text in axes.get_legend().get_texts()]
        for axes in uppers
    }
    assert found == by_family(twenty.FAMILIES)
    assert len({axes.get_ylim() for axes in uppers}) == 1
    assert len({axes.get_xlim() for axes in shown}) == 1


@pytest.mark.parametrize("name", PICTURES)
def test_the_same_numbers_give_the_same_file(name: str) -> None:
    assert style.svg(PICTURES[name](), name) == style.svg(PICTURES[name](), name)


def test_of_very_many_classes_those_are_drawn_that_are_confused_the_most() -> None:
    """A square a pair of 500 classes would be 250,000 squares, in a picture of two metres."""
    labels = [f"class {index}" for index in range(500)]
    table = pd.DataFrame(
        [
            {"norm": "none", "actual": labels[row], "predicted": labels[column], "share": share}
            for row in range(500)
            for column, share in ((row, 0.9), ((row + 1) % 500, 0.1 if row < 60 else 0.01))
        ]
    )
    found = matrices.confusion(table, "none", labels)
    assert len(found.figure.axes[0].patches) <= 40**2
    assert found.figure.axes[0].get_xticklabels()[0].get_text() == "class 1"
    assert found.title == "What none takes for what: the 40 of 500 classes with most of it"
    assert found.figure.get_figheight() < 10


@pytest.mark.parametrize("modes", [2, 7])
def test_of_very_many_classes_those_are_compared_that_differ_the_most(modes: int) -> None:
    table = pd.DataFrame(
        [
            {
                "norm": f"mode{mode}",
                "baseline": "none",
                "label": f"class {index}",
                "difference": index / 1000,
                "low": index / 1000 - 0.1,
                "high": index / 1000 + 0.1,
                "marked": index == 3,
            }
            for mode in range(modes)
            for index in range(200)
        ]
    )
    found = classes.class_differences(table, {f"mode{mode}": "" for mode in range(modes)})
    named = [text.get_text() for text in found.figure.axes[0].get_yticklabels()]
    assert named == ["class 3", *(f"class {index}" for index in range(161, 200))]  # what stands, and the largest
    assert found.title.endswith(": the 40 of 200 classes that differ the most")
    assert found.figure.get_figheight() < 12
