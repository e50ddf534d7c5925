"""One colour a mode, inks that turn for dark pages, and files that are the same each time."""

from __future__ import annotations

import json
import re

import matplotlib as mpl
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from specnorm.report import sound, style
from tests.made_up import ROOT


@style.drawn
def picture(colour: str = style.INK) -> Figure:
    figure = Figure(figsize=(2, 2))
    figure.subplots().plot([0, 1], [0, 1], color=colour)
    style.headline(figure, "A line")
    return figure


def test_shipped_modes_have_colours_of_their_own() -> None:
    shipped = {path.stem for path in (ROOT / "conf/norm").glob("*.yaml")} & set(style.COLOURS)
    assert {"none", "waveform", "global", "channel", "global_raw", "channel_raw"} <= shipped
    assert len({to_rgb(value) for value in style.colours(sorted(shipped)).values()}) == len(shipped)


def test_modes_of_ones_own_have_colours_too() -> None:
    found = style.colours(["none", "per_clip", "sliding", "pcen"])
    assert len(set(found.values())) == 4
    assert found["none"] == style.COLOURS["none"]


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.1)."""
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("ink", "least"), [(style.INK, 7), (style.MUTED, 4.5)])
def test_words_read_on_light_and_dark_pages(ink: str, least: float) -> None:
    assert contrast(ink, "#ffffff") > least
    assert contrast(style._DARK[ink], style._DARK[style.PAPER]) > least


def test_modes_are_seen_on_light_and_dark_pages() -> None:
    """Lines and bars ask for less contrast than words; the lightest of the palette has 2.2 on white."""
    for colour in style.COLOURS.values():
        assert contrast(colour, "#ffffff") > 2
        assert contrast(style._DARK.get(colour, colour), style._DARK[style.PAPER]) > 3


def test_an_svg_turns_its_inks_on_a_dark_page() -> None:
    text = style.svg(picture())
    sheet = re.search(r"<svg[^>]*><style>(.*?)</style>", text, re.DOTALL)
    assert sheet
    assert sheet[1].startswith("@media (prefers-color-scheme: dark)")
    for ink in (style.INK, style.MUTED):
        assert f'[style*="stroke: {ink}"]' in sheet[1]
        assert f"stroke: {ink}" in text.partition("</style>")[2]  # what the rule is to find
    assert "none; stroke" not in sheet[1]


def test_an_svg_has_no_background_no_date_and_no_address_to_fetch() -> None:
    text = style.svg(picture())
    assert "<dc:date>" not in text
    assert not re.search(r'(href|src)="(?!#|data:)', text)
    assert style.svg(picture()) == text


def test_every_named_ink_is_written_as_the_rules_expect() -> None:
    for colour in style._DARK:
        assert f"stroke: {colour}" in style.svg(picture(colour)).partition("</style>")[2]


def test_drawing_leaves_the_callers_settings() -> None:
    before = dict(mpl.rcParams)
    picture()
    assert dict(mpl.rcParams) == before


def test_the_three_for_notebooks_are_there() -> None:
    assert all(callable(getattr(sound, name)) for name in ("show_waveform", "show_spectrogram", "show_statistics"))


def test_dvc_draws_modes_in_the_same_colours() -> None:
    template = json.loads((ROOT / ".dvc/plots/curves_by_mode.json").read_text())
    scale = template["spec"]["encoding"]["color"]["scale"]
    assert scale["domain"]["unionWith"] == list(style.COLOURS)
    assert scale["range"] == [*style.COLOURS.values(), *style._OTHERS]
    confusion = json.loads((ROOT / ".dvc/plots/confusion_by_mode.json").read_text())
    assert confusion["facet"]["column"]["sort"] == list(style.COLOURS)
