"""Labels and file names are drawn as they are written: no mathematics, on one line, whatever their letters."""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from torch import nn

from specnorm.comparison.inputs import Inputs, TrainedMode
from specnorm.params import WAVEFORMS
from specnorm.report import gallery, intervals, pictures, sound, style
from specnorm.report.example import Example
from tests.builders import front_end_params
from tests.report.test_pictures import FAMILIES, PICTURES, classes, confusions
from tests.report.test_sound import LINEAR, level, training

# How each is drawn.
LABELS = {
    "US$ and C$": "US$ and C$",
    r"$\frac{1$": r"$\frac{1$",  # half a formula: matplotlib's own error
    r"$\alpha$": r"$\alpha$",
    r"50 % \{x_1^2\}": r"50 % \{x_1^2\}",
    "two\nlines\tand a tab": "two lines and a tab",
    "\x1b[31mred\x00": r"\x1b[31mred\x00",
    "gnp.\u202egpj": r"gnp.\u202egpj",
    " ": "",
    "</text><script>": "</text><script>",
    "--> ]]> &amp; <!--": "--> ]]> &amp; <!--",
    "a label " * 1000: "a label a label a labe…",
    "x" * 5000: "x" * 22 + "…",
}
WITHOUT_A_GLYPH = ["犬の声", "🐶", "\U000e0041", "e\u0301"]


def one_clip(label: str) -> Figure:
    levels = {name: torch.zeros(1, 1, 9, 6) for name in WAVEFORMS}
    example = Example(f"{label}.wav", label, 0, {name: np.zeros(200, np.float32) for name in WAVEFORMS})
    inputs = Inputs([example.name], levels, {"none": TrainedMode("raw", nn.Identity())})
    return gallery.one_clip(example, inputs, front_end_params())


OF_LABELS: dict[str, Callable[[str], Figure]] = {
    "classes": lambda label: intervals.class_differences(classes([label, "dog"]), FAMILIES),
    "confusion": lambda label: pictures.confusion(confusions([label, "dog"]), "none", [label, "dog"]),
    "clip": one_clip,
}
SOUND: dict[str, Callable[[], Figure]] = {
    "waveform": lambda: sound.show_waveform(np.zeros(200, np.float32), 8000).figure,  # type: ignore[return-value]
    "spectrogram": lambda: sound.show_spectrogram(level(LINEAR), LINEAR).figure,  # type: ignore[return-value]
    "statistics": lambda: sound.show_statistics(training()),
}


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


@pytest.mark.parametrize("label", LABELS, ids=lambda label: ascii(label[:20]))
@pytest.mark.parametrize("name", OF_LABELS)
def test_a_label_is_drawn_as_it_is_written(name: str, label: str) -> None:
    figure = OF_LABELS[name](label)
    svg = style.svg(figure)
    ET.fromstring(svg.encode())
    shown = words(figure)
    if name == "clip":
        assert all(len(text.splitlines()) < 5 for text in shown)
        assert any(LABELS[label] in " ".join(text.split()) for text in shown)
    else:
        assert LABELS[label] in shown
    assert not [text for text in figure.findobj(Text) if text.get_parse_math()]


@pytest.mark.parametrize("label", WITHOUT_A_GLYPH, ids=ascii)
@pytest.mark.parametrize("name", OF_LABELS)
def test_letters_that_the_font_lacks_are_boxes_and_told_in_one_warning(name: str, label: str) -> None:
    figure = OF_LABELS[name](label)
    if label.isascii() or label in ("e\u0301", "\U000e0041"):  # combined from what the font has, and escaped
        style.svgs({"a": figure})
        return
    with pytest.warns(UserWarning, match="^letters that the pictures' font lacks are drawn as boxes") as told:
        assert set(style.svgs({"a": figure, "b": figure})) == {"a", "b"}
    assert len(told) == 1


@pytest.mark.parametrize("name", [*PICTURES, *SOUND])
def test_our_own_words_need_no_mathematics(name: str) -> None:
    """What stands on an axis, too: its numbers would be formulas to be read as they are."""
    figure = (PICTURES | SOUND)[name]()
    figure.draw_without_rendering()
    assert not [word for word in words(figure) if "$" in word or "\\" in word]


def test_other_warnings_of_a_drawing_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = PICTURES["accuracy"]()
    draw = figure.savefig

    def warning(*arguments: object, **options: object) -> None:
        warnings.warn("something else", RuntimeWarning, stacklevel=1)
        draw(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(figure, "savefig", warning)
    with pytest.warns(RuntimeWarning, match="something else"):
        style.svgs({"a": figure})
