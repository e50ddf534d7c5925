"""Labels and file names are drawn as they are written: no mathematics, on one line, whatever their letters."""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pytest
import torch
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.text import Text
from torch import nn

from specnorm.comparison.inputs import Inputs, TrainedMode
from specnorm.errors import one_line
from specnorm.params import WAVEFORMS
from specnorm.report import classes, clip, matrices, sound, style
from specnorm.report.example import Example
from specnorm.report.picture import Picture
from tests.builders import front_end_params
from tests.report.test_pictures import FAMILIES, PICTURES, confusions, of_classes
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


def one_clip(label: str) -> Picture:
    levels = {name: torch.zeros(1, 1, 9, 6) for name in WAVEFORMS}
    example = Example(f"{label}.wav", label, 0, {name: np.zeros(200, np.float32) for name in WAVEFORMS})
    inputs = Inputs([example.name], levels, {"none": TrainedMode("raw", nn.Identity())})
    return clip.one_clip(example, inputs, front_end_params())


OF_LABELS: dict[str, Callable[[str], Picture]] = {
    "classes": lambda label: classes.class_differences(of_classes([label, "dog"]), FAMILIES),
    "squares": lambda label: matrices.classes(of_classes([label, "dog"])),
    "confusion": lambda label: matrices.confusion(confusions([label, "dog"]), "none", [label, "dog"]),
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
    picture = OF_LABELS[name](label)
    svg = ET.fromstring(style.svg(picture, "a"))
    assert LABELS[label] in words(picture.figure)
    assert not [text for text in picture.figure.findobj(Text) if text.get_parse_math()]
    hovered = [title.text or "" for title in svg.iter("{http://www.w3.org/2000/svg}title")]
    assert any(style.short(label, 40) in text for text in hovered)
    assert svg.attrib["aria-label"] == one_line(picture.alt)
    assert len(picture.title) + max(map(len, [picture.alt, *hovered])) < 600


@pytest.mark.parametrize("label", LABELS, ids=lambda label: ascii(label[:20]))
def test_a_clips_name_is_in_the_title_of_its_picture(label: str) -> None:
    picture = one_clip(label)
    assert LABELS[label] in picture.title
    assert len(picture.title) < 200
    ET.fromstring(style.svg(picture, "clip"))


@pytest.mark.parametrize("label", WITHOUT_A_GLYPH, ids=ascii)
@pytest.mark.parametrize("name", OF_LABELS)
def test_letters_that_the_font_lacks_are_boxes_and_told_in_one_warning(name: str, label: str) -> None:
    picture = OF_LABELS[name](label)
    if label.isascii() or label in ("e\u0301", "\U000e0041"):  # combined from what the font has, and escaped
        style.svgs({"a": picture})
        return
    with pytest.warns(UserWarning, match="^letters that the pictures' font lacks are drawn as boxes") as told:
        assert set(style.svgs({"a": picture, "b": picture})) == {"a", "b"}
    assert len(told) == 1


@pytest.mark.parametrize("name", [*PICTURES, *SOUND])
def test_our_own_words_need_no_mathematics(name: str) -> None:
    """What stands on an axis, too: its numbers would be formulas to be read as they are."""
    figure = PICTURES[name]().figure if name in PICTURES else SOUND[name]()
    figure.draw_without_rendering()
    assert not [word for word in words(figure) if "$" in word or "\\" in word]


def test_other_warnings_of_a_drawing_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = PICTURES["accuracy"]()
    draw = picture.figure.draw

    def warning(renderer: RendererBase) -> None:
        warnings.warn("something else", RuntimeWarning, stacklevel=1)
        draw(renderer)

    monkeypatch.setattr(picture.figure, "draw", warning)
    with pytest.warns(RuntimeWarning, match="something else"):
        style.svgs({"a": picture})
