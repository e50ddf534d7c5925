"""One colour a mode, inks that turn for dark pages, and files that are the same each time."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import pytest
from matplotlib.colors import rgb_to_hsv, to_rgb
from matplotlib.figure import Figure

from specnorm.errors import one_line
from specnorm.report import sound, style
from specnorm.report.picture import Picture, hover
from tests.made_up import ROOT
from tests.report import twenty


@style.drawn
def picture(colour: str = style.INK, said: str = "a line") -> Picture:
    figure = Figure(figsize=(2, 2))
    (line,) = figure.subplots().plot([0, 1], [0, 1], "o", color=colour)
    hover(line, said)
    return Picture(figure, "A line", f"From 0 to 1: {said}.")


def test_shipped_modes_have_colours_of_their_own() -> None:
    shipped = {path.stem for path in (ROOT / "conf/norm").glob("*.yaml")} & set(style.COLOURS)
    assert {"none", "waveform", "global", "channel", "global_raw", "channel_raw"} <= shipped
    assert len({to_rgb(value) for value in style.colours(dict.fromkeys(shipped, "")).values()}) == len(shipped)


def test_known_modes_keep_their_colours_whatever_stands_beside_them() -> None:
    found = style.colours(twenty.FAMILIES)
    assert list(found) == list(twenty.FAMILIES)
    assert {mode: found[mode] for mode in style.COLOURS} == style.COLOURS


def test_twenty_modes_and_forty_have_as_many_colours() -> None:
    """A regression: the fifth mode of one's own had the colour of the first."""
    forty = {f"{mode}_{suffix}": family for mode, family in twenty.FAMILIES.items() for suffix in ("a", "b")}
    for families in (twenty.FAMILIES, forty, {f"mode {index}": f"family {index}" for index in range(12)}):
        assert len(set(style.colours(families).values())) == len(families)


def hue(colour: str) -> float:
    return float(rgb_to_hsv(to_rgb(colour))[0])


def apart(one: float, other: float) -> float:
    """Two hues on their circle, of which the whole is 1."""
    return abs((one - other + 0.5) % 1 - 0.5)


def test_a_family_is_a_hue_and_its_modes_are_shades_of_it() -> None:
    others = {mode: family for mode, family in twenty.FAMILIES.items() if mode not in style.COLOURS}
    found = style.colours(others)
    for one, other in itertools.combinations(others, 2):
        distance = apart(hue(found[one]), hue(found[other]))
        if others[one] == others[other]:
            assert distance < 0.02  # eight bits a channel
            assert abs(style.luminance(found[one]) - style.luminance(found[other])) > 0.02
        else:
            assert distance > 0.05


def test_the_order_of_modes_does_not_change_their_colours() -> None:
    turned = dict(reversed(twenty.FAMILIES.items()))
    assert style.colours(turned) == style.colours(twenty.FAMILIES)


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((style.luminance(one), style.luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("ink", "least"), [(style.INK, 7), (style.MUTED, 4.5)])
def test_words_read_on_light_and_dark_pages(ink: str, least: float) -> None:
    assert contrast(ink, "#ffffff") > least
    assert contrast(style._DARK[ink], style._DARK[style.PAPER]) > least


def test_modes_are_seen_on_light_and_dark_pages() -> None:
    """Lines and bars ask for less contrast than words; the lightest of the palette has 2.2 on white."""
    for colour in [*style.COLOURS.values(), *style.colours(twenty.FAMILIES).values()]:
        assert contrast(colour, "#ffffff") > 2
        assert contrast(style._DARK.get(colour, colour), style._DARK[style.PAPER]) > 3


def test_an_svg_turns_its_inks_on_a_dark_page() -> None:
    text = style.svg(picture(), "a")
    sheet = re.search(r"<svg[^>]*><style>(.*?)</style>", text, re.DOTALL)
    assert sheet
    assert "@media (prefers-color-scheme: dark)" in sheet[1]
    for ink in (style.INK, style.MUTED):
        assert f'[style*="stroke: {ink}"]' in sheet[1]
        assert f"stroke: {ink}" in text.partition("</style>")[2]  # what the rule is to find
    assert "none; stroke" not in sheet[1]


def test_an_svg_has_no_background_no_date_and_no_address_to_fetch() -> None:
    text = style.svg(picture(), "a")
    assert "<dc:date>" not in text
    assert not re.search(r'(href|src)="(?!#|data:)', text)
    assert style.svg(picture(), "a") == text


def test_pictures_of_one_page_share_no_identifier_and_style_nothing_of_it() -> None:
    drawings = style.svgs({"a": picture(), "b-narrow": picture()})
    owned = {name: set(re.findall(r' id="([^"]*)"', text)) for name, text in drawings.items()}
    for name, text in drawings.items():
        assert text.startswith('<svg class="picture" role="img" aria-label="From 0 to 1: a line."')
        referred = set(re.findall(r'(?:href="|url\()#([^")]*)', text))
        assert owned[name] == referred  # each leads somewhere, and no other is there
        assert all(identifier.startswith(f"{name}-") for identifier in referred)
        (sheet,) = re.findall(r"<style[^>]*>(.*?)</style>", text)
        rules = re.sub(r"@media \([^)]*\)\{", "", sheet).strip("}").split("}")
        assert all(rule.startswith(".picture ") for rule in rules)
    assert owned["a"]
    assert not owned["a"] & owned["b-narrow"]


@pytest.mark.parametrize(
    "label",
    ['"><script>alert(1)</script>', "</title><b>", "a & b; --> <!--", 'href="#x" url(#x)', "two\nlines \x1b[31m"],
)
def test_a_mark_says_its_words_and_no_markup(label: str) -> None:
    found = ET.fromstring(style.svg(picture(said=label), "a"))
    (title,) = found.iter("{http://www.w3.org/2000/svg}title")
    assert title.text == one_line(label)
    assert found.attrib["aria-label"] == f"From 0 to 1: {one_line(label)}."
    assert not [element for element in found.iter() if element.tag.endswith(("script", "}b"))]


def test_every_named_ink_is_written_as_the_rules_expect() -> None:
    for colour in style._DARK:
        assert f"stroke: {colour}" in style.svg(picture(colour), "a").partition("</style>")[2]


def test_drawing_leaves_the_callers_settings() -> None:
    before = dict(mpl.rcParams)
    picture()
    assert dict(mpl.rcParams) == before


def test_the_three_for_notebooks_are_there() -> None:
    assert all(callable(getattr(sound, name)) for name in ("show_waveform", "show_spectrogram", "show_statistics"))
