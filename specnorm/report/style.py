"""How every picture looks: one colour a mode, inks that turn for dark pages, files with the same bytes each time."""

from __future__ import annotations

import colorsys
import functools
import io
import textwrap
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from specnorm.errors import one_line
from specnorm.report import markup
from specnorm.report.picture import Picture

# Okabe and Ito's colour-blind-safe palette, whose black is a shade lighter here: matplotlib leaves black out of an SVG.
COLOURS = {
    "none": "#222222",
    "waveform": "#56B4E9",
    "global_raw": "#E69F00",
    "channel_raw": "#CC79A7",
    "global": "#D55E00",
    "channel": "#009E73",
}
# Every other mode's: a hue a family, a turn of the golden section from one to the next so that any number of them lies
# apart, and within a family from dark to light, as far as lines are still seen on a light page and on a dark one.
_FIRST_HUE, _NEXT_HUE, _SATURATION = 0.63, (5**0.5 - 1) / 2, 0.7  # of HLS; the first hue lies far from the six
_DARKEST, _BRIGHTEST = 0.13, 0.44  # relative luminance

INK, MUTED, GRID, PAPER = "#1f2328", "#656d76", "#d8dee4", "#fffffe"
BETTER, WORSE = "#0072b3", "#d55e01"  # of squares; the stronger, the more opaque
LEVELS = "magma"  # the colour map of spectrograms: even in lightness, from dark to bright

# Inches, of which a page has 96 pixels each: 720 and 350 pixels. A narrow picture is one for a phone.
WIDE, NARROW = 720 / 96, 350 / 96

# What the inks become on a dark page; an SVG carries this along as a style sheet.
_DARK = {
    INK: "#e6edf3",
    MUTED: "#9198a1",
    GRID: "#3d444d",
    PAPER: "#0d1117",
    COLOURS["none"]: "#d9dee3",
    BETTER: "#4aa8e8",
    WORSE: "#ff8a33",
}

_SETTINGS: Any = {  # matplotlib types its names one by one
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "path",
    "svg.hashsalt": "specnorm",
    "text.parse_math": False,  # a label may hold a dollar sign, or two
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}

_LONGEST = 23  # letters of a label on an axis

_P = ParamSpec("_P")
_R = TypeVar("_R")


def drawn(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run a function that draws with the house's settings, and leave the caller's as they are."""

    @functools.wraps(function)
    def wrapped(*arguments: _P.args, **named: _P.kwargs) -> _R:
        with mpl.rc_context(_SETTINGS):
            return function(*arguments, **named)

    return wrapped


def colours(families: Mapping[str, str]) -> dict[str, str]:
    """A colour for each mode: for a known one always the same, for others a hue by family and a shade by name.

    Args:
        families: each mode's.

    >>> colours({"global": "fitted", "clip": "window", "slide": "window"})
    {'global': '#D55E00', 'clip': '#3459db', 'slide': '#9dafee'}
    """
    others: dict[str, list[str]] = {}
    for mode in sorted(set(families) - set(COLOURS)):
        others.setdefault(families[mode], []).append(mode)
    found = dict(COLOURS)
    for place, family in enumerate(sorted(others)):
        hue = (_FIRST_HUE + place * _NEXT_HUE) % 1
        own = others[family]
        shades = np.geomspace(_DARKEST, _BRIGHTEST, len(own)) if own[1:] else [(_DARKEST * _BRIGHTEST) ** 0.5]
        found |= {mode: _shade(hue, float(shade)) for mode, shade in zip(own, shades, strict=True)}
    return {mode: found[mode] for mode in families}


def luminance(colour: str | tuple[float, float, float]) -> float:
    """Relative luminance of an sRGB colour, 0 to 1 (WCAG 2.1)."""
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def width(*, narrow: bool) -> float:
    """Of a picture, in inches."""
    return NARROW if narrow else WIDE


def headline(figure: Figure, text: str) -> None:
    """Say in a figure that stands on no page what to see in it, on as many lines as its width asks for."""
    figure.suptitle(wrapped(figure, text, 11), x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)


def wrapped(figure: Figure, text: str, letters: float) -> str:
    """``text`` on lines that fit a figure, at so many letters an inch."""
    return textwrap.fill(text, max(20, int(letters * figure.get_figwidth())))


def short(label: str, letters: int = _LONGEST) -> str:
    """A label on one line that leaves room for what it labels; what cannot be drawn is escaped.

    >>> short("a label that goes on and on")
    'a label that goes on a…'
    """
    label = one_line(label)
    return label if len(label) <= letters else f"{label[: letters - 1]}…"


def svgs(pictures: Mapping[str, Picture]) -> dict[str, str]:
    """Each picture's :func:`svg`, by its name.

    Letters that the font lacks, which is the same one on every machine, are drawn as boxes. That is one warning, where
    matplotlib has one for each letter and drawing.
    """
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        drawings = {name: svg(picture, name) for name, picture in pictures.items()}
    others = [warning for warning in told if not str(warning.message).startswith("Glyph ")]
    for warning in others:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    if len(others) < len(told):
        warnings.warn("letters that the pictures' font lacks are drawn as boxes; the tables have them", stacklevel=2)
    return drawings


def svg(picture: Picture, name: str) -> str:
    """A picture as SVG, the same bytes for the same picture: a file of its own, or a part of a page.

    It has no background, turns its inks on a dark page, and says its marks' values to a pointer that rests on them.
    Beside other pictures of one page its identifiers and its style sheet meet nothing of theirs.

    Args:
        picture: what to draw.
        name: of it alone on its page; letters that an identifier may have.
    """
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context(_SETTINGS):
        # savefig would draw it twice
        FigureCanvasSVG(picture.figure).print_svg(buffer, metadata=metadata)  # type: ignore[no-untyped-call]
    return markup.fit(buffer.getvalue(), name, picture.alt, _sheet())


def _sheet() -> str:
    rules = "".join(
        f'.picture [style*="{name}: {light}"]{{{name}:{dark} !important}}'
        for light, dark in _DARK.items()
        for name in ("fill", "stroke")
    )
    joints = ".picture *{stroke-linejoin:round;stroke-linecap:butt}"  # matplotlib's own rule
    return f"{joints}@media (prefers-color-scheme: dark){{{rules}}}"


def _shade(hue: float, wanted: float) -> str:
    """The colour of a hue whose relative luminance is the nearest to what is wanted."""
    steps = (colorsys.hls_to_rgb(hue, float(lightness), _SATURATION) for lightness in np.linspace(0, 1, 501))
    return to_hex(min(steps, key=lambda colour: abs(luminance(colour) - wanted)))
